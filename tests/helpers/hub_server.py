"""A small Hugging Face Hub in memory, on loopback, for the real client to push to and pull from.

It speaks what huggingface_hub's client asks for: repositories, branches, tags, pull requests, LFS uploads,
commits and downloads. Storage has an origin (a port) of its own, as on the real Hub, so that a token that is
sent there is noticed.

The client reads its environment when it is imported: run code that uses it in a new process, by `run_client`; or, where
that takes too long, within `in_process`.
"""

import base64
import contextlib
import hashlib
import json
import os
import re
import socket
import struct
import subprocess
import textwrap
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

import yaml
from warm_python import run_code

TOKEN = 'hf_test'  # may read and write everything
READ_TOKEN = 'hf_read'  # may read everything
REPOSITORY_ROOT = Path(__file__).resolve().parents[2]
_DATE = '2024-01-01T00:00:00.000Z'
_LFS_SUFFIXES = ('.safetensors', '.bin', '.onnx', '.pt')


@dataclass
class Blob:
    """One file's content; `lfs` files are kept in storage and downloaded by way of a redirect."""

    data: bytes
    lfs: bool = False

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    @property
    def git_oid(self) -> str:
        return hashlib.sha1(b'blob %d\0' % len(self.data) + self.data).hexdigest()

    @property
    def etag(self) -> str:
        return self.sha256 if self.lfs else self.git_oid


@dataclass
class Commit:
    oid: str
    parent: str | None
    title: str
    files: dict[str, Blob]


@dataclass
class Repo:
    id: str
    private: bool = False
    gated: bool = False  # nobody is on the list of those who may download
    commits: dict[str, Commit] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    pull_requests: dict[str, str] = field(default_factory=dict)  # 'refs/pr/1' -> commit

    def resolve(self, revision: str) -> Commit:
        oid = {**self.pull_requests, **self.tags, **self.branches}.get(revision, revision)
        if oid not in self.commits:
            raise HubError(404, f'Invalid rev id: {revision}', 'RevisionNotFound')
        return self.commits[oid]

    def history(self, revision: str = 'main') -> list[Commit]:
        """Commits from the newest to the first."""
        found: list[Commit] = []
        oid: str | None = self.resolve(revision).oid
        while oid is not None:
            found.append(self.commits[oid])
            oid = found[-1].parent
        return found

    def files(self, revision: str = 'main') -> dict[str, bytes]:
        return {path: blob.data for path, blob in self.resolve(revision).files.items()}

    def changed_files(self, revision: str = 'main') -> set[str]:
        """Paths that the newest commit of `revision` added, changed or removed."""
        commit = self.resolve(revision)
        before = self.commits[commit.parent].files if commit.parent else {}
        paths = commit.files.keys() | before.keys()
        return {path for path in paths if commit.files.get(path) != before.get(path)}

    def commit(self, parent: str | None, title: str, files: dict[str, Blob]) -> Commit:
        content = json.dumps([parent, title, len(self.commits), sorted((p, b.etag) for p, b in files.items())])
        oid = hashlib.sha1(content.encode()).hexdigest()
        self.commits[oid] = Commit(oid, parent, title, files)
        return self.commits[oid]


class Request(NamedTuple):
    method: str
    path: str  # still quoted, without the query
    query: dict[str, list[str]]
    headers: Any
    body: bytes
    token: str | None

    def json(self) -> Any:
        return json.loads(self.body)


class Reply(NamedTuple):
    status: int = 200
    body: bytes = b''
    headers: dict[str, str | bytes | None] = {}  # bytes are sent as they are; None leaves a header out
    # How the sending of it goes wrong.
    sent: int | None = None  # bytes of the body that are sent before the connection is closed
    reset: bool = False  # close it hard, without a word, so that the client's system reports an error
    pause: float = 0  # seconds between the headers and the body
    endless: bool = False  # the body is repeated until the client goes away, or for 256 MB


