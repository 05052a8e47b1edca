"""Pulling and pushing when the Hub, the network or the cache fails, by the real client in processes of their own."""

import hashlib
import json
import math
import shutil
from pathlib import Path

import pytest
import safetensors.torch
import torch
from hub_server import Blob, HubServer, cut, flipped, reset, reset_after, run_client, slow, stale_etag, with_headers

from mbv3zoo.saving.folder import CONFIG_LIMIT, LOADED_NAMES, save_folder

CARD = '---\nlicense: apache-2.0\n---\n\n<!-- mbv3zoo:begin -->\n# A detector\n<!-- mbv3zoo:end -->\n'
WEIGHTS, HEAD = 'model.safetensors', 'detector.safetensors'

# `attempt` records what a call returned or raised, what was logged, and how long the waits would have been.
PRELUDE = """
import hashlib, json, logging, time, warnings
from pathlib import Path

from huggingface_hub import constants, try_to_load_from_cache
from mbv3zoo import hub

warnings.simplefilter('ignore')
constants.HF_HUB_DOWNLOAD_TIMEOUT = 0.3
waits, said, report = [], [], {}
time.sleep = waits.append
handler = logging.Handler()
handler.emit = lambda record: said.append(record.getMessage())
logging.getLogger('mbv3zoo.hub').addHandler(handler)
logging.getLogger('mbv3zoo.hub').propagate = False

def attempt(name, function, *arguments, **options):
    waits.clear(), said.clear()
    try:
        result = function(*arguments, **options)
        if isinstance(result, dict):
            result = {key: Path(path).read_bytes().hex() for key, path in result.items()}
    except Exception as error:
        result = [type(error).__name__, str(error)]
    report[name] = {'result': result, 'said': list(said), 'waits': list(waits)}

def pull(name, **options):
    attempt(name, hub.pull, f'org/{name}', **options)

def blob(name, filename):
    path = Path(try_to_load_from_cache(f'org/{name}', filename))
    assert path.is_symlink()
    return path.resolve()
"""


def content(name):
    """Files of a repository of that name; no two repositories share any."""
    return {
        'config.json': json.dumps({'name': name}).encode(),
        WEIGHTS: f'backbone of {name}'.encode() * 50_000,
        HEAD: f'head of {name}'.encode() * 50,
        'README.md': CARD.encode(),
    }


def stored(name, filename):
    """Where storage keeps one of the large files."""
    return '/storage/' + hashlib.sha256(content(name)[filename]).hexdigest()


def pulled(name):
    return {filename: content(name)[filename].hex() for filename in LOADED_NAMES}


def last_line(process):
    return json.loads(process.stdout.splitlines()[-1])


def failure(outcome):
    assert isinstance(outcome['result'], list), outcome
    return outcome['result']


PASSING = {
    'body-503': ('GET', stored('body-503', WEIGHTS), 503, 1, {}),
    'body-503-twice': ('GET', stored('body-503-twice', WEIGHTS), 503, 2, {'Retry-After': '7'}),
    'body-503-patience': ('GET', stored('body-503-patience', WEIGHTS), 503, 1, {'Retry-After': '86400'}),
    'body-403': ('GET', stored('body-403', WEIGHTS), 403, 1, {}),
    'config-503': ('GET', '/org/config-503/resolve', 503, 1, {}),
    'head-503': ('HEAD', '/org/head-503/resolve', 503, 1, {}),
    'info-500': ('GET', '/api/models/org/info-500/', 500, 1, {}),
}
LASTING = {
    'head-500': ('HEAD', '/org/head-500/', 500, math.inf, {}),
    'info-502': ('GET', '/api/models/org/info-502/', 502, math.inf, {}),
    'storage-503': ('GET', stored('storage-503', WEIGHTS), 503, math.inf, {}),
}
# The client makes a path of it: from the cache's folder of files to the parent of the test's folder.
OUTSIDE = stale_etag('../../../../../outside')
SPOILED = {
    'reset': ('GET', stored('reset', WEIGHTS), reset, 1),
    'reset-half': ('GET', stored('reset-half', WEIGHTS), reset_after(100_000), 1),
    'head-reset': ('HEAD', '/org/head-reset/', reset, 1),
    'cut': ('GET', stored('cut', WEIGHTS), cut(100_000), 3),
    'flip-weights': ('GET', stored('flip-weights', WEIGHTS), flipped, 1),
    'flip-config': ('GET', '/org/flip-config/resolve', flipped, 1),
    'etag-once': ('HEAD', '/org/etag-once/resolve', stale_etag('0' * 64), 3),
    'reset-always': ('GET', stored('reset-always', WEIGHTS), reset, math.inf),
    'slow-always': ('GET', stored('slow-always', WEIGHTS), slow(1), math.inf),
    'flip-always': ('GET', stored('flip-always', WEIGHTS), flipped, math.inf),
    'flip-config-always': ('GET', '/org/flip-config-always/resolve', flipped, math.inf),
    'etag-always': ('HEAD', '/org/etag-always/resolve', stale_etag('0' * 64), math.inf),
    'no-commit': ('HEAD', '/org/no-commit/', with_headers(X_Repo_Commit='../../../../outside'), math.inf),
    'wild-etag': ('HEAD', '/org/wild-etag/', OUTSIDE, math.inf),
}
COLD = [*PASSING, *LASTING, *SPOILED, 'wild-weights']
WARM = ('warm-401', 'warm-gone', 'warm-gated', 'warm-500', 'warm-reset', 'warm-branch', 'warm-flip', 'warm-moved')


