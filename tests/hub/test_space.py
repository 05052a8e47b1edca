"""Pushing a folder as a Space, by the real client to the loopback server."""

import time

import pytest
from hub_server import HubServer, in_process

from mbv3zoo.hub.space import push_space

HEADER = '---\ntitle: Parts\nsdk: static\ntags:\n- mbv3zoo\n---\n'


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setenv('HF_TOKEN', 'hf_test')
    monkeypatch.setattr(time, 'sleep', lambda seconds: None)
    with HubServer() as server, in_process(server, tmp_path / 'cache'):
        yield server


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / 'page'
    (folder / 'runtime').mkdir(parents=True)
    (folder / 'README.md').write_text(HEADER)
    (folder / 'index.html').write_text('<p>')
    (folder / 'model.onnx').write_bytes(b'model')
    (folder / 'runtime' / 'a.wasm').write_bytes(b'wasm')
    # Hidden ones stay here.
    (folder / '.git').mkdir()
    for name in ('.lock', '.env', '.git/HEAD'):
        (folder / name).touch()
    return folder


def test_all_files_go_in_one_commit_and_again_in_none(server, folder):
    address = push_space(folder, 'org/page')
    space = server.repos['space:org/page']
    assert address.startswith(f'{server.url}/spaces/org/page/commit/')
    assert space.files() == {
        '.gitattributes': space.files()['.gitattributes'], 'README.md': HEADER.encode(), 'index.html': b'<p>',
        'model.onnx': b'model', 'runtime/a.wasm': b'wasm',
    }  # fmt: skip
    assert len(space.history()) == 2 and push_space(folder, 'org/page') == address and len(space.history()) == 2
    (folder / 'index.html').write_text('<b>')
    push_space(folder, 'org/page')
    assert space.changed_files() == {'index.html'}
    assert push_space(folder, 'org/page', create_pr=True, token='hf_test').endswith('/commit/' + space.history()[0].oid)


def test_a_lost_answer_and_a_server_that_stumbles_end_in_one_commit(server, folder):
    server.fail_next('POST', '/commit/', 503, times=2)
    push_space(folder, 'org/page', private=True)
    assert len(server.repos['space:org/page'].history()) == 2 and server.repos['space:org/page'].private


@pytest.mark.parametrize('files', [{'app.py': b'mine'}, {'README.md': b'---\nsdk: docker\n---\n', 'Dockerfile': b''}])
def test_a_space_of_somebody_else_stays(server, folder, files):
    server.add_repo('space:org/page', files)
    with pytest.raises(ValueError, match="Space 'org/page' holds something else, which stays"):
        push_space(folder, 'org/page')
    assert len(server.repos['space:org/page'].history()) == 2


@pytest.mark.parametrize(
    'token, told',
    [('hf_read', 'answered 403'), ('hf_other', 'answered 401'), ('hf a', 'no token has')],
)
def test_a_token_that_may_not(server, folder, token, told):
    with pytest.raises(ValueError, match=told):
        push_space(folder, 'org/page', token=token)


def test_what_is_no_space_is_refused_without_the_network(folder, tmp_path):
    assert [file.name for file in push_space(folder, 'org/page', dry_run=True)] == [
        'README.md', 'index.html', 'model.onnx', 'runtime/a.wasm',
    ]  # fmt: skip
    for header, told in (('', 'sdk None'), ('---\nsdk: php\n---\n', "sdk 'php'"), ('---\n[\n---\n', 'cannot be read')):
        (folder / 'README.md').write_text(header)
        with pytest.raises(ValueError, match=told):
            push_space(folder, 'org/page')
    (folder / 'README.md').unlink()
    with pytest.raises(ValueError, match='no README.md'):
        push_space(folder, 'org/page')