# Faults for `HubServer.spoil_next`: the request is answered as usual, and its reply changed.


def flipped(reply: Reply) -> Reply:
    """One bit of the body is wrong."""
    return reply._replace(body=reply.body[:-1] + bytes([reply.body[-1] ^ 1])) if reply.body else reply


def cut(after: int) -> Callable[[Reply], Reply]:
    """The connection is closed after so many bytes of the body."""
    return lambda reply: reply._replace(sent=after)


def reset(reply: Reply) -> Reply:
    """The connection breaks instead of an answer; what was asked for has been done."""
    return reply._replace(reset=True)


def reset_after(sent: int) -> Callable[[Reply], Reply]:
    """The connection breaks after so many bytes of the body."""
    return lambda reply: reply._replace(reset=True, sent=sent)


def slow(seconds: float) -> Callable[[Reply], Reply]:
    """The body comes so many seconds after the headers."""
    return lambda reply: reply._replace(pause=seconds)


def with_headers(**headers: str | bytes | None) -> Callable[[Reply], Reply]:
    """Headers are other ones, by their names with '_' for '-'."""
    changed = {name.replace('_', '-'): value for name, value in headers.items()}
    return lambda reply: reply._replace(headers={**reply.headers, **changed})


def stale_etag(etag: str) -> Callable[[Reply], Reply]:
    """The hash stated is that of other content."""
    return with_headers(ETag=f'"{etag}"', X_Linked_ETag=f'"{etag}"')


def answered(status: int = 200, body: bytes = b'', **headers: str | bytes | None) -> Callable[[Reply], Reply]:
    """The answer is another one altogether."""
    return lambda reply: with_headers(**headers)(Reply(status, body))


def endless(reply: Reply) -> Reply:
    """The body never ends."""
    return reply._replace(
        body=reply.body * 100 or b'x' * 2**16, endless=True, headers={**reply.headers, 'Content-Length': None}
    )


class LogEntry(NamedTuple):
    method: str
    path: str
    has_token: bool


