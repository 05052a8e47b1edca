import errno
import hashlib
import json
import math
import os
import subprocess
import sys
import textwrap

import pytest
import torch
from hub_server import REPOSITORY_ROOT, HubServer, run_client
from safetensors import safe_open

from mbv3zoo import hub
from mbv3zoo.version import __version__

CONFIG = {'backbone': 'mbv3_yolo', 'names': ['café', '犬'], 'nested': {'stride': [8, 16, 32], 'none': None}}
CARD = '---\nlicense: apache-2.0\n---\n# A detector\n'
NAMES = {'config.json', 'model.safetensors', 'README.md'}


def make_state(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return {
        'weight': torch.randn(4, 3, 2, 2, generator=generator),
        'half': torch.randn(7, generator=generator).half(),
        'count': torch.tensor(2**40),
        'flags': torch.tensor([True, False]),
        'empty': torch.empty(0, 3),
    }


def assert_same(loaded, expected):
    assert loaded.keys() == expected.keys()
    for name, tensor in expected.items():
        assert loaded[name].dtype == tensor.dtype
        assert torch.equal(loaded[name], tensor)


def listing(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# Folders


@pytest.mark.parametrize('as_type', [str, lambda path: path])
def test_save_and_load_round_trip(tmp_path, as_type):
    folder = tmp_path / 'new' / 'detector'
    assert hub.save_folder(as_type(folder), CONFIG, make_state(), CARD, {'epoch': '3'}) == folder
    assert listing(folder).keys() == NAMES
    config, state = hub.load_folder(as_type(folder))
    assert config == CONFIG
    assert_same(state, make_state())
    assert (folder / 'README.md').read_text(encoding='utf-8') == CARD
    with safe_open(folder / 'model.safetensors', 'pt') as file:
        assert file.metadata() == {'format': 'pt', 'epoch': '3'}


def test_empty_config_and_state_dict(tmp_path):
    hub.save_folder(tmp_path, {}, {}, '')
    assert hub.load_folder(tmp_path) == ({}, {})


def test_any_memory_layout_is_saved_and_the_input_left_alone(tmp_path):
    state = {
        'channels_last': torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
        'view': torch.arange(10)[::2],
        'parameter': torch.nn.Parameter(torch.ones(2)),
        'halves': torch.arange(6).view(2, 3).t(),
    }
    hub.save_folder(tmp_path, {}, state, CARD)
    assert_same(hub.load_folder(tmp_path)[1], state)
    assert state['channels_last'].is_contiguous(memory_format=torch.channels_last)
    assert state['parameter'].requires_grad


def test_an_edited_card_survives_the_next_save(tmp_path):
    hub.save_folder(tmp_path, CONFIG, make_state(0), CARD)
    (tmp_path / 'README.md').write_text('by hand')
    hub.save_folder(tmp_path, {'new': True}, make_state(1), CARD)
    assert (tmp_path / 'README.md').read_text() == 'by hand'
    config, state = hub.load_folder(tmp_path)
    assert config == {'new': True}
    assert_same(state, make_state(1))


def test_loaded_weights_stay_when_the_folder_is_saved_again(tmp_path):
    hub.save_folder(tmp_path, CONFIG, make_state(0), CARD)
    _, state = hub.load_folder(tmp_path)
    hub.save_folder(tmp_path, CONFIG, make_state(1), CARD)
    assert_same(state, make_state(0))


TIED = torch.ones(2)


@pytest.mark.parametrize(
    ('config', 'state', 'message'),
    [
        ({'a': object()}, {}, 'cannot be written as JSON'),
        ({'a': math.nan}, {}, 'cannot be written as JSON'),
        ({}, {'a': [1.0]}, r"state_dict\['a'\] is of type list"),
        ({}, {'a': TIED, 'b': TIED, 'c': torch.ones(2)}, r"share memory.*\[\['a', 'b'\]\]"),
    ],
)
def test_what_cannot_be_saved_is_refused_before_anything_is_written(tmp_path, config, state, message):
    hub.save_folder(tmp_path, CONFIG, make_state(), CARD)
    before = listing(tmp_path)
    with pytest.raises(ValueError, match=message):
        hub.save_folder(tmp_path, config, state, CARD)
    assert listing(tmp_path) == before
    with pytest.raises(ValueError, match=message):
        hub.save_folder(tmp_path / 'new', config, state, CARD)
    assert not (tmp_path / 'new').exists()


def test_saving_to_a_file_is_refused(tmp_path):
    path = tmp_path / 'detector.pt'
    path.write_bytes(b'precious')
    with pytest.raises(ValueError, match=r'detector\.pt.*it is a file'):
        hub.save_folder(path, CONFIG, make_state(), CARD)
    assert path.read_bytes() == b'precious'


def fail_at_nth_fsync(monkeypatch, n):
    """The disk is full when the n-th file's bytes are to reach it."""
    calls = []
    fsync = os.fsync

    def full(descriptor):
        calls.append(descriptor)
        if len(calls) == n:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    monkeypatch.setattr(os, 'fsync', full)
    return calls


@pytest.mark.parametrize(('n', 'name'), [(1, 'config.json'), (2, 'model.safetensors')])
def test_full_disk_leaves_the_earlier_save_whole(tmp_path, monkeypatch, n, name):
    hub.save_folder(tmp_path, CONFIG, make_state(0), CARD)
    before = listing(tmp_path)
    with monkeypatch.context() as patch:
        calls = fail_at_nth_fsync(patch, n)
        with pytest.raises(OSError, match=name) as caught:
            hub.save_folder(tmp_path, {'new': True}, make_state(1), CARD)
    assert len(calls) == n
    assert caught.value.errno == errno.ENOSPC
    assert str(tmp_path) in str(caught.value)
    assert listing(tmp_path) == before
    hub.save_folder(tmp_path, {'new': True}, make_state(1), CARD)
    assert hub.load_folder(tmp_path)[0] == {'new': True}


@pytest.mark.parametrize('n', [1, 2, 3])
def test_full_disk_at_the_first_save_leaves_no_file(tmp_path, monkeypatch, n):
    fail_at_nth_fsync(monkeypatch, n)
    with pytest.raises(OSError, match='No space left'):
        hub.save_folder(tmp_path / 'new', CONFIG, make_state(), CARD)
    assert listing(tmp_path / 'new') == {}


def test_a_killed_save_leaves_the_earlier_one_whole(tmp_path):
    folder = tmp_path / 'saved'
    hub.save_folder(folder, CONFIG, make_state(0), CARD)
    before = listing(folder)
    code = """
    import os, sys, time
    import torch
    from mbv3zoo import hub

    fsync, calls = os.fsync, []

    def stop(descriptor):
        calls.append(descriptor)
        if len(calls) == 2:
            os.ftruncate(descriptor, 1000)
            print('stopped', flush=True)
            time.sleep(60)
        fsync(descriptor)

    os.fsync = stop
    hub.save_folder(sys.argv[1], {'new': True}, {'weight': torch.ones(1000)}, '')
    """
    environment = {**os.environ, 'PYTHONPATH': str(REPOSITORY_ROOT), 'OMP_NUM_THREADS': '1'}
    command = [sys.executable, '-c', textwrap.dedent(code), str(folder)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == 'stopped\n'
        process.kill()
    assert listing(folder).items() > before.items()
    assert all(name.startswith('.') and name.endswith('.tmp') for name in listing(folder).keys() - NAMES)
    assert hub.load_folder(folder)[0] == CONFIG
    hub.save_folder(folder, {'new': True}, make_state(1), CARD)
    assert_same(hub.load_folder(folder)[1], make_state(1))


@pytest.mark.parametrize(
    ('removed', 'message'),
    [
        (['config.json'], r'has no config\.json\. The folder of a detector holds'),
        (['model.safetensors'], r'has no model\.safetensors\. .*never from a pickle'),
        (['config.json', 'model.safetensors'], r'has no config\.json and no model\.safetensors'),
    ],
)
def test_missing_files_are_named(tmp_path, removed, message):
    hub.save_folder(tmp_path, CONFIG, make_state(), CARD)
    (tmp_path / 'pytorch_model.bin').write_bytes(b'')
    for name in removed:
        (tmp_path / name).unlink()
    with pytest.raises(ValueError, match=message) as caught:
        hub.load_folder(str(tmp_path))
    assert str(tmp_path) in str(caught.value)
    with pytest.raises(ValueError, match=message):
        hub.push_folder(tmp_path, 'org/name')


@pytest.mark.parametrize(
    ('name', 'content', 'message'),
    [
        ('config.json', b'{"a": ', 'config.json is corrupt: it is not JSON'),
        ('config.json', b'', 'config.json is corrupt'),
        ('config.json', b'\xff\xfe{}', 'config.json is corrupt'),
        pytest.param('config.json', b'[' * 100_000, 'config.json is corrupt', id='deep'),
        ('config.json', b'[]', 'config.json is not a configuration: it holds a list'),
        ('model.safetensors', b'', 'model.safetensors is corrupt: it is not a safetensors file'),
        ('model.safetensors', b'\xff' * 9, 'model.safetensors is corrupt'),
        ('model.safetensors', None, 'model.safetensors is corrupt'),  # cut short
    ],
)
def test_corrupt_files_are_named(tmp_path, name, content, message):
    hub.save_folder(tmp_path, CONFIG, make_state(), CARD)
    path = tmp_path / name
    path.write_bytes(path.read_bytes()[:-1] if content is None else content)
    with pytest.raises(ValueError, match=message) as caught:
        hub.load_folder(tmp_path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    'source',
    ['', 'resnet18', './org/name', '../name', 'a/b/c', 'org/na me', '/no/such', '~/runs', 'C:\\x', '\0'],
)
def test_neither_a_folder_nor_an_id(source):
    with pytest.raises(ValueError, match="neither an existing folder nor a Hub id.*'org/name'") as caught:
        hub.load_folder(source)
    assert repr(source) in str(caught.value)


def test_other_wrong_sources(tmp_path):
    with pytest.raises(ValueError, match='there is no folder .*nowhere'):
        hub.load_folder(tmp_path / 'nowhere')
    (tmp_path / 'model.safetensors').write_bytes(b'')
    with pytest.raises(ValueError, match='is a file. Give the folder'):
        hub.load_folder(str(tmp_path / 'model.safetensors'))
    with pytest.raises(ValueError, match="revision='v1' was given for the folder"):
        hub.load_folder(tmp_path, revision='v1')


def test_push_refuses_before_it_goes_online(tmp_path):
    hub.save_folder(tmp_path, CONFIG, make_state(), CARD)
    with pytest.raises(ValueError, match="'name' is neither"):
        hub.push_folder(tmp_path, 'name')
    with pytest.raises(ValueError, match='exclude each other'):
        hub.push_folder(tmp_path, 'org/name', revision='v1', create_pr=True)
    with pytest.raises(ValueError, match='there is no folder'):
        hub.push_folder(tmp_path / 'nowhere', 'org/name')
    (tmp_path / 'README.md').unlink()
    with pytest.raises(ValueError, match=r'has no README\.md'):
        hub.push_folder(tmp_path, 'org/name')


# The Hub, by the real client in processes of their own. One takes seconds to start, so each does a lot and
# reports in a line of JSON. The tests look at the report and at what the server saw.

PRELUDE = """
import json
import time

import torch
from huggingface_hub import HfApi
from mbv3zoo import hub

time.sleep = lambda seconds: None  # the client waits between its attempts
report = {}

def same(loaded, expected):
    (config, state), (expected_config, expected_state) = loaded, expected
    return config == expected_config and state.keys() == expected_state.keys() and all(
        state[name].dtype == tensor.dtype and torch.equal(state[name], tensor)
        for name, tensor in expected_state.items()
    )

def attempt(name, function, *arguments, **options):
    try:
        result = function(*arguments, **options)
        if isinstance(result, tuple):
            result = [seed for seed in (0, 1) if same(result, hub.load_folder(f'saved_{seed}'))]
        report[name] = ['returned', result]
    except Exception as error:
        report[name] = [type(error).__name__, str(error)]
"""

ONLINE = """
push, load = hub.push_folder, hub.load_folder
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
attempt('bad json', load, 'org/bad-json')
attempt('bad weights', load, 'org/bad-weights')
attempt('not cached', load, 'org/not-cached', local_files_only=True)
attempt('fails for ever', load, 'org/fails')
attempt('fails for ever, forced', load, 'org/fails', force_download=True)
attempt('fails once', load, 'org/flaky')

attempt('push without token', push, 'saved_0', 'org/refused', token=False)
attempt('push with read token', push, 'saved_0', 'org/refused', token='hf_read')
attempt('push bad card', push, 'bad_card', 'org/card')
attempt('push to broken storage', push, 'saved_2', 'org/storage')
attempt('push after that', push, 'saved_1', 'org/storage')

push('saved_0', 'org/race')
download = hub.hf_hub_download
def overtaken(repo_id, filename, **options):
    path = download(repo_id, filename, **options)
    if filename == 'config.json':
        push('saved_1', 'org/race')
    return path
hub.hf_hub_download = overtaken
attempt('load while pushed', load, 'org/race')
print(json.dumps(report))
"""

GONE = """
attempt('load', hub.load_folder, 'org/detector')
attempt('load tag', hub.load_folder, 'org/detector', revision='v1')
attempt('load branch', hub.load_folder, 'org/detector', revision='wip')
attempt('not cached', hub.load_folder, 'org/not-cached')
attempt('push', hub.push_folder, 'saved_0', 'org/detector')
print(json.dumps(report))
"""


def last_line(process):
    return json.loads(process.stdout.splitlines()[-1])


@pytest.fixture(scope='module')
def visit(tmp_path_factory):
    """The server, its address, and what the client reports: online, with the server gone, and offline."""
    folder = tmp_path_factory.mktemp('hub')
    for seed in (0, 1, 2):
        hub.save_folder(folder / f'saved_{seed}', {**CONFIG, 'seed': seed}, make_state(seed), CARD)
    (folder / 'saved_0' / 'pytorch_model.bin').write_bytes(b'not to be pushed')
    hub.save_folder(folder / 'bad_card', CONFIG, make_state(), '---\nlicense: [\n---\n')
    good = {name: (folder / 'saved_0' / name).read_bytes() for name in NAMES}
    with HubServer() as server:
        server.add_repo('org/private', good, private=True)
        server.add_repo('org/gated', good, gated=True)
        server.add_repo('org/pickle', {'config.json': b'{}', 'pytorch_model.bin': b'pickle'})
        server.add_repo('org/no-config', {'model.safetensors': good['model.safetensors']})
        server.add_repo('org/bad-json', {**good, 'config.json': b'{"a": '})
        server.add_repo('org/bad-weights', {**good, 'model.safetensors': b'\xff' * 100})
        for name in ('not-cached', 'fails', 'flaky'):
            server.add_repo(f'org/{name}', good)
        server.fail_next('HEAD', '/org/fails/', 500, times=math.inf)
        server.fail_next('GET', '/org/flaky/resolve/main/config.json', 503)
        unstorable = hashlib.sha256((folder / 'saved_2' / 'model.safetensors').read_bytes()).hexdigest()
        server.fail_next('PUT', unstorable, 500, times=math.inf)
        online = run_client(server, PRELUDE + ONLINE, folder)
    gone = run_client(server, PRELUDE + GONE, folder)
    offline = run_client(server, PRELUDE + GONE, folder, {'HF_HUB_OFFLINE': '1'})
    return server, last_line(online), last_line(gone), last_line(offline)


def test_push_is_one_commit_of_exactly_three_files(visit):
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
    assert repo.changed_files('wip') == repo.changed_files('refs/pr/1') == {'config.json', 'model.safetensors'}
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
            'the repository has no such file. That of a detector holds config.json and',
        ),
        (
            'no config',
            'ValueError',
            "cannot load config.json from 'org/no-config' on the Hub: the repository has no",
        ),
        ('bad json', 'ValueError', 'config.json is corrupt: it is not JSON'),
        (
            'bad weights',
            'ValueError',
            "If 'org/bad-weights' itself is whole, load it once more with force_download",
        ),
        ('not cached', 'FileNotFoundError', 'it is not in the cache, and the network is switched off'),
        ('fails for ever', 'ConnectionError', 'answered 500 (injected fault). Try again later'),
        ('fails for ever, forced', 'ConnectionError', 'answered 500'),
        ('fails once', 'ConnectionError', 'answered 503'),
        (
            'push without token',
            'ValueError',
            'answered 401 (Invalid username or password.). There is no token',
        ),
        ('push with read token', 'ValueError', "cannot push to 'org/refused' on the Hub"),
        ('push bad card', 'ValueError', 'Invalid metadata in README.md'),
        ('push to broken storage', 'ConnectionError', 'answered 500 (injected fault). Try again later'),
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
        (3, 'not cached', 'FileNotFoundError', 'it is not in the cache, and the network is switched off'),
        (3, 'push', 'OfflineModeIsEnabled', 'HF_HUB_OFFLINE'),  # a ConnectionError
    ],
)
def test_errors_without_the_hub(visit, which, name, kind, message):
    found_kind, found = visit[which][name]
    assert found_kind == kind, found
    assert message in found


def test_pickles_are_never_asked_for(visit):
    assert not [entry for entry in visit[0].log if entry.path.endswith('.bin')]


def test_failed_pushes_commit_nothing_and_can_be_repeated(visit):
    server, report, _, _ = visit
    assert 'org/refused' not in server.repos
    assert len(server.repos['org/card'].history()) == 1
    assert report['push after that'][0] == 'returned'
    history = server.repos['org/storage'].history()
    assert [commit.title for commit in history] == [f'Upload with mbv3zoo {__version__}', 'initial commit']


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
        assert repo.changed_files() == NAMES
        assert json.loads(repo.files()['config.json'])['architecture'] == 'mbv3_yolo_small_050'
        assert not [entry for entry in server.log if entry.path.endswith('.bin')]
    assert report['reduction'] == [4, 8, 16, 32]
    assert [shape[2:] for shape in report['shapes']] == [[16, 16], [8, 8], [4, 4], [2, 2]]
    assert report['same'] == [True] * 4
    assert report['logits']
