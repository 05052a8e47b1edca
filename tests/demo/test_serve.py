"""The server of a page."""

import threading
import urllib.request

import pytest

from mbv3zoo.demo.serve import make_server, open_in_browser


def test_files_have_the_types_that_browsers_want_and_the_page_is_isolated(tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr('webbrowser.open', opened.append)
    types = {
        'a.js': 'text/javascript',
        'a.mjs': 'text/javascript',
        'a.wasm': 'application/wasm',
        'index.html': 'text/html',
    }
    for name in types:
        (tmp_path / name).write_text('x')
    with make_server(tmp_path) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = open_in_browser(server)
        for name, type_ in types.items():
            with urllib.request.urlopen(address + name) as answer:
                assert answer.headers['content-type'] == type_
                assert answer.headers['cross-origin-embedder-policy'] == 'require-corp'
        server.shutdown()
    assert opened == [address] and address.startswith('http://127.0.0.1:')


def test_a_port_that_is_taken_or_none(tmp_path):
    with make_server(tmp_path) as server:
        for port in (server.server_address[1], 70000, -1):
            with pytest.raises(ValueError, match=f'port {port} cannot be used .*another --port'):
                make_server(tmp_path, port)