@pytest.fixture(scope='module')
def cold(tmp_path_factory):
    """The server, and what pulls into an empty cache report."""
    folder = tmp_path_factory.mktemp('cold')
    with HubServer() as server:
        for name in COLD:
            server.add_repo(f'org/{name}', content(name))
        commit = server.repos['org/wild-weights'].branches['main']
        server.spoil_next('HEAD', f'/org/wild-weights/resolve/{commit}/{WEIGHTS}', OUTSIDE, math.inf)
        for method, part, status, times, headers in [*PASSING.values(), *LASTING.values()]:
            server.fail_next(method, part, status, times, headers)
        for method, part, change, times in SPOILED.values():
            server.spoil_next(method, part, change, times)
        code = (
            PRELUDE
            + f"""
for name in {COLD}:
    pull(name)
pull('flip-config-always', force_download=True)
for name in ('flip-always', 'flip-config-always'):
    kept = [try_to_load_from_cache(f'org/{{name}}', file) for file in ('config.json', 'model.safetensors')]
    report[name + ' kept'] = [isinstance(path, str) for path in kept]
print(json.dumps(report))
"""
        )
        report = last_line(run_client(server, code, folder))
    return server, report, folder


@pytest.mark.parametrize('name', [*PASSING, 'reset', 'reset-half', 'head-reset'])
def test_a_fault_that_passes_is_tried_again_with_a_warning(cold, name):
    outcome = cold[1][name]
    assert outcome['result'] == pulled(name), outcome['result']
    assert outcome['said'] and all(f"from 'org/{name}'" in line for line in outcome['said'])
    assert 'Attempt 1 of 4 failed' in outcome['said'][0]


def test_waits_grow_and_follow_the_server_within_reason(cold):
    report = cold[1]
    assert report['body-503']['waits'] == [1]
    assert report['body-503-twice']['waits'] == [7, 7]
    assert report['body-503-patience']['waits'] == [60]
    assert report['head-500']['waits'] == report['storage-503']['waits'] == [1, 2, 4]


def test_a_cut_body_is_resumed(cold):
    server, report, _ = cold
    assert report['cut']['result'] == pulled('cut')
    assert len(server.requests('GET', stored('cut', WEIGHTS))) == 4


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        ('head-500', "cannot load config.json from 'org/head-500' on the Hub: http://"),
        ('head-500', 'answered 500 (injected fault). Try again later'),
        ('info-502', 'answered 502'),
        ('storage-503', f'cannot load {WEIGHTS}'),
        ('storage-503', 'answered 503'),
        ('reset-always', 'no usable answer from http'),
        ('slow-always', 'no usable answer from http'),
        ('no-commit', 'its X-Repo-Commit is'),
        ('wild-etag', 'its ETag is'),
        ('wild-weights', 'its ETag is'),
    ],
)
def test_a_fault_that_lasts_is_a_connection_error(cold, name, message):
    kind, found = failure(cold[1][name])
    assert kind == 'ConnectionError'
    assert message in found
    assert 'cache' not in found


