"""Files that travel by Xet while its storage server fails for good, by the real client in processes of their own."""

import contextlib
import hashlib
import json
import logging
import math
import threading
import time

import pytest
from hub_folders import NAMES, save
from hub_server import run_client
from huggingface_hub import constants
from xet_server import (
    FailingStorage,
    XetHubServer,
    closed_storage,
    cut,
    drip,
    hang,
    noise,
    reset,
    status,
)

from mbv3zoo.hub import xet
from mbv3zoo.hub.xet import Transfers

WEIGHTS = 'model.safetensors'
FAULTS = {
    'refused': None,
    'hang': hang,
    'drip': drip,
    'cut': cut,
    'reset': reset,
    'noise': noise,
    'empty': status(200, b'{}'),
    'page': status(200, b'<html>Log in</html>'),
    'patience': status(429, Retry_After='3600'),
    **{str(code): status(code) for code in (400, 401, 403, 404, 416, 429, 500, 503)},
}
TOKEN_FAULTS = {'token-401': 401, 'token-403': 403, 'token-404': 404, 'token-500': 500}
READS = [*FAULTS, *TOKEN_FAULTS, 'token-hang']
PUSHES = [f'push-{name}' for name in ('refused', 'hang', 'reset', 'empty', '401', '404', '500', 'token-403')]
WITH_XET = {'HF_HUB_DISABLE_XET': '0'}

# `attempt` records what a call returned or raised, with the causes, what was logged, and how long it took.
PRELUDE = """
import json, logging, time, warnings
from pathlib import Path

from mbv3zoo import hub
from mbv3zoo.hub import xet

warnings.simplefilter('ignore')
said, report = [], {}
time.sleep = lambda seconds: None
handler = logging.Handler()
handler.emit = lambda record: said.append(record.getMessage())
logging.getLogger('mbv3zoo.hub').addHandler(handler)
logging.getLogger('mbv3zoo.hub').propagate = False

def attempt(name, function, *arguments, **options):
    said.clear()
    start = time.monotonic()
    try:
        result = function(*arguments, **options)
        if isinstance(result, dict):
            result = {key: Path(path).read_bytes().hex() for key, path in result.items()}
    except (Exception, KeyboardInterrupt) as error:
        result = [type(error).__name__, str(error), type(error.__cause__).__name__]
    report[name] = {'result': result, 'said': list(said), 'seconds': time.monotonic() - start}

def quick():
    xet.TELL_EVERY, xet.LONGEST_WAIT, xet.SLOWEST_UPLOAD = 0.1, 0.3, 1e9
"""


def content(name):
    return {'config.json': b'{}', WEIGHTS: f'backbone of {name}'.encode() * 5000}


@contextlib.contextmanager
def failing_hub(folder):
    """The server, with a repository for each fault, and a storage that works in a folder."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(XetHubServer(f'local://{folder}'))
        for name, answer in FAULTS.items():
            storage = stack.enter_context(FailingStorage(answer) if answer else closed_storage())
            url = storage.url if answer else storage
            server.cas_urls[f'org/{name}'] = server.cas_urls[f'org/push-{name}'] = url
        server.token_urls['org/token-hang'] = stack.enter_context(FailingStorage(hang)).url
        for name, code in TOKEN_FAULTS.items():
            for repo_id in (f'/org/{name}/', f'/org/push-{name}/'):
                server.fail_next('GET', f'{repo_id}xet-', code, math.inf)
        yield server


@pytest.fixture(scope='module')
def served(tmp_path_factory):
    """The server, and what was reported of reads and pushes."""
    folder = tmp_path_factory.mktemp('xet')
    for seed, name in enumerate(['push-healthy', *PUSHES]):
        save(folder / name, seed)
    with failing_hub(folder / 'cas') as server:
        for name in [*READS, 'healthy']:
            server.add_repo(f'org/{name}', content(name))
        server.store(content('healthy')[WEIGHTS], server.cas_url)
        for path in (folder / 'push-healthy').iterdir():
            server.expect(path.read_bytes())
        code = f"""
attempt('healthy', hub.pull, 'org/healthy', ('config.json', {WEIGHTS!r}))
attempt('push-healthy', hub.push_folder, 'push-healthy', 'org/push-healthy')
quick()
for name in {READS}:
    attempt(name, hub.pull, 'org/' + name, ('config.json', {WEIGHTS!r}))
for name in {PUSHES}:
    attempt(name, hub.push_folder, name, 'org/' + name)
