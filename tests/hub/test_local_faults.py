"""What is wrong on this side: the cache, its folder, the token, the settings in the environment."""

import json

import pytest
from hub_folders import save
from hub_server import HubServer, run_client

CODE = """
import json, logging, os, resource, sys, time, warnings
from pathlib import Path

import mbv3zoo
from huggingface_hub import constants
from mbv3zoo import hub

warnings.simplefilter('ignore')
logging.disable()
time.sleep = lambda seconds: None
report = {}

def attempt(name, function, *arguments, **options):
    try:
        result = function(*arguments, **options)
        found = {key: path.read_bytes() for key, path in result.items()} if isinstance(result, dict) else result
        report[name] = ['returned', found == {path.name: path.read_bytes() for path in Path('saved').iterdir()
                                              if path.name != 'README.md'} if isinstance(found, dict) else found]
    except Exception as error:
        report[name] = [type(error).__name__, str(error), type(error.__cause__).__name__]

"""


def run(server, tmp_path, code, **env):
    process = run_client(server, CODE + code + '\nprint(json.dumps(report))', tmp_path, env)
    return json.loads(process.stdout.splitlines()[-1])


@pytest.fixture
def server(tmp_path):
    folder = save(tmp_path / 'saved')
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    with HubServer() as server:
        server.add_repo('org/name', files)
        yield server


GARBAGE = {
    'empty': '',
    'binary': '\\xff\\xfe\\0',
    'path': '../../../../etc',
    'no commit': 'main',
    'another commit': 'd' * 40,
    'commit and more': 'd' * 40 + '\\n../..',
    'long': 'x' * 100_000,
}


def test_a_cache_that_holds_garbage(server, tmp_path):
    code = f"""
main = Path(constants.HF_HUB_CACHE, 'models--org--name/refs/main')
attempt('first', hub.pull, 'org/name')
for name, text in {GARBAGE}.items():
    main.write_bytes(text.encode('latin-1'))
    attempt(f'offline, {{name}}', hub.pull, 'org/name', local_files_only=True)
    attempt(f'online, {{name}}', hub.pull, 'org/name')
    report[name] = main.read_text()
main.unlink(); main.mkdir()
attempt('offline, folder', hub.pull, 'org/name', local_files_only=True)
attempt('online, folder', hub.pull, 'org/name')
commit = {server.repos['org/name'].branches['main']!r}
snapshot = main.parents[1] / 'snapshots' / commit
# Where the commit stands for another, and where its file is one of another name.
(main.parent / commit).write_text('d' * 40)
attempt('commit', hub.pull, 'org/name', local_files_only=True, revision=commit)
link = snapshot / 'config.json'
link.unlink(); link.symlink_to(os.readlink(snapshot / 'model.safetensors'))
attempt('dangling', hub.pull, 'org/name', local_files_only=True, revision='none')
link.unlink(); link.symlink_to('../../blobs/same')
(main.parents[1] / 'blobs/same').write_bytes(b'unverified')
attempt('unverifiable', hub.pull, 'org/name', local_files_only=True, revision=commit)
attempt('mended', hub.pull, 'org/name', revision=commit)
"""
    report = run(server, tmp_path, code)
    whole = ['returned', True]
    for name in [*GARBAGE, 'folder']:
        assert report[f'online, {name}'] == whole, name
        kind, text, _ = report[f'offline, {name}']
        assert kind == 'FileNotFoundError' and "from 'org/name'" in text, name
        assert name == 'folder' or report[name] == server.repos['org/name'].branches['main']
    assert report['commit'] == report['mended'] == report['first'] == whole
    assert report['dangling'][0] == report['unverifiable'][0] == 'FileNotFoundError'