def test_attempts_are_bounded(cold):
    server = cold[0]
    assert len(server.requests('HEAD', '/org/head-500/')) == 4
    assert len(server.requests('GET', stored('storage-503', WEIGHTS))) == 4
    assert len(server.requests('GET', stored('reset-always', WEIGHTS))) == 4
    assert len(server.requests('GET', stored('slow-always', WEIGHTS))) == 6  # by the client, which resumes


@pytest.mark.parametrize(('name', 'filename'), [('flip-weights', WEIGHTS), ('flip-config', 'config.json')])
def test_a_wrong_byte_is_noticed_and_the_file_fetched_once_more(cold, name, filename):
    outcome = cold[1][name]
    assert outcome['result'] == pulled(name)
    (line,) = outcome['said']
    assert f"cannot load {filename} from 'org/{name}'" in line
    assert 'its hash is' in line and 'Fetched once more' in line


@pytest.mark.parametrize(
    ('name', 'filename'), [('flip-always', WEIGHTS), ('flip-config-always', 'config.json'), ('etag-always', 'config')]
)
def test_a_file_that_is_wrong_twice_is_refused(cold, name, filename):
    server, report, _ = cold
    kind, found = failure(report[name])
    assert kind == 'ValueError'
    assert f'cannot load {filename}' in found and 'twice' in found and 'expected' in found
    if name != 'etag-always':
        data = content(name)[filename]
        assert Blob(data, lfs=filename == WEIGHTS).etag in found
        bad = data[:-1] + bytes([data[-1] ^ 1])
        assert Blob(bad, lfs=filename == WEIGHTS).etag in found


def test_a_refused_file_is_not_kept(cold):
    server, report, _ = cold
    assert len(server.requests('GET', stored('flip-always', WEIGHTS))) == 2
    # No branch is recorded for a commit that was not pulled whole.
    assert report['flip-always kept'] == [False, False]
    assert report['flip-config-always kept'] == [False, False]
    bad = content('flip-always')[WEIGHTS]
    assert not list(cold[2].rglob(hashlib.sha256(bad).hexdigest()))


def test_a_stale_etag_is_noticed(cold):
    assert cold[1]['etag-once']['result'] == pulled('etag-once')
    assert 'its ETag' in cold[1]['etag-once']['said'][0]


def test_nothing_is_written_outside_the_cache(cold):
    folder = cold[2]
    assert not list(folder.rglob('outside*')) and not list(folder.parent.glob('outside*'))
    assert {path.name for path in folder.iterdir()} <= {'hf_home'}


@pytest.fixture(scope='module')
def warm(tmp_path_factory):
    """What pulls report when the cache holds an earlier one: with faults of the Hub, and offline."""
    folder = tmp_path_factory.mktemp('warm')
    with HubServer() as server:
        for name in WARM:
            server.add_repo(f'org/{name}', content(name))
        code = f'for name in {WARM}:\n    pull(name)\nprint(json.dumps(report))\n'
        first = last_line(run_client(server, PRELUDE + code, folder))
        before = len(server.log)
        commit = server.repos['org/warm-500'].branches['main']
        server.fail_next('HEAD', '/org/warm-401/', 401, math.inf)
        del server.repos['org/warm-gone']
        server.repos['org/warm-gated'].gated = True
        server.fail_next('HEAD', '/org/warm-500/', 500, math.inf)
        server.spoil_next('HEAD', '/org/warm-reset/', reset, math.inf)
        del server.repos['org/warm-branch'].branches['main']
        server.add_commit('org/warm-moved', {**content('newer'), WEIGHTS: content('warm-moved')[WEIGHTS]})
        code = f"""
for name in {WARM[:6]}:
    pull(name)
attempt('commit', hub.pull, 'org/warm-500', revision='{commit}')
attempt('forced', hub.pull, 'org/warm-500', force_download=True)
pull('warm-moved')
for filename in ('config.json', 'model.safetensors'):
    path = blob('warm-flip', filename)
    path.write_bytes(path.read_bytes()[:-1] + b'!')
pull('warm-flip')
attempt('again', hub.pull, 'org/warm-flip')
path = blob('warm-flip', 'detector.safetensors')
path.write_bytes(path.read_bytes()[:-1] + b'!')
attempt('offline', hub.pull, 'org/warm-flip', local_files_only=True)
report['removed'] = not path.exists()
attempt('offline again', hub.pull, 'org/warm-flip', local_files_only=True)
attempt('offline and forced', hub.pull, 'org/warm-flip', local_files_only=True, force_download=True)
attempt('online', hub.pull, 'org/warm-flip')
print(json.dumps(report))
"""
        second = last_line(run_client(server, PRELUDE + code, folder))
        log = server.log[before:]
        fetched = len(server.requests('GET', stored('warm-moved', WEIGHTS)))
    return first, second, commit, log, fetched