report['left'] = [str(path) for path in Path('hf_home').rglob('*.incomplete')]
print(json.dumps(report))
"""
        process = run_client(server, PRELUDE + code, folder, WITH_XET)
    return server, json.loads(process.stdout.splitlines()[-1])


@pytest.mark.parametrize('name', READS)
def test_a_read_that_xet_fails_for_good_comes_over_plain_http_with_a_warning(served, name):
    server, report = served
    outcome = report[name]
    assert outcome['result'] == {file: data.hex() for file, data in content(name).items()}
    failed = [line for line in outcome['said'] if 'falling back to plain HTTP.' in line]
    assert len(failed) == 1
    assert failed[0].startswith(f'Downloading {WEIGHTS} from org/{name}: Xet failed (')
    assert outcome['seconds'] < 10
    assert len(server.requests('GET', '/storage/' + hashlib.sha256(content(name)[WEIGHTS]).hexdigest())) == 1


@pytest.mark.parametrize('name', ['refused', 'hang', 'drip', '503', 'patience'])
def test_a_read_that_waits_says_so(served, name):
    said = served[1][name]['said']
    assert [line for line in said if ': no progress for' in line and 'falling back to plain HTTP after' in line]


def test_a_read_that_waits_can_be_interrupted(tmp_path):
    code = f"""
import os, signal, threading
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
hub.pull  # imported by now, as an import that is interrupted is another matter
threading.Timer(0.5, os.kill, [os.getpid(), signal.SIGINT]).start()
attempt('interrupted', hub.pull, 'org/hang', ({WEIGHTS!r},))
print(json.dumps(report))
"""
    with failing_hub(tmp_path / 'cas') as server:
        server.add_repo('org/hang', content('hang'))
        report = json.loads(run_client(server, PRELUDE + code, tmp_path, WITH_XET).stdout.splitlines()[-1])
    assert report['interrupted']['result'][0] == 'KeyboardInterrupt', report['interrupted']['said']
    assert report['interrupted']['seconds'] < 10


def test_a_failed_read_leaves_no_partial_file(served):
    assert served[1]['left'] == []


def test_a_read_by_xet_that_works_is_left_alone(served):
    server, report = served
    assert report['healthy']['result'] == {file: data.hex() for file, data in content('healthy').items()}
    assert report['healthy']['said'] == []
    assert not server.requests('GET', '/storage/' + hashlib.sha256(content('healthy')[WEIGHTS]).hexdigest())


@pytest.mark.parametrize('name', PUSHES)
def test_a_push_that_xet_fails_for_good_goes_over_plain_http_in_one_commit(served, name):
    server, report = served
    newest, _ = server.repos[f'org/{name}'].history()
    assert report[name]['result'] == f'{server.url}/org/{name}/commit/{newest.oid}'
    assert server.repos[f'org/{name}'].changed_files() == NAMES
    failed = [line for line in report[name]['said'] if 'falling back to plain HTTP.' in line]
    assert len(failed) == 1
    assert failed[0].startswith(f'Uploading to org/{name}: Xet failed (')


def test_a_push_by_xet_that_works_is_left_alone(served):
    server, report = served
    assert server.repos['org/push-healthy'].changed_files() == NAMES
    assert report['push-healthy']['said'] == []
    assert len(server.requests('PUT', '/storage/')) == 2 * len(PUSHES)


@pytest.fixture(scope='module')
def without_plain(tmp_path_factory):
    """What happens where neither Xet nor plain HTTP works, and afterwards in the same process when Xet does."""
    folder = tmp_path_factory.mktemp('without_plain')
    saved = save(folder / 'saved')
    with failing_hub(folder / 'cas') as server:
        server.plain = False
        server.add_repo('org/hang', content('hang'))
        for path in saved.iterdir():
            server.expect(path.read_bytes())
        process = run_client(
            server,
            PRELUDE
            + f"""
import os, urllib.request

