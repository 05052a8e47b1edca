"""Pulling and pushing, by the real client in processes of their own.

One takes seconds to start, so each does a lot and reports in a line of JSON. The tests look at the report and at what
the server saw. Faults are the business of test_faults.py.
"""

import json
import math

import pytest
from hub_folders import NAMES, save
from hub_server import HubServer, run_client

from mbv3zoo.saving.folder import LOADED_NAMES
from mbv3zoo.version import __version__

PRELUDE = """
import json
import time
import warnings
from pathlib import Path

from huggingface_hub import HfApi
from mbv3zoo import hub

warnings.simplefilter('ignore')
time.sleep = lambda seconds: None  # we and the client wait between attempts
report = {}

def attempt(name, function, *arguments, **options):
    try:
        result = function(*arguments, **options)
        if isinstance(result, dict):
            result = [
                seed for seed in (0, 1)
                if all(path.read_bytes() == Path(f'saved_{seed}', file).read_bytes() for file, path in result.items())
            ]
        report[name] = ['returned', result]
    except Exception as error:
        report[name] = [type(error).__name__, str(error)]
"""

ONLINE = """
push, load = hub.push_folder, hub.pull
attempt('push', push, 'saved_0', 'org/detector')
api = HfApi()
api.create_tag('org/detector', tag='v1')
report['first'] = first = api.model_info('org/detector').sha
attempt('push again', push, 'saved_0', 'org/detector')
attempt('push branch', push, 'saved_1', 'org/detector', revision='wip', commit_message='try')
attempt('push branch again', push, 'saved_1', 'org/detector', revision='wip')
attempt('push pull request', push, 'saved_1', 'org/detector', create_pr=True)
attempt('push private', push, 'saved_1', 'org/hidden', private=True)

attempt('load', load, 'org/detector')
attempt('load main', load, 'org/detector', revision='main')
attempt('load tag', load, 'org/detector', revision='v1')
attempt('load commit', load, 'org/detector', revision=first)
attempt('load branch', load, 'org/detector', revision='wip')
attempt('load pull request', load, 'org/detector', revision='refs/pr/1')
attempt('load private', load, 'org/hidden')
attempt('load own cache', load, 'org/detector', cache_dir='own_cache', force_download=True)
attempt('load cached only', load, 'org/detector', local_files_only=True)

attempt('missing', load, 'org/missing')
attempt('missing, forced', load, 'org/missing', force_download=True)
attempt('private without token', load, 'org/private', token=False)
attempt('wrong token', load, 'org/private', token='hf_wrong')
attempt('gated', load, 'org/gated')
attempt('wrong revision', load, 'org/detector', revision='v9')
attempt('pickle', load, 'org/pickle')
attempt('no config', load, 'org/no-config')
attempt('not cached', load, 'org/not-cached', local_files_only=True)
attempt('fails for ever', load, 'org/fails')
attempt('fails for ever, forced', load, 'org/fails', force_download=True)

attempt('push without token', push, 'saved_0', 'org/refused', token=False)
attempt('push with read token', push, 'saved_0', 'org/refused', token='hf_read')
attempt('push bad card', push, 'bad_card', 'org/card')

push('saved_0', 'org/race')
download = hub.download.hf_hub_download
def overtaken(repo_id, filename, **options):
    path = download(repo_id, filename, **options)
    if filename == 'config.json':
        push('saved_1', 'org/race')
    return path
hub.download.hf_hub_download = overtaken
attempt('load while pushed', load, 'org/race')
print(json.dumps(report))
"""

GONE = """
attempt('load', hub.pull, 'org/detector')
attempt('load tag', hub.pull, 'org/detector', revision='v1')
attempt('load branch', hub.pull, 'org/detector', revision='wip')
attempt('not cached', hub.pull, 'org/not-cached')
attempt('push', hub.push_folder, 'saved_0', 'org/detector')
print(json.dumps(report))
"""


def last_line(process):
    return json.loads(process.stdout.splitlines()[-1])