@pytest.mark.parametrize(
    ('name', 'reason'),
    [
        ('warm-401', 'answered 401'),
        ('warm-gone', 'there is no such repository'),
        ('warm-gated', 'Ask for access'),
        ('warm-500', 'answered 500'),
        ('warm-reset', 'no usable answer'),
    ],
)
def test_a_copy_in_the_cache_is_used_with_a_warning_that_says_why(warm, name, reason):
    assert warm[0][name]['result'] == pulled(name) and not warm[0][name]['said']
    outcome = warm[1][name]
    assert outcome['result'] == pulled(name)
    (line,) = outcome['said']
    assert reason in line and 'Used is the copy in the cache, of commit' in line
    assert not outcome['waits']


def test_a_branch_that_is_gone_is_an_error_also_with_a_copy(warm):
    kind, found = failure(warm[1]['warm-branch'])
    assert kind == 'ValueError' and 'no branch, tag or commit' in found


def test_a_commit_in_the_cache_needs_no_hub(warm):
    assert warm[1]['commit'] == {'result': pulled('warm-500'), 'said': [], 'waits': []}


def test_a_forced_download_never_falls_back(warm):
    assert failure(warm[1]['forced'])[0] == 'ConnectionError'


def test_a_newer_commit_is_pulled_but_what_did_not_change_is_not(warm):
    expected = {**pulled('newer'), WEIGHTS: pulled('warm-moved')[WEIGHTS]}
    assert warm[1]['warm-moved']['result'] == expected
    assert warm[4] == 1


def test_a_cache_that_was_corrupted_later_is_repaired(warm):
    outcome = warm[1]['warm-flip']
    assert outcome['result'] == pulled('warm-flip')
    assert [line.split(' from ')[0] for line in outcome['said']] == [
        'cannot load config.json',
        f'cannot load {WEIGHTS}',
    ]
    assert all('the copy in the cache is corrupt' in line for line in outcome['said'])
    assert warm[1]['again'] == {'result': pulled('warm-flip'), 'said': [], 'waits': []}


def test_a_corrupted_cache_offline_is_an_error_that_says_what_to_do(warm):
    report = warm[1]
    kind, found = failure(report['offline'])
    assert kind == 'FileNotFoundError'
    assert f'cannot load {HEAD}' in found and 'corrupt' in found and 'Load it once with the network on' in found
    assert report['removed']
    assert failure(report['offline again'])[0] == 'FileNotFoundError'
    assert failure(report['offline and forced'])[0] == 'ValueError'
    assert report['online']['result'] == pulled('warm-flip')


def test_repositories_that_are_no_detectors(tmp_path):
    big = b'{"a": "' + b'x' * CONFIG_LIMIT + b'"}'
    with HubServer() as server:
        server.add_repo('org/empty')
        server.add_repo('org/big-config', {**content('big-config'), 'config.json': big})
        server.add_repo('org/pickle', {'config.json': b'{}', 'pytorch_model.bin': b'pickle'})
        code = (
            PRELUDE
            + """
for name in ('empty', 'big-config', 'pickle'):
    pull(name)
attempt('up', hub.pull, 'org/pickle', revision='../../up')
print(json.dumps(report))
"""
        )
        report = last_line(run_client(server, code, tmp_path))
        # Nothing was fetched to find that out.
        assert not server.requests('GET', '/resolve/') and not server.requests('GET', '/storage/')
    found = {name: failure(outcome) for name, outcome in report.items()}
    assert {kind for kind, _ in found.values()} == {'ValueError'}
    assert 'the repository has no such file' in found['empty'][1]
    assert f'config.json has {len(big)} bytes, expected at most {CONFIG_LIMIT}' in found['big-config'][1]
    assert WEIGHTS in found['pickle'][1] and 'never from a pickle' in found['pickle'][1]
    assert 'not the name of a branch' in found['up'][1]


