"""The test server against plain HTTP, for what its users rely on without looking."""

import hashlib
import http.client
import json
import math
import time
import urllib.error
import urllib.request

import pytest
from hub_server import READ_TOKEN, TOKEN, HubServer, cut, flipped, reset, reset_after, slow, stale_etag


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *arguments):
        return None


@pytest.fixture(scope='module')
def server():
    with HubServer() as server:
        server.add_repo('org/a', {'config.json': b'{}', 'model.safetensors': b'0123456789'})
        server.add_repo('org/private', {'config.json': b'{}'}, private=True)
        server.add_repo('org/gated', {'config.json': b'{}'}, gated=True)
        yield server


def call(url, method='GET', body=None, token=None, **headers):
    """Status, headers and body; redirects are not followed and no proxy is asked."""
    headers = {name.replace('_', '-'): value for name, value in headers.items()}
    if token:
        headers['Authorization'] = f'Bearer {token}'
    request = urllib.request.Request(url, body, headers, method=method)
    opener = urllib.request.build_opener(_NoRedirect, urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=10) as response:
            return response.status, response.headers, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def test_listens_on_the_loopback_interface_only(server):
    assert [listener.server_address[0] for listener in server._listeners] == ['127.0.0.1'] * 2
    assert server.url != server.storage_url


@pytest.mark.parametrize('method', ['HEAD', 'GET'])
def test_regular_file(server, method):
    status, headers, body = call(f'{server.url}/org/a/resolve/main/config.json', method)
    assert (status, body) == (200, b'{}' if method == 'GET' else b'')
    assert headers['X-Repo-Commit'] == server.repos['org/a'].branches['main']
    # What `git hash-object` says of a file that holds {}.
    assert headers['ETag'] == '"9e26dfeeb6e641a33dae4961196235bdb965b21b"'
    assert headers['Content-Length'] == '2'


def test_lfs_file_is_redirected_to_storage_which_takes_ranges(server):
    status, headers, _ = call(f'{server.url}/org/a/resolve/main/model.safetensors', 'HEAD')
    oid = hashlib.sha256(b'0123456789').hexdigest()
    assert status == 302
    assert (headers['X-Linked-Size'], headers['X-Linked-ETag']) == ('10', f'"{oid}"')
    location = headers['Location']
    assert location == f'{server.storage_url}/storage/{oid}'
    assert call(location)[2] == b'0123456789'
    status, headers, body = call(location, Range='bytes=7-')
    assert (status, headers['Content-Range'], body) == (206, 'bytes 7-9/10', b'789')
    assert call(location, Range='bytes=2-3')[2] == b'23'
    assert call(location, Range='bytes=10-')[0] == 416


@pytest.mark.parametrize(
    ('path', 'token', 'status', 'code'),
    [
        ('/org/none/resolve/main/config.json', None, 401, 'RepoNotFound'),
        ('/org/none/resolve/main/config.json', TOKEN, 404, 'RepoNotFound'),
        ('/org/private/resolve/main/config.json', None, 401, 'RepoNotFound'),
        ('/org/private/resolve/main/config.json', READ_TOKEN, 200, None),
        ('/org/a/resolve/none/config.json', None, 404, 'RevisionNotFound'),
        ('/org/a/resolve/main/none', None, 404, 'EntryNotFound'),
        ('/org/gated/resolve/main/config.json', TOKEN, 403, 'GatedRepo'),
        ('/org/a/resolve/main/config.json', 'hf_wrong', 401, None),
        ('/no/such/path/at/all', None, 404, None),
    ],
)
def test_errors_carry_their_code(server, path, token, status, code):
    answered, headers, _ = call(server.url + path, token=token)
    assert (answered, headers['X-Error-Code']) == (status, code)


def test_writing_needs_a_token_that_may_write(server):
    body = json.dumps({'name': 'b', 'organization': 'org'}).encode()
    url = f'{server.url}/api/repos/create'
    assert call(url, 'POST', body)[0] == 401
    assert call(url, 'POST', body, READ_TOKEN)[0] == 403
    assert 'org/b' not in server.repos
    assert call(url, 'POST', body, TOKEN)[0] == 200
    status, _, answer = call(url, 'POST', body, TOKEN)
    assert (status, json.loads(answer)['url']) == (409, f'{server.url}/org/b')