@pytest.fixture(scope='module')
def visit(tmp_path_factory):
    """The server, its address, and what the client reports: online, with the server gone, and offline."""
    folder = tmp_path_factory.mktemp('hub')
    for seed in (0, 1):
        save(folder / f'saved_{seed}', seed)
    (folder / 'saved_0' / 'pytorch_model.bin').write_bytes(b'not to be pushed')
    save(folder / 'bad_card', card='---\nlicense: [\n---\n')
    good = {name: (folder / 'saved_0' / name).read_bytes() for name in NAMES}
    with HubServer() as server:
        server.add_repo('org/private', good, private=True)
        server.add_repo('org/gated', good, gated=True)
        server.add_repo('org/pickle', {'config.json': b'{}', 'pytorch_model.bin': b'pickle'})
        server.add_repo('org/no-config', {'model.safetensors': good['model.safetensors']})
        for name in ('not-cached', 'fails'):
            server.add_repo(f'org/{name}', good)
        server.fail_next('HEAD', '/org/fails/', 500, times=math.inf)
        online = run_client(server, PRELUDE + ONLINE, folder)
    gone = run_client(server, PRELUDE + GONE, folder)
    offline = run_client(server, PRELUDE + GONE, folder, {'HF_HUB_OFFLINE': '1'})
    return server, last_line(online), last_line(gone), last_line(offline)


def test_push_is_one_commit_of_exactly_these_files(visit):
    server, report, _, _ = visit
    repo = server.repos['org/detector']
    assert [commit.title for commit in repo.history()] == [
        f'Upload with mbv3zoo {__version__}',
        'initial commit',
    ]
    assert repo.changed_files() == NAMES
    assert not repo.private
    assert repo.resolve('main').files['model.safetensors'].lfs
    assert report['push'] == ['returned', f'{server.url}/org/detector/commit/{report["first"]}']


def test_pushing_again_changes_nothing(visit):
    server, report, _, _ = visit
    assert report['push again'] == report['push']
    assert server.repos['org/detector'].branches['main'] == report['first']
    assert report['push branch again'] == report['push branch']


def test_push_to_a_branch_and_as_a_pull_request(visit):
    server, report, _, _ = visit
    repo = server.repos['org/detector']
    assert [commit.title for commit in repo.history('wip')] == ['try', *(c.title for c in repo.history())]
    assert repo.changed_files('wip') == repo.changed_files('refs/pr/1') == {*LOADED_NAMES}
    assert report['push pull request'] == ['returned', f'{server.url}/org/detector/discussions/1']
    assert server.repos['org/hidden'].private


@pytest.mark.parametrize(
    ('name', 'seed'),
    [
        ('load', 0),
        ('load main', 0),
        ('load tag', 0),
        ('load commit', 0),
        ('load branch', 1),
        ('load pull request', 1),
        ('load private', 1),
        ('load own cache', 0),
        ('load cached only', 0),
    ],
)
def test_load_is_bit_equal_to_what_was_pushed(visit, name, seed):
    assert visit[1][name] == ['returned', [seed]]


def test_configuration_and_weights_come_from_one_commit(visit):
    server, report, _, _ = visit
    # The repository was pushed to between the two downloads: loaded was what stood there before.
    assert server.repos['org/race'].files()['config.json'].count(b'"seed": 1') == 1
    assert report['load while pushed'] == ['returned', [0]]


@pytest.mark.parametrize('which', ['gone', 'offline'])
def test_without_the_hub_the_cache_is_used(visit, which):
    report = visit[2] if which == 'gone' else visit[3]
    assert report['load'] == report['load tag'] == ['returned', [0]]
    assert report['load branch'] == ['returned', [1]]


@pytest.mark.parametrize(
    ('name', 'kind', 'message'),
    [
        (
            'missing',
            'ValueError',
            "cannot load config.json from 'org/missing' on the Hub: there is no such repository",
        ),
        ('missing, forced', 'ValueError', 'there is no such repository'),
        (
            'private without token',
            'ValueError',
            'or it is private. Check the spelling; for a private repository, log in',
        ),
        (
            'wrong token',
            'ValueError',
            'answered 401 (Invalid credentials in Authorization header). There is no token',
        ),
        ('gated', 'ValueError', 'Ask for access at http'),
        (
            'wrong revision',
            'ValueError',
            "at revision 'v9': the repository has no branch, tag or commit of that name",
        ),
        (
            'pickle',
            'ValueError',
            'the repository has no such file. That of a detector holds config.json, model.safetensors',
        ),
        (
            'no config',
            'ValueError',
            "cannot load config.json from 'org/no-config' on the Hub: the repository has no",
        ),
        ('not cached', 'FileNotFoundError', 'it is not in the cache, or was corrupt there, and the network is off'),
        ('fails for ever', 'ConnectionError', 'answered 500 (injected fault). Try again later'),
        ('fails for ever, forced', 'ConnectionError', 'answered 500'),
        (
            'push without token',
            'ValueError',
            'answered 401 (Invalid username or password.). There is no token',
        ),
        ('push with read token', 'ValueError', "cannot push to 'org/refused' on the Hub"),
        ('push bad card', 'ValueError', 'Invalid metadata in README.md'),
    ],
)
def test_errors_in_words(visit, name, kind, message):
    found_kind, found = visit[1][name]
    assert found_kind == kind, found
    assert message in found