def without_lists_of_hashes(reply):
    """The list of files says nothing of what is in them."""
    answer = json.loads(reply.body)
    for file in answer['siblings']:
        file.pop('lfs', None), file.pop('blobId', None), file.pop('size', None)
    return reply._replace(body=json.dumps(answer).encode())


def test_answers_that_contradict_each_other(tmp_path):
    names = ['same-etag', 'same-hash', 'commits', 'etag-alone', 'nothing-stated']
    with HubServer() as server:
        older = {name: server.add_repo(f'org/{name}', content(f'old {name}')).branches['main'] for name in names}
        newer = {name: server.add_commit(f'org/{name}', content(name)) for name in names}
        server.spoil_next('HEAD', '/org/same-etag/', stale_etag('same'), math.inf)
        config = server.repos['org/same-hash'].resolve('main').files['config.json'].etag
        server.spoil_next('HEAD', '/org/same-hash/', stale_etag(config), math.inf)
        server.spoil_next('HEAD', '/org/commits/resolve/main', with_headers(X_Repo_Commit=older['commits']), 1)
        for file in (WEIGHTS, HEAD):
            part = f'/org/commits/resolve/{older["commits"]}/{file}'
            server.spoil_next('HEAD', part, with_headers(X_Repo_Commit=newer['commits']), math.inf)
        server.spoil_next('GET', '/api/models/org/etag-alone/', without_lists_of_hashes, math.inf)
        server.spoil_next('GET', '/api/models/org/nothing-stated/', without_lists_of_hashes, math.inf)
        server.spoil_next('HEAD', '/org/nothing-stated/', stale_etag('abc-5'), math.inf)
        code = f"""
def cached(name):
    for revision, files in ((None, 'main'), ({older!r}[name], 'older'), ({newer!r}[name], 'newer')):
        attempt(f'{{name}} cached {{files}}', hub.pull, f'org/{{name}}', revision=revision, local_files_only=True)

for name in {names}:
    pull(name)
    cached(name)
print(json.dumps(report))
"""
        report = last_line(run_client(server, PRELUDE + code, tmp_path))
        server.mend()
        code = f'for name in {names}:\n    pull(name)\nprint(json.dumps(report))\n'
        honest = last_line(run_client(server, PRELUDE + code, tmp_path))
    for name in names:
        assert honest[name]['result'] == pulled(name)
        for files, right in (('main', name), ('older', f'old {name}'), ('newer', name)):
            found = report[f'{name} cached {files}']['result']
            assert found == pulled(right) or found[0] == 'FileNotFoundError', (name, files)
    # A name that is no hash is of no account where the list of files has one.
    assert report['same-etag']['result'] == pulled('same-etag')
    assert report['etag-alone']['result'] == pulled('etag-alone')
    for name, kind, message in (
        ('same-hash', 'ValueError', 'twice it was not what the Hub states'),
        ('commits', 'ConnectionError', f'its X-Repo-Commit is {newer["commits"]!r}, asked for was {older["commits"]}'),
        ('nothing-stated', 'ValueError', 'the Hub states no hash of it'),
    ):
        found_kind, found = failure(report[name])
        assert found_kind == kind and message in found, found


# Pushing

PUSH_FAULTS = {
    # The first push meets both.
    'create': ('POST', '/api/repos/create', 500, 1),
    'validate': ('POST', '/api/validate-yaml', 500, 1),
    'refused-once': ('POST', '/api/models/org/refused-once/commit/', 503, 1),
    'preupload': ('POST', '/api/models/org/preupload/preupload/', 500, 1),
    'commit-always': ('POST', '/api/models/org/commit-always/commit/', 503, math.inf),
}


def without_hashes(reply):
    """An answer before an upload need not say what the repository holds."""
    answer = json.loads(reply.body)
    for file in answer['files']:
        file.pop('oid', None)
    return reply._replace(body=json.dumps(answer).encode())