quick()
attempt('pull failed', hub.pull, 'org/hang', ({WEIGHTS!r},))
attempt('push failed', hub.push_folder, 'saved', 'org/push-500')
history = os.environ['HF_ENDPOINT'] + '/api/models/org/push-500/commits/main'
request = urllib.request.Request(history, headers={{'Authorization': 'Bearer hf_test'}})
report['commits'] = len(json.load(urllib.request.urlopen(request)))
urllib.request.urlopen(os.environ['HF_ENDPOINT'] + '/mend')
attempt('pull mended', hub.pull, 'org/hang', ({WEIGHTS!r},))
xet.LONGEST_WAIT = 30.0
attempt('push mended', hub.push_folder, 'saved', 'org/push-500')
print(json.dumps(report))
""",
            folder,
            WITH_XET,
        )
    return server, json.loads(process.stdout.splitlines()[-1])


def test_where_plain_http_fails_too_the_error_names_both_and_has_the_cause(without_plain):
    server, report = without_plain
    for call, named in (('pull failed', [WEIGHTS, "'org/hang'"]), ('push failed', ["'org/push-500'"])):
        kind, message, cause = report[call]['result']
        assert kind == 'ConnectionError'
        assert cause in ('RuntimeError', 'ConnectionError')
        for part in (*named, 'Xet failed (', 'and so did plain HTTP (', 'try again'):
            assert part in message
    assert 'Xet failed (no progress for' in report['pull failed']['result'][1]
    assert report['commits'] == 1


def test_what_failed_works_later_in_the_same_process(without_plain):
    server, report = without_plain
    assert report['pull mended']['result'] == {WEIGHTS: content('hang')[WEIGHTS].hex()}
    # By Xet again.
    assert server.repos['org/push-500'].changed_files() == NAMES
    assert not [line for line in report['push mended']['said'] if 'Xet failed' in line]
    assert not server.requests('PUT', '/storage/')


# Without a server.


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(xet, 'TELL_EVERY', 0.05)
    monkeypatch.setattr(xet, 'LONGEST_WAIT', 0.2)
    monkeypatch.setattr(xet, '_shows_bars', lambda: False)


class PanicException(BaseException):
    """As the one that a panic in Rust becomes."""


def run(call, transfers=None):
    return (transfers or Transfers()).run(call, 'Downloading it', 'cannot load it')


@pytest.mark.parametrize('error', [RuntimeError('a'), OSError('b'), PanicException('c'), PermissionError('d')])
def test_whatever_xet_raises_the_file_comes_over_plain_http(error, caplog, monkeypatch):
    def xet_get():
        raise error

    def call(_):
        if not constants.HF_HUB_DISABLE_XET:
            xet_get()
        return 'done'

    monkeypatch.setattr(constants, 'HF_HUB_DISABLE_XET', False)
    assert run(call) == 'done'
    assert constants.HF_HUB_DISABLE_XET is False
    assert [record.levelname for record in caplog.records] == ['WARNING']


@pytest.mark.parametrize('error', [KeyboardInterrupt(), SystemExit()])
def test_an_interruption_is_no_failure_of_xet(error):
    def xet_get(_):
        raise error

    with pytest.raises(type(error)):
        run(xet_get)


def test_a_failure_outside_of_xet_is_not_tried_over_plain_http(caplog):
    calls = []

    def call(_):
        calls.append(constants.HF_HUB_DISABLE_XET)
        raise OSError('no space left')

    with pytest.raises(OSError, match='no space left'):
        run(call)
    assert len(calls) == 1 and not caplog.records


def test_a_transfer_that_moves_is_told_and_never_stopped(quick, caplog, monkeypatch):
    monkeypatch.setattr(xet, 'abort_xet_session', lambda: pytest.fail('stopped'))

    def call(bars):
        with bars(total=10**7, disable=True) as bar:
            for _ in range(8):
                time.sleep(0.05)
                bar.update(500_000)

    with caplog.at_level(logging.INFO, 'mbv3zoo.hub'):
        run(call)
    # On a busy machine a wait may be so long that it is warned of.
    told = [record.getMessage() for record in caplog.records if record.levelname == 'INFO']
    assert len(told) >= 2
    assert all(line.startswith('Downloading it: ') and ' MB in ' in line for line in told)


def test_a_few_bytes_are_no_progress(quick, caplog, monkeypatch):
    stopped = threading.Event()
    monkeypatch.setattr(xet, 'abort_xet_session', stopped.set)

    def call(bars):
        with bars(disable=True) as bar:
            while not stopped.wait(0.02):
                bar.update(10)

    run(call)
    assert 'Downloading it: no progress for' in caplog.records[0].getMessage()


def test_an_upload_has_time_by_its_size(quick, monkeypatch):
    monkeypatch.setattr(xet, 'SLOWEST_UPLOAD', 1_000_000)
    stopped = []
    monkeypatch.setattr(xet, 'abort_xet_session', lambda: stopped.append(1))
    Transfers().run(lambda _: time.sleep(0.4), 'Uploading it', 'cannot push it', upload=2_000_000)
    assert not stopped
    Transfers().run(lambda _: time.sleep(0.4), 'Uploading it', 'cannot push it', upload=1000)
    assert stopped


def test_no_thread_is_left(quick):
    before = threading.active_count()
    for _ in range(3):
        run(lambda bars: bars(disable=True).close())
    assert threading.active_count() == before


def test_the_switch_of_the_client_is_put_back_after_the_last_of_several(monkeypatch):
    monkeypatch.setattr(constants, 'HF_HUB_DISABLE_XET', False)
    first, second = xet._plain_http(), xet._plain_http()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert constants.HF_HUB_DISABLE_XET is True
    second.__exit__(None, None, None)
    assert constants.HF_HUB_DISABLE_XET is False