def test_a_cache_that_cannot_be_used_is_named(server, tmp_path):
    code = """
Path('file').write_bytes(b'')
attempt('a file', hub.pull, 'org/name', cache_dir='file')
attempt('below a file', mbv3zoo.load, 'org/name', cache_dir='file/cache')
attempt('no file system for it', hub.pull, 'org/name', cache_dir='/proc/no/such')
attempt('long', hub.pull, 'org/name', cache_dir='x' * 300)
Path('blobs').mkdir()
Path('blobs/models--org--name').write_bytes(b'')
attempt('a file for the repository', hub.pull, 'org/name', cache_dir='blobs')
sys.stdout.flush()
limit = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (10, limit[1]))
attempt('full', hub.pull, 'org/name', cache_dir='full')
resource.setrlimit(resource.RLIMIT_FSIZE, limit)
report['left'] = [str(path) for path in Path('full').rglob('*.safetensors')]
attempt('then', hub.pull, 'org/name', cache_dir='full')
"""
    report = run(server, tmp_path, code)
    assert report.pop('then') == ['returned', True] and report.pop('left') == []
    places = {'a file': 'file', 'below a file': 'file/cache', 'long': 'x' * 300, 'full': 'full'}
    places |= {'a file for the repository': 'blobs', 'no file system for it': '/proc/no/such'}
    assert report.keys() == places.keys()
    for name, (kind, text, cause) in report.items():
        assert kind != 'returned' and kind == cause and kind.endswith('Error'), (name, kind, cause)
        assert f'{tmp_path / places[name]} cannot be used: ' in text and "'org/name'" in text
        assert name == 'long' or 'HF_HOME' in text


def test_a_home_that_is_a_file_is_named(server, tmp_path):
    (tmp_path / 'home').write_bytes(b'')
    code = """
attempt('pull', hub.pull, 'org/name')
attempt('load', mbv3zoo.load, 'org/name')
attempt('backbone', mbv3zoo.create_detector, 'hf-hub:org/name', pretrained=True)
attempt('offline', hub.pull, 'org/name', local_files_only=True)
attempt('push', hub.push_folder, 'saved', 'org/pushed')
"""
    report = run(server, tmp_path, code, HF_HOME=str(tmp_path / 'home'), HF_TOKEN='')
    assert report.pop('offline')[0] == 'FileNotFoundError'
    for name, (kind, text, cause) in report.items():
        assert kind == cause == 'NotADirectoryError' and str(tmp_path / 'home') in text and 'HF_HOME' in text, (
            name,
            text,
        )


def test_a_stored_token_that_cannot_be_sent_is_told_and_not_shown(server, tmp_path):
    code = """
attempt('pull', hub.pull, 'org/name')
attempt('push', hub.push_folder, 'saved', 'org/pushed')
attempt('without', hub.pull, 'org/name', token=False)
"""
    report = run(server, tmp_path, code, HF_TOKEN='hf_sécret')
    assert report.pop('without') == ['returned', True]
    for kind, text, cause in report.values():
        assert kind == 'ValueError' and 'holds a character that no token has' in text and 'cret' not in text
        assert cause == 'UnicodeEncodeError'


def test_a_token_that_is_asked_for_and_not_there(server, tmp_path):
    report = run(server, tmp_path, "attempt('pull', hub.pull, 'org/name', token=True)", HF_TOKEN='')
    assert report['pull'][0] == 'ValueError' and 'token=True asks for the stored token' in report['pull'][1]


def test_a_push_without_the_network_says_how_to_turn_it_on(server, tmp_path):
    code = """
detector = mbv3zoo.create_detector('test_resnet', num_classes=1, image_size=64)
attempt('folder', hub.push_folder, 'saved', 'org/pushed')
attempt('detector', detector.push_to_hub, 'org/pushed')
attempt('dry', hub.push_folder, 'saved', 'org/pushed', dry_run=True)
"""
    report = run(server, tmp_path, code, HF_HUB_OFFLINE='1')
    assert report.pop('dry')[0] == 'returned'
    for kind, text, _ in report.values():
        assert kind == 'ConnectionError' and "'org/pushed'" in text and 'HF_HUB_OFFLINE' in text


@pytest.mark.parametrize('endpoint', ['nonsense', 'http://'])
def test_an_endpoint_that_is_none_is_named(server, tmp_path, endpoint):
    code = """
attempt('pull', hub.pull, 'org/name')
attempt('push', hub.push_folder, 'saved', 'org/pushed')
"""
    for kind, text, cause in run(server, tmp_path, code, HF_ENDPOINT=endpoint).values():
        assert kind == 'ConnectionError' and endpoint in text and 'HF_ENDPOINT' in text and cause != 'NoneType'
