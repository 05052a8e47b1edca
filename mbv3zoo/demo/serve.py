"""Serves a page on this machine."""

from __future__ import annotations

import webbrowser
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class _Handler(SimpleHTTPRequestHandler):
    # What a system's own table says of them differs, and browsers refuse modules of another type.
    extensions_map = {
        **SimpleHTTPRequestHandler.extensions_map,
        '.js': 'text/javascript',
        '.mjs': 'text/javascript',
        '.wasm': 'application/wasm',
        '.json': 'application/json',
    }

    def end_headers(self) -> None:
        # Only isolated pages may share memory between threads, which the runtime then uses.
        self.send_header('Cross-Origin-Opener-Policy', 'same-origin')
        self.send_header('Cross-Origin-Embedder-Policy', 'require-corp')
        self.send_header('Cache-Control', 'no-cache')
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


def make_server(folder: str | Path, port: int = 0) -> ThreadingHTTPServer:
    """A server for a folder on 127.0.0.1, which nobody else reaches; `serve_forever()` starts it.

    Args:
        folder: The folder.
        port: Its port; 0 takes a free one, `server.server_address[1]`.

    Raises:
        ValueError: The port is taken, or may not be used.

    Example:
        >>> from mbv3zoo.demo.serve import make_server
        >>> with make_server('.') as server:
        ...     server.server_address[0]
        '127.0.0.1'
    """
    try:
        return ThreadingHTTPServer(('127.0.0.1', port), partial(_Handler, directory=str(folder)))
    except (OSError, OverflowError) as error:
        raise ValueError(f'port {port} cannot be used ({error}); give another --port, or 0 for a free one') from error


def open_in_browser(server: ThreadingHTTPServer) -> str:
    """Opens a server's page in the user's browser, where there is one, and returns its address."""
    address = f'http://127.0.0.1:{server.server_address[1]}/'
    webbrowser.open(address)
    return address