def test_storage_refuses_bytes_that_are_not_those_announced(server):
    url = f'{server.storage_url}/storage/{hashlib.sha256(b"right").hexdigest()}'
    assert call(url, 'PUT', b'wrong')[0] == 400
    assert call(url, 'PUT', b'right')[0] == 200


def test_commits_and_what_they_changed():
    with HubServer() as server:
        repo = server.add_repo('org/a', {'x': b'1', 'y': b'1'})
        assert repo.changed_files() == {'x', 'y'}
        oid = server.add_commit('org/a', {'y': b'2'})
        assert repo.changed_files() == {'y'}
        assert [commit.title for commit in repo.history()] == ['by hand', 'by hand', 'initial commit']
        assert repo.files(oid) == repo.files()
        assert {'x': b'1', 'y': b'2'}.items() < repo.files().items()


def test_faults_and_log(server):
    url = f'{server.url}/org/a/resolve/main/config.json'
    server.fail_next('GET', '/org/a/resolve', 503, times=2, headers={'Retry-After': '1'})
    before = len(server.log)
    assert call(url, 'HEAD')[0] == 200
    status, headers, _ = call(url, token=TOKEN)
    assert (status, headers['Retry-After']) == (503, '1')
    assert [call(url)[0], call(url)[0]] == [503, 200]
    path = '/org/a/resolve/main/config.json'
    assert server.log[before:] == [
        ('HEAD', path, False),
        ('GET', path, True),
        ('GET', path, False),
        ('GET', path, False),
    ]
    server.fail_next('DELETE', '/api', 500, times=math.inf)
    assert {call(f'{server.url}/api/x', 'DELETE')[0] for _ in range(3)} == {500}


@pytest.fixture
def stored(server):
    """Address in storage; the faults of a test end with it."""
    yield f'{server.storage_url}/storage/{hashlib.sha256(b"0123456789").hexdigest()}'
    server.mend()


def test_a_bit_is_flipped_as_often_as_told(server, stored):
    server.spoil_next('GET', '/storage/', flipped, times=2)
    assert [call(stored)[2] for _ in range(3)] == [b'0123456788', b'0123456788', b'0123456789']


def test_a_body_is_cut(server, stored):
    server.spoil_next('GET', '/storage/', cut(4))
    with pytest.raises(http.client.IncompleteRead) as caught:
        call(stored)
    assert caught.value.partial == b'0123'
    assert call(stored)[2] == b'0123456789'


@pytest.mark.parametrize('change', [reset, reset_after(4)])
def test_a_connection_is_reset(server, stored, change):
    server.spoil_next('GET', '/storage/', change)
    with pytest.raises(ConnectionResetError):
        call(stored)
    assert call(stored)[2] == b'0123456789'


def test_a_reset_comes_after_the_work(server):
    server.spoil_next('POST', '/api/repos/create', reset)
    with pytest.raises(ConnectionResetError):
        call(f'{server.url}/api/repos/create', 'POST', b'{"name": "late", "organization": "org"}', TOKEN)
    assert 'org/late' in server.repos
    server.mend()


def test_a_body_is_slow(server, stored):
    server.spoil_next('GET', '/storage/', slow(0.2))
    start = time.monotonic()
    assert call(stored)[2] == b'0123456789'
    assert time.monotonic() - start >= 0.2


def test_a_stale_etag_stands_in_both_headers(server, stored):
    server.spoil_next('HEAD', '/org/a/resolve/', stale_etag('0' * 64))
    _, headers, _ = call(f'{server.url}/org/a/resolve/main/model.safetensors', 'HEAD')
    assert headers['ETag'] == headers['X-Linked-ETag'] == f'"{"0" * 64}"'


def test_closed_server_is_gone():
    with HubServer() as server:
        pass
    with pytest.raises(urllib.error.URLError):
        call(server.url)
