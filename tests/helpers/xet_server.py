"""The Hub of `hub_server`, whose large files are stored by Xet: a storage server (CAS) that can fail in lasting ways.

hf_xet brings a storage of its own in a folder (`local://`), by which transfers that succeed are tested.
"""

import contextlib
import hashlib
import json
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import unquote

import hf_xet
from hub_server import HubServer, Reply, Request

# What a storage server that fails answers to every request. A call of it speaks to the client, then hangs up.
Answer = Callable[[socket.socket], None]


def status(code: int, body: bytes = b'a fault', **headers: str) -> Answer:
    """An answer with this status."""

    def answer(connection: socket.socket) -> None:
        lines = [f'HTTP/1.1 {code} Fault', f'Content-Length: {len(body)}', 'Connection: close']
        lines += [f'{name.replace("_", "-")}: {value}' for name, value in headers.items()]
        connection.sendall('\r\n'.join(lines).encode() + b'\r\n\r\n' + body)

    return answer


def hang(connection: socket.socket) -> None:
    """Nothing, until the client leaves."""
    with contextlib.suppress(OSError):
        while connection.recv(65536):
            pass


def drip(connection: socket.socket) -> None:
    """A long body, of which a byte comes each half a second."""
    connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 100000\r\nContent-Type: application/json\r\n\r\n')
    with contextlib.suppress(OSError):
        while True:
            connection.sendall(b' ')
            time.sleep(0.5)


def cut(connection: socket.socket) -> None:
    """A body that ends before its time."""
    connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n{"files"')


def reset(connection: socket.socket) -> None:
    """No answer, and a connection that breaks."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))


def noise(connection: socket.socket) -> None:
    """Bytes that are no HTTP."""
    connection.sendall(os.urandom(500))


class FailingStorage:
    """A server that answers every request in the same way; a context manager.

    Attributes:
        url: Its address.
        requests: The first line of each request, in order.
    """

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.requests: list[str] = []
        self._socket = socket.create_server(('127.0.0.1', 0), backlog=64)
        self.url = f'http://127.0.0.1:{self._socket.getsockname()[1]}'

    def __enter__(self) -> 'FailingStorage':
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        # Closing alone does not wake a thread that waits for a connection.
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            request = b''
            while b'\r\n\r\n' not in request:
                part = connection.recv(65536)
                if not part:
                    return
                request += part
            self.requests.append(request.partition(b'\r\n')[0].decode())
            self.answer(connection)


@contextlib.contextmanager
def closed_storage() -> Iterator[str]:
    """The address of a server that is not there."""
    with socket.create_server(('127.0.0.1', 0)) as taken:
        port = taken.getsockname()[1]
    yield f'http://127.0.0.1:{port}'


class XetHubServer(HubServer):
    """A Hub whose large files come and go by Xet, and by plain HTTP for whoever asks so.

    Attributes:
        cas_url: Where the storage server is that clients are sent to; 'local://folder' for one that works.
        cas_urls: Repository id -> that of this repository, where it has one of its own.
        token_urls: Repository id -> where its tokens are to be asked for, where that is another server.
        plain: Whether large files are had by plain HTTP too, as they are on the real Hub.
    """

    def __init__(self, cas_url: str, plain: bool = True) -> None:
        super().__init__()
        self.cas_url, self.plain = cas_url, plain
        self.cas_urls: dict[str, str] = {}
        self.token_urls: dict[str, str] = {}
        self.hashes: dict[str, str] = {}  # sha256 of what the storage holds -> its Xet hash

    def mend(self) -> None:
        """Ends all faults, those of the storage too."""
        super().mend()
        self.cas_urls.clear()
        self.plain = True

    def store(self, data: bytes, cas_url: str) -> None:
        """Puts a file into a storage, which must be a folder."""
        upload = hf_xet.XetSession().new_upload_commit(endpoint=cas_url)
        with upload as commit:
            handle = commit.start_upload_bytes(data, sha256=hf_xet.COMPUTE_SHA256)
        info = handle.result().xet_info
        self.hashes[info.sha256] = info.hash

    def expect(self, data: bytes) -> None:
        """Accepts a commit of this content without having seen it: a push by Xet leaves it at the storage server."""
        self._storage[hashlib.sha256(data).hexdigest()] = data

    def _dispatch(self, request: Request, routes: list[Any]) -> Reply:
        if request.path == '/mend':  # for a client that goes on in the same process
            self.mend()
            return Reply()
        for kind in ('read', 'write'):
            if f'/xet-{kind}-token/' in request.path and request.method == 'GET':
                return self._token(kind, request)
        if not self.plain and ('/storage/' in request.path or '/info/lfs/' in request.path):
            return Reply(404, b'{"error": "no plain HTTP here"}')
        reply = super()._dispatch(request, routes)
        if 'X-Linked-ETag' in reply.headers and '/resolve/' in request.path:
            repo_id, _, rest = unquote(request.path).strip('/').partition('/resolve/')
            sha256 = reply.headers['X-Linked-ETag'].strip('"')
            reply.headers['X-Xet-Hash'] = self.hashes.get(sha256, sha256)
            revision = rest.partition('/')[0]
            route = f'{self.url}/api/models/{repo_id}/xet-read-token/{revision}'
            reply.headers['X-Xet-Refresh-Route'] = self.token_urls.get(repo_id, route)
        return reply

    def _token(self, kind: str, request: Request) -> Reply:
        if kind == 'write':
            self._need_write(request)
        repo_id = '/'.join(request.path.split('/')[3:5])
        cas_url = self.cas_urls.get(repo_id, self.cas_url)
        expires = int(time.time()) + 3600
        headers = {
            'X-Xet-Cas-Url': cas_url,
            'X-Xet-Access-Token': f'xet-{kind}',
            'X-Xet-Token-Expiration': str(expires),
            'Content-Type': 'application/json',
        }
        body = {'casUrl': cas_url, 'accessToken': f'xet-{kind}', 'exp': expires}
        return Reply(200, json.dumps(body).encode(), headers)