@pytest.fixture(scope='module')
def pushed(tmp_path_factory):
    folder = tmp_path_factory.mktemp('push')
    for name in ('saved', 'unstorable'):
        weights = {'weight': torch.full((1000,), float(len(name)))}
        save_folder(folder / name, {'name': name}, weights, {'bias': torch.ones(3)}, CARD)
        (folder / name / 'model.onnx').write_bytes(b'not to be pushed')
    shutil.copytree(folder / 'saved', folder / 'pictured')
    (folder / 'pictured' / 'predictions.png').write_bytes(b'picture')
    unstorable = hashlib.sha256((folder / 'unstorable' / WEIGHTS).read_bytes()).hexdigest()
    with HubServer() as server:
        for method, part, status, times in PUSH_FAULTS.values():
            server.fail_next(method, part, status, times)
        server.fail_next('PUT', unstorable, 500, math.inf)
        server.spoil_next('POST', '/api/models/org/lost/commit/', reset)
        server.spoil_next('POST', '/api/models/org/lost/preupload/', without_hashes, math.inf)
        server.spoil_next('POST', '/api/models/org/lost-request/commit/', reset)
        code = (
            PRELUDE
            + f"""
def push(name, folder='saved', **options):
    attempt(name, hub.push_folder, folder, 'org/' + name.split()[0], **options)

for name in {[*PUSH_FAULTS, 'lost', 'pictured']}:
    push(name, 'pictured' if name == 'pictured' else 'saved')
push('storage', 'unstorable')
push('storage again')
push('lost again')
push('lost-request', create_pr=True)
attempt('dry', hub.push_folder, 'pictured', 'org/dry', dry_run=True)
print(json.dumps(report))
"""
        )
        report = last_line(run_client(server, code, folder))
    return server, report, folder


@pytest.mark.parametrize('name', ['create', 'validate', 'refused-once', 'preupload', 'lost'])
def test_a_push_survives_a_fault_and_makes_one_commit(pushed, name):
    server, report, _ = pushed
    newest, first = server.repos[f'org/{name}'].history()
    assert report[name]['result'] == f'{server.url}/org/{name}/commit/{newest.oid}'
    assert server.repos[f'org/{name}'].changed_files() == {*LOADED_NAMES, 'README.md'}
    # What the client repeats by itself is not ours to tell.
    expected = {'create': 2, 'validate': 0, 'refused-once': 1, 'preupload': 0, 'lost': 1}[name]
    assert len([line for line in report[name]['said'] if 'Attempt 1 of 4 failed' in line]) == expected


def test_a_push_that_fails_for_good_commits_nothing_and_may_be_repeated(pushed):
    server, report, _ = pushed
    assert failure(report['commit-always'])[0] == failure(report['storage'])[0] == 'ConnectionError'
    assert len(server.requests('POST', 'org/commit-always/commit/')) == 4
    assert len(server.repos['org/commit-always'].history()) == 1
    assert 'answered 500' in failure(report['storage'])[1]
    assert len(server.repos['org/storage'].history()) == 2
    assert report['lost again']['result'] == report['lost']['result']


def test_a_pull_request_is_not_opened_twice(pushed):
    server, report, _ = pushed
    assert failure(report['lost-request'])[0] == 'ConnectionError'
    assert len(server.repos['org/lost-request'].pull_requests) == 1


def test_the_picture_is_pushed_where_there_is_one(pushed):
    assert pushed[0].repos['org/pictured'].changed_files() == {*LOADED_NAMES, 'README.md', 'predictions.png'}


def test_a_dry_run_tells_the_files_without_the_network(pushed):
    server, report, folder = pushed
    names = [*LOADED_NAMES, 'README.md', 'predictions.png']
    sizes = [[name, (Path(folder) / 'pictured' / name).stat().st_size] for name in names]
    assert report['dry']['result'] == sizes
    assert not [entry for entry in server.log if 'org/dry' in entry.path]