class HubError(Exception):
    def __init__(
        self, status: int, message: str, code: str | None = None, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.headers = status, {'X-Error-Message': message, **(headers or {})}
        if code:
            self.headers['X-Error-Code'] = code


@dataclass
class _Fault:
    method: str
    path_part: str
    status: int
    times: float
    headers: dict[str, str]


@dataclass
class _Spoiler:
    method: str
    path_part: str
    change: Callable[[Reply], Reply]
    times: float


_HUB_ROUTES: list[tuple[str, re.Pattern[str], Callable[..., Reply]]] = []
_STORAGE_ROUTES: list[tuple[str, re.Pattern[str], Callable[..., Reply]]] = []


def _route(method: str, pattern: str, routes: list[Any] = _HUB_ROUTES) -> Callable[[Any], Any]:
    def register(function: Callable[..., Reply]) -> Callable[..., Reply]:
        regex = pattern.replace('{id}', r'(?P<repo_id>[^/]+/[^/]+)')
        regex = regex.replace('{rest}', r'(?P<path>.+)')
        routes.append((method, re.compile(re.sub(r'\{(\w+)\}', r'(?P<\1>[^/]+)', regex)), function))
        return function

    return register


def _json(content: Any, status: int = 200) -> Reply:
    return Reply(status, json.dumps(content).encode(), {'Content-Type': 'application/json'})


class HubServer:
    """The server; a context manager that starts it and shuts it down.

    Attributes:
        url: The Hub's address, kept after the server is closed.
        storage_url: Where LFS files go to and come from.
        repos: Repository id -> `Repo`, to look into and to change.
        log: Every request in order as `(method, path, has_token)`; storage paths start with `/storage/`.
    """

    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.log: list[LogEntry] = []
        self._storage: dict[str, bytes] = {}
        self._faults: list[_Fault] = []
        self._spoilers: list[_Spoiler] = []
        self._lock = threading.RLock()
        self._listeners = [self._listen(_HUB_ROUTES), self._listen(_STORAGE_ROUTES)]
        self.url, self.storage_url = (f'http://127.0.0.1:{s.server_address[1]}' for s in self._listeners)

    def _listen(self, routes: list[Any]) -> ThreadingHTTPServer:
        handler = type('Handler', (_Handler,), {'hub': self, 'routes': routes})
        listener = ThreadingHTTPServer(('127.0.0.1', 0), handler)
        listener.daemon_threads = True
        return listener

    def __enter__(self) -> 'HubServer':
        for listener in self._listeners:
            threading.Thread(target=listener.serve_forever, kwargs={'poll_interval': 0.05}, daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        for listener in self._listeners:
            listener.shutdown()
            listener.server_close()

    # What tests call.

    def add_repo(
        self,
        repo_id: str,
        files: dict[str, bytes] | None = None,
        *,
        private: bool = False,
        gated: bool = False,
    ) -> Repo:
        """Makes a repository with the Hub's first commit and, for `files`, one more that adds them."""
        repo = self.repos[repo_id] = Repo(repo_id, private, gated)
        first = repo.commit(None, 'initial commit', {'.gitattributes': Blob(b'*.safetensors filter=lfs\n')})
        repo.branches['main'] = first.oid
        if files:
            self.add_commit(repo_id, files)
        return repo

    def add_commit(self, repo_id: str, files: dict[str, bytes], branch: str = 'main') -> str:
        """Adds or replaces files on a branch, by hand; returns the commit."""
        repo = self.repos[repo_id]
        parent = repo.resolve(branch)
        blobs = {path: Blob(data, path.endswith(_LFS_SUFFIXES)) for path, data in files.items()}
        self._storage.update({blob.sha256: blob.data for blob in blobs.values() if blob.lfs})
        commit = repo.commit(parent.oid, 'by hand', {**parent.files, **blobs})
        repo.branches[branch] = commit.oid
        return commit.oid

    def fail_next(
        self,
        method: str,
        path_part: str,
        status: int,
        times: float = 1,
        headers: dict[str, str] | None = None,
    ) -> None:
        """Answers the next `times` requests (`math.inf`: all) whose path holds `path_part` with `status`."""
        self._faults.append(_Fault(method, path_part, status, times, headers or {}))

    def spoil_next(self, method: str, path_part: str, change: Callable[[Reply], Reply], times: float = 1) -> None:
        """Changes the replies to the next `times` requests (`math.inf`: all) whose path holds `path_part`."""
        self._spoilers.append(_Spoiler(method, path_part, change, times))

    def mend(self) -> None:
        """Ends all faults."""
        self._faults.clear()
        self._spoilers.clear()

    def requests(self, method: str, path_part: str = '') -> list[LogEntry]:
        return [entry for entry in self.log if entry.method == method and path_part in entry.path]

    def clear(self) -> None:
        """Forgets all repositories."""
        self.repos.clear()
        self.log.clear()
        self._storage.clear()

    # What the listeners call.

    def answer(self, request: Request, routes: list[Any]) -> Reply:
        with self._lock:
            self.log.append(LogEntry(request.method, request.path, request.token is not None))
            try:
                self._raise_fault(request)
                return self._spoil(request, self._dispatch(request, routes))
            except HubError as error:
                reply = _json({'error': str(error)}, error.status)
                return reply._replace(headers={**reply.headers, **error.headers})

    def _raise_fault(self, request: Request) -> None:
        for fault in self._faults:
            if fault.times > 0 and fault.method == request.method and fault.path_part in request.path:
                fault.times -= 1
                raise HubError(fault.status, 'injected fault', headers=fault.headers)

    def _spoil(self, request: Request, reply: Reply) -> Reply:
        for spoiler in self._spoilers:
            if spoiler.times > 0 and spoiler.method == request.method and spoiler.path_part in request.path:
                spoiler.times -= 1
                reply = spoiler.change(reply)
        return reply

    def _dispatch(self, request: Request, routes: list[Any]) -> Reply:
        # The real Hub refuses a wrong token even where none is needed.
        if request.token not in (None, TOKEN, READ_TOKEN):
            raise HubError(401, 'Invalid credentials in Authorization header')
        method = 'GET' if request.method == 'HEAD' else request.method
        # A Space is kept as the repository 'space:organisation/name'.
        path = re.sub('^/api/spaces/', '/api/models/space:', re.sub('^/spaces/', '/space:', request.path))
        for route_method, pattern, function in routes:
            match = pattern.fullmatch(path)
            if route_method == method and match:
                return function(self, request, **{k: unquote(v) for k, v in match.groupdict().items()})
        raise HubError(404, f'the test server has no {request.method} {request.path}')

    def _readable(self, request: Request, repo_id: str) -> Repo:
        repo = self.repos.get(repo_id)
        # Without a token the Hub does not even tell a private repository from one that does not exist.
        if repo is None or (repo.private and request.token is None):
            raise HubError(404 if request.token else 401, 'Repository not found', 'RepoNotFound')
        return repo

    def _writable(self, request: Request, repo_id: str) -> Repo:
        self._need_write(request)
        return self._readable(request, repo_id)

    def _need_write(self, request: Request) -> None:
        if request.token is None:
            raise HubError(401, 'Invalid username or password.')
        if request.token != TOKEN:
            raise HubError(403, 'You do not have the right to write with this token.')

    # The account and repositories.

    @_route('GET', '/api/whoami-v2')
    def _whoami(self, request: Request) -> Reply:
        if request.token is None:
            raise HubError(401, 'Invalid username or password.')
        return _json({'type': 'user', 'name': 'tester', 'orgs': [{'type': 'org', 'name': 'org'}]})

    @_route('POST', '/api/repos/create')
    def _create(self, request: Request) -> Reply:
        self._need_write(request)
        asked = request.json()
        repo_id = f'{asked.get("organization") or "tester"}/{asked["name"]}'
        url = f'{self.url}/{repo_id}'
        if asked.get('type') == 'space':
            if asked.get('sdk') not in ('static', 'gradio', 'docker'):
                raise HubError(400, 'Invalid sdk')
            repo_id, url = f'space:{repo_id}', f'{self.url}/spaces/{repo_id}'
        if repo_id in self.repos:
            return _json({'error': 'You already created this repo', 'url': url, 'name': repo_id}, 409)
        private = asked.get('visibility') == 'private' or bool(asked.get('private'))
        self.add_repo(repo_id, private=private)
        return _json({'url': url, 'name': repo_id, 'id': repo_id.removeprefix('space:')})

    @_route('DELETE', '/api/repos/delete')
    def _delete(self, request: Request) -> Reply:
        asked = request.json()
        repo_id = f'{asked.get("organization") or "tester"}/{asked["name"]}'
        self._writable(request, repo_id)
        del self.repos[repo_id]
        return Reply()

    @_route('POST', '/api/validate-yaml')
    def _validate_yaml(self, request: Request) -> Reply:
        """A card's metadata stands in YAML between two lines of dashes."""
        front = re.match(r'---\r?\n(.*?)\r?\n---', request.json()['content'], re.DOTALL)
        if front is None:
            message = 'empty or missing yaml metadata in repo card'
            return _json({'errors': [], 'warnings': [{'message': message}]})
        try:
            metadata = yaml.safe_load(front[1])
        except yaml.YAMLError as error:
            return _json({'errors': [{'message': str(error)}], 'warnings': []}, 400)
        if not isinstance(metadata, dict):
            return _json({'errors': [{'message': 'metadata must be a mapping'}], 'warnings': []}, 400)
        return _json({'errors': [], 'warnings': []})

    # Reading a repository.

    @_route('GET', '/api/models')
    def _search(self, request: Request) -> Reply:
        word = request.query.get('search', [''])[0]
        found = [r for r in self.repos.values() if word in r.id and (request.token or not r.private)]
        return _json([{'id': r.id, 'private': r.private, 'createdAt': _DATE, 'tags': []} for r in found])

    @_route('GET', '/api/models/{id}')
    def _info(self, request: Request, repo_id: str, revision: str = 'main') -> Reply:
        repo = self._readable(request, repo_id)
        commit = repo.resolve(revision)
        with_blobs = request.query.get('blobs', [''])[0].lower() in ('1', 'true')
        siblings = [_sibling(path, blob, with_blobs) for path, blob in commit.files.items()]
        return _json(
            {
                'id': repo.id.removeprefix('space:'),
                'sha': commit.oid,
                'private': repo.private,
                'gated': 'manual' if repo.gated else False,
                'disabled': False,
                'downloads': 0,
                'likes': 0,
                'tags': [],
                'createdAt': _DATE,
                'lastModified': _DATE,
                'siblings': siblings,
            }
        )

    @_route('GET', '/api/models/{id}/revision/{revision}')
    def _info_at(self, request: Request, repo_id: str, revision: str) -> Reply:
        return self._info(request, repo_id, revision)

    @_route('GET', '/api/models/{id}/tree/{revision}')
    def _tree(self, request: Request, repo_id: str, revision: str) -> Reply:
        files = self._readable(request, repo_id).resolve(revision).files
        return _json([_entry(path, blob) for path, blob in files.items()])

    @_route('POST', '/api/models/{id}/paths-info/{revision}')
    def _paths_info(self, request: Request, repo_id: str, revision: str) -> Reply:
        files = self._readable(request, repo_id).resolve(revision).files
        paths = parse_qs(request.body.decode()).get('paths', [])
        return _json([_entry(path, files[path]) for path in paths if path in files])

    @_route('GET', '/api/models/{id}/commits/{revision}')
    def _commits(self, request: Request, repo_id: str, revision: str) -> Reply:
        history = self._readable(request, repo_id).history(revision)
        authors = [{'user': 'tester'}]
        return _json(
            [{'id': c.oid, 'title': c.title, 'message': '', 'authors': authors, 'date': _DATE} for c in history]
        )

    @_route('GET', '/api/models/{id}/refs')
    def _refs(self, request: Request, repo_id: str) -> Reply:
        repo = self._readable(request, repo_id)

        def listed(refs: dict[str, str], prefix: str) -> list[dict[str, str]]:
            return [{'name': n, 'ref': prefix + n, 'targetCommit': oid} for n, oid in refs.items()]

        return _json(
            {
                'branches': listed(repo.branches, 'refs/heads/'),
                'tags': listed(repo.tags, 'refs/tags/'),
                'converts': [],
                'pullRequests': listed(repo.pull_requests, ''),
            }
        )

    @_route('POST', '/api/models/{id}/branch/{name}')
    def _add_branch(self, request: Request, repo_id: str, name: str) -> Reply:
        repo = self._writable(request, repo_id)
        if name in repo.branches:
            raise HubError(409, f'Reference already exists: refs/heads/{name}')
        repo.branches[name] = repo.resolve(request.json().get('startingPoint', 'main')).oid
        return Reply()

    @_route('DELETE', '/api/models/{id}/branch/{name}')
    def _delete_branch(self, request: Request, repo_id: str, name: str) -> Reply:
        repo = self._writable(request, repo_id)
        if name == 'main' or repo.branches.pop(name, None) is None:
            raise HubError(404, f'cannot delete the branch {name}', 'RevisionNotFound')
        return Reply()

    @_route('POST', '/api/models/{id}/tag/{revision}')
    def _add_tag(self, request: Request, repo_id: str, revision: str) -> Reply:
        repo, tag = self._writable(request, repo_id), request.json()['tag']
        if tag in repo.tags:
            raise HubError(409, f'Tag reference exists already: {tag}')
        repo.tags[tag] = repo.resolve(revision).oid
        return Reply()

    @_route('DELETE', '/api/models/{id}/tag/{name}')
    def _delete_tag(self, request: Request, repo_id: str, name: str) -> Reply:
        if self._writable(request, repo_id).tags.pop(name, None) is None:
            raise HubError(404, f'there is no tag {name}', 'RevisionNotFound')
        return Reply()

    # Downloading.

    @_route('GET', '/{id}/resolve/{revision}/{rest}')
    def _resolve(self, request: Request, repo_id: str, revision: str, path: str) -> Reply:
        repo = self._readable(request, repo_id)
        if repo.gated:
            status = 403 if request.token else 401
            raise HubError(status, f'Access to model {repo_id} is restricted.', 'GatedRepo')
        commit = repo.resolve(revision)
        headers = {'X-Repo-Commit': commit.oid}
        blob = commit.files.get(path)
        if blob is None:
            raise HubError(404, 'Entry not found', 'EntryNotFound', headers)
        headers['ETag'] = f'"{blob.etag}"'
        if not blob.lfs:
            return _ranged(request, blob.data, headers)
        headers['X-Linked-Size'] = str(len(blob.data))
        headers['X-Linked-ETag'] = headers['ETag']
        headers['Location'] = f'{self.storage_url}/storage/{blob.sha256}'
        return Reply(302, b'', headers)

    @_route('GET', '/storage/{oid}', _STORAGE_ROUTES)
    def _storage_get(self, request: Request, oid: str) -> Reply:
        if oid not in self._storage:
            raise HubError(404, 'no such object')
        return _ranged(request, self._storage[oid], {'ETag': f'"{oid}"'})

    # Pushing: preupload tells how each file travels, LFS files go to storage, the commit ties all together.

    @_route('POST', '/api/models/{id}/preupload/{revision}')
    def _preupload(self, request: Request, repo_id: str, revision: str) -> Reply:
        files = self._writable(request, repo_id).resolve(revision).files
        answers = []
        for asked in request.json()['files']:
            lfs = asked['path'].endswith(_LFS_SUFFIXES) or asked['size'] > 10 * 2**20
            answer = {'path': asked['path'], 'uploadMode': 'lfs' if lfs else 'regular', 'shouldIgnore': False}
            if asked['path'] in files:
                answer['oid'] = files[asked['path']].etag
            answers.append(answer)
        return _json({'files': answers})

    @_route('POST', '/{id}\\.git/info/lfs/objects/batch')
    def _lfs_batch(self, request: Request, repo_id: str) -> Reply:
        self._writable(request, repo_id)
        verify = {'href': f'{self.url}/{repo_id}.git/info/lfs/verify'}
        objects = []
        for asked in request.json()['objects']:
            described = {'oid': asked['oid'], 'size': asked['size']}
            if asked['oid'] not in self._storage:
                upload = {'href': f'{self.storage_url}/storage/{asked["oid"]}'}
                described['actions'] = {'upload': upload, 'verify': verify}
            objects.append(described)
        return _json({'transfer': 'basic', 'objects': objects})

    @_route('PUT', '/storage/{oid}', _STORAGE_ROUTES)
    def _storage_put(self, request: Request, oid: str) -> Reply:
        if hashlib.sha256(request.body).hexdigest() != oid:
            raise HubError(400, 'the bytes are not those announced')
        self._storage[oid] = request.body
        return Reply()

    @_route('POST', '/{id}\\.git/info/lfs/verify')
    def _lfs_verify(self, request: Request, repo_id: str) -> Reply:
        self._writable(request, repo_id)
        asked = request.json()
        if len(self._storage.get(asked['oid'], b'')) != asked['size']:
            raise HubError(404, 'the object was not uploaded')
        return Reply()

    @_route('POST', '/api/models/{id}/commit/{revision}')
    def _commit(self, request: Request, repo_id: str, revision: str) -> Reply:
        repo = self._writable(request, repo_id)
        parent = repo.resolve(revision)
        create_pr = request.query.get('create_pr') == ['1']
        if not create_pr and revision not in repo.branches and revision not in repo.pull_requests:
            raise HubError(400, f'{revision} is not a branch')
        files, title = dict(parent.files), ''
        for line in request.body.splitlines():
            item = json.loads(line)
            key, value = item['key'], item['value']
            if key == 'header':
                title = value['summary']
                if value.get('parentCommit') not in (None, parent.oid):
                    raise HubError(412, 'A commit has happened since. Please refresh and try again.')
            elif key == 'file':
                files[value['path']] = Blob(base64.b64decode(value['content']))
            elif key == 'lfsFile':
                if value['oid'] not in self._storage:
                    raise HubError(400, f'LFS pointer to missing object {value["oid"]}')
                files[value['path']] = Blob(self._storage[value['oid']], lfs=True)
            elif key == 'deletedFile':
                if files.pop(value['path'], None) is None:
                    raise HubError(404, "A file with this name doesn't exist", 'EntryNotFound')
            elif key == 'deletedFolder':
                files = {p: b for p, b in files.items() if not p.startswith(value['path'])}
            else:
                raise HubError(400, f'unknown operation {key}')
        commit = repo.commit(parent.oid, title, files)
        url = f'{self.url}/{repo_id.replace("space:", "spaces/")}'
        answer = {'success': True, 'commitOid': commit.oid, 'commitUrl': f'{url}/commit/{commit.oid}'}
        if create_pr:
            number = len(repo.pull_requests) + 1
            repo.pull_requests[f'refs/pr/{number}'] = commit.oid
            answer['pullRequestUrl'] = f'{url}/discussions/{number}'
        else:
            (repo.branches if revision in repo.branches else repo.pull_requests)[revision] = commit.oid
        return _json(answer)


def _sibling(path: str, blob: Blob, with_blobs: bool) -> dict[str, Any]:
    described: dict[str, Any] = {'rfilename': path}
    if with_blobs:
        described.update(size=len(blob.data), blobId=blob.git_oid)
        if blob.lfs:
            described['lfs'] = {'size': len(blob.data), 'sha256': blob.sha256, 'pointerSize': 134}
    return described


def _entry(path: str, blob: Blob) -> dict[str, Any]:
    described: dict[str, Any] = {'type': 'file', 'path': path, 'size': len(blob.data), 'oid': blob.git_oid}
    if blob.lfs:
        described['lfs'] = {'size': len(blob.data), 'oid': blob.sha256, 'pointerSize': 134}
    return described


def _ranged(request: Request, data: bytes, headers: dict[str, str]) -> Reply:
    headers = {**headers, 'Accept-Ranges': 'bytes', 'Content-Type': 'application/octet-stream'}
    match = re.fullmatch(r'bytes=(\d+)-(\d*)', request.headers.get('Range', ''))
    if match is None:
        return Reply(200, data, headers)
    start, end = int(match[1]), min(int(match[2] or len(data) - 1), len(data) - 1)
    if start > end:
        raise HubError(416, 'range not satisfiable', headers={'Content-Range': f'bytes */{len(data)}'})
    headers['Content-Range'] = f'bytes {start}-{end}/{len(data)}'
    return Reply(206, data[start : end + 1], headers)


class _Handler(BaseHTTPRequestHandler):
    hub: HubServer
    routes: list[Any]
    protocol_version = 'HTTP/1.1'
    # Headers and body leave in two packets, of which Nagle's algorithm would hold back the second.
    disable_nagle_algorithm = True

    def _serve(self) -> None:
        url = urlsplit(self.path)
        scheme, _, token = self.headers.get('Authorization', '').partition(' ')
        request = Request(
            self.command,
            url.path,
            parse_qs(url.query),
            self.headers,
            self._read_body(),
            token if scheme == 'Bearer' else None,
        )
        reply = self.hub.answer(request, self.routes)
        if reply.reset and reply.sent is None:
            self._reset()
            return
        self.send_response(reply.status)
        for name, value in {'Content-Length': str(len(reply.body)), **reply.headers}.items():
            if value is not None:
                data = value if isinstance(value, bytes) else value.encode('ascii', 'backslashreplace')
                self.send_header(name, data.decode('latin-1'))
        # A client that gave up waiting is not there any more.
        with contextlib.suppress(ConnectionError):
            self.end_headers()
            if reply.pause:
                self.wfile.flush()
                # Tests replace time.sleep, and may run in this process.
                threading.Event().wait(reply.pause)
            if self.command != 'HEAD':
                for _ in range(2**28 // (len(reply.body) + 1) if reply.endless else 1):
                    self.wfile.write(reply.body[: reply.sent])
        if reply.reset:
            self._reset()
        elif reply.sent is not None or 'Content-Length' in reply.headers:
            self.close_connection = True

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _serve

    def _reset(self) -> None:
        # Closed with no time to linger, a connection is not said goodbye to.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        os.close(self.connection.detach())
        self.close_connection = True

    def _read_body(self) -> bytes:
        if self.headers.get('Transfer-Encoding', '').lower() != 'chunked':
            return self.rfile.read(int(self.headers.get('Content-Length', 0)))
        chunks = []
        while size := int(self.rfile.readline().split(b';')[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b''.join(chunks)

    def log_message(self, *arguments: object) -> None:
        """Silent: tests look at `HubServer.log`."""


@contextlib.contextmanager
def in_process(server: HubServer, cache: Path) -> Iterator[None]:
    """Context manager: the Hub of this process is `server`, for tests that cannot start a new process."""
    from huggingface_hub import constants

    changed = {
        'ENDPOINT': server.url,
        'HUGGINGFACE_CO_URL_TEMPLATE': server.url + '/{repo_id}/resolve/{revision}/{filename}',
        'HF_HUB_CACHE': str(cache),
        'HF_HUB_DISABLE_XET': True,
        'HF_HUB_DISABLE_PROGRESS_BARS': True,
    }
    before = {name: getattr(constants, name) for name in changed}
    for name, value in changed.items():
        setattr(constants, name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(constants, name, value)


def run_client(
    server: HubServer,
    code: str,
    tmp_path: Path,
    env: dict[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Runs Python code in a new process whose Hub is `server`, with cache and working folder in `tmp_path`.

    Args:
        server: Need not be running any more.
        code: May be indented.
        tmp_path: Calls with the same folder share a cache.
        env: Set on top of the environment, e.g. `{'HF_HUB_OFFLINE': '1'}`.

    Returns:
        The finished process. A code that failed raises AssertionError with what it wrote.
    """
    ignored = ('HF_', 'HUGGING', 'XDG_', 'HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY')
    environment = {k: v for k, v in os.environ.items() if not k.upper().startswith(ignored)}
    paths = [str(REPOSITORY_ROOT), os.environ.get('PYTHONPATH', '')]
    environment.update(
        HF_ENDPOINT=server.url,
        HF_HOME=str(tmp_path / 'hf_home'),
        HF_TOKEN=TOKEN,
        HF_HUB_DISABLE_XET='1',
        HF_HUB_DISABLE_TELEMETRY='1',
        HF_HUB_DISABLE_PROGRESS_BARS='1',
        HF_HUB_ETAG_TIMEOUT='5',
        HF_HUB_DOWNLOAD_TIMEOUT='5',
        OMP_NUM_THREADS='1',
        PYTHONPATH=os.pathsep.join(filter(None, paths)),
    )
    environment.update(env or {})
    process = run_code(textwrap.dedent(code), tmp_path, environment)
    assert process.returncode == 0, f'exit status {process.returncode}\n{process.stdout}\n{process.stderr}'
    return process