@pytest.mark.parametrize(
    ('which', 'name', 'kind', 'message'),
    [
        (2, 'not cached', 'ConnectionError', 'Check the network and try again'),
        (
            2,
            'push',
            'ConnectionError',
            "cannot push to 'org/detector' on the Hub: no usable answer from http",
        ),
        (3, 'not cached', 'FileNotFoundError', 'it is not in the cache, or was corrupt there, and the network is off'),
        (3, 'push', 'ConnectionError', 'HF_HUB_OFFLINE'),  # a ConnectionError
    ],
)
def test_errors_without_the_hub(visit, which, name, kind, message):
    found_kind, found = visit[which][name]
    assert found_kind == kind, found
    assert message in found


def test_pickles_are_never_asked_for(visit):
    assert not [entry for entry in visit[0].log if entry.path.endswith('.bin')]


def test_refused_pushes_commit_nothing(visit):
    server, report, _, _ = visit
    assert 'org/refused' not in server.repos
    assert len(server.repos['org/card'].history()) == 1


def test_the_token_is_not_sent_to_storage(visit):
    server = visit[0]
    stored, fetched = server.requests('PUT', '/storage/'), server.requests('GET', '/storage/')
    assert stored and fetched
    assert not any(entry.has_token for entry in stored + fetched)


def test_timm_publishes_and_loads_a_backbone(tmp_path):
    code = """
    import json
    import timm, torch
    import mbv3zoo.backbones

    torch.manual_seed(0)
    source = timm.create_model('mbv3_yolo_small_050', num_classes=5, pretrained=False)
    for buffer in source.buffers():  # fresh running statistics (0 and 1) would not show that they travelled
        if buffer.is_floating_point():
            buffer.uniform_(0.5, 1.5)
    source.eval()
    timm.models.push_to_hf_hub(source, 'org/backbone', safe_serialization=True)
    loaded = timm.create_model('hf-hub:org/backbone', features_only=True, pretrained=True).eval()
    classifier = timm.create_model('hf-hub:org/backbone', pretrained=True).eval()
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        expected = source.forward_intermediates(images, indices=4, intermediates_only=True)
        features = loaded(images)
        same_logits = torch.equal(classifier(images), source(images))
    print(json.dumps({
        'shapes': [list(feature.shape) for feature in features],
        'reduction': loaded.feature_info.reduction(),
        'same': [torch.equal(a, b) for a, b in zip(features, expected)],
        'logits': same_logits,
    }))
    """
    with HubServer() as server:
        report = last_line(run_client(server, code, tmp_path))
        repo = server.repos['org/backbone']
        assert repo.changed_files() == {'config.json', 'model.safetensors', 'README.md'}
        assert json.loads(repo.files()['config.json'])['architecture'] == 'mbv3_yolo_small_050'
        assert not [entry for entry in server.log if entry.path.endswith('.bin')]
    assert report['reduction'] == [4, 8, 16, 32]
    assert [shape[2:] for shape in report['shapes']] == [[16, 16], [8, 8], [4, 4], [2, 2]]
    assert report['same'] == [True] * 4
    assert report['logits']


def test_a_segmenter_goes_to_the_hub_and_back(tmp_path):
    program = """
import json, mbv3zoo, timm, torch
segmenter = mbv3zoo.create_segmenter('mbv3_yolo_small_050', class_names=['ground', 'cat'], image_size=64).eval()
segmenter.push_to_hub('org/segmenter')
again = mbv3zoo.load('org/segmenter')
images = torch.rand(1, 3, 64, 64)
backbone = timm.create_model('hf-hub:org/segmenter', features_only=True, pretrained=True).eval()
same = torch.equal(backbone(segmenter._normalise(images))[-1], segmenter.backbone(segmenter._normalise(images))[-1])
print(json.dumps([type(again).__name__, torch.equal(again(images), segmenter(images)), same]))
"""
    with HubServer() as server:
        report = last_line(run_client(server, program, tmp_path))
    assert report == ['Segmenter', True, True]