def test_edits_of_the_card_survive_the_next_push(tmp_path):
    weights = {'weight': torch.ones(1)}
    save_folder(tmp_path / 'saved', {}, weights, {'bias': torch.ones(2)}, CARD)
    shutil.copytree(tmp_path / 'saved', tmp_path / 'newer')
    (tmp_path / 'newer' / 'README.md').write_text(CARD.replace('# A', '# A better'))
    edited = CARD.replace('license: apache-2.0', 'license: mit\nlanguage: en') + '\n## Mine\nTwo words.\n'
    code = (
        PRELUDE
        + f"""
from huggingface_hub import HfApi

hub.push_folder('saved', 'org/card')
HfApi().upload_file(path_or_fileobj={edited.encode()}, path_in_repo='README.md', repo_id='org/card')
hub.push_folder('newer', 'org/card')
hub.push_folder('newer', 'org/card')

# Somebody edits the card between our look at it and our commit.
merge, edits = hub.upload.merge_card, [b'At the last moment.']
def overtaken(old, new, **options):
    while edits:
        late = old.encode() + edits.pop()
        HfApi().upload_file(path_or_fileobj=late, path_in_repo='README.md', repo_id='org/card')
    return merge(old, new, **options)
hub.upload.merge_card = overtaken
hub.push_folder('saved', 'org/card')
"""
    )
    with HubServer() as server:
        run_client(server, code, tmp_path)
    repo = server.repos['org/card']
    last, late, newer, *_ = repo.history()
    assert len(repo.history()) == 6
    assert repo.files(newer.oid)['README.md'].decode() == edited.replace('# A', '# A better')
    assert repo.changed_files(newer.oid) == {'README.md'}
    assert repo.files(last.oid)['README.md'].decode() == edited + 'At the last moment.'


def test_a_cache_without_links_checks_its_files_again_too(tmp_path):
    code = """
import json, logging, sys
from pathlib import Path
from huggingface_hub import constants, file_download, hf_hub_download
from mbv3zoo import hub
from mbv3zoo.hub import cache

file_download.are_symlinks_supported = cache.are_symlinks_supported = lambda *folder: False
said = []
handler = logging.Handler()
handler.emit = lambda record: said.append(record.getMessage())
logging.getLogger('mbv3zoo.hub').addHandler(handler)

def spoil(path):
    data = path.read_bytes()
    path.write_bytes(data[:9] + b'?' + data[10:])

path = hub.pull('org/plain')['model.safetensors']
whole = path.read_bytes()
assert not path.is_symlink() and not said
for options in ({'local_files_only': True}, {}):
    spoil(path)
    try:
        assert hub.pull('org/plain', **options)['model.safetensors'].read_bytes() == whole
    except FileNotFoundError as error:
        assert options and 'corrupt there' in str(error), error
        assert hub.pull('org/plain')['model.safetensors'].read_bytes() == whole
    assert len(said) == 1 and 'its hash is' in said.pop()

# What the client itself put there has no record, and is taken as it is.
spoil(Path(hf_hub_download('org/other', 'model.safetensors')))
assert hub.pull('org/other')['model.safetensors'].read_bytes()[9:10] == b'?'
"""
    with HubServer() as server:
        for name in ('plain', 'other'):
            server.add_repo(f'org/{name}', content(name))
        run_client(server, code, tmp_path)


def test_a_repository_that_does_not_fit_itself_is_told_by_its_name(tmp_path):
    weights, record = {'weight': torch.ones(3)}, {'backbone': 'test_resnet', 'num_classes': 2}
    folder = save_folder(tmp_path / 'saved', {'library_name': 'mbv3zoo', 'detector': record}, weights, weights, CARD)
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    exchanged = files | {WEIGHTS: files[HEAD]}
    code = """
import mbv3zoo

def check(name, *words, **options):
    try:
        mbv3zoo.create_detector(name, pretrained=True, **options)
    except ValueError as error:
        assert all(word in str(error) for word in (name, *words)) and '\\n' not in str(error), error
    else:
        raise AssertionError(name)

check('org/exchanged', 'model.safetensors is not the file that was saved', 'the owner removes the entry', 'hf download')
check('org/alike', 'bn1.bias is missing')
check('hf-hub:org/damaged', 'model.safetensors is corrupt')
check('hf-hub:org/empty', 'conv1.0.weight is missing')
"""
    record = json.dumps({'architecture': 'test_resnet', 'pretrained_cfg': {}, 'sha256': 'of their own'}).encode()
    with HubServer() as server:
        server.add_repo('org/exchanged', exchanged)
        server.add_repo('org/alike', files)
        server.add_repo('org/damaged', {'config.json': record, WEIGHTS: b'not safetensors'})
        server.add_repo('org/empty', {'config.json': record, WEIGHTS: safetensors.torch.save({})})
        run_client(server, code, tmp_path)
