"""A real browser without a window, and a server on loopback, for the tests of the page."""

import contextlib
import functools
import shutil
import threading
from dataclasses import dataclass, field
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

# Nothing of the browser's own goes out, either.
_FLAGS = [
    '--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update',
    '--disable-sync', '--no-first-run', '--use-fake-device-for-media-stream',
]  # fmt: skip


@dataclass
class Site:
    """A folder that is served.

    Attributes:
        address: Where, with a slash at the end.
        faults: Name of a file -> what is answered in its place: a status, or a content type, or bytes.
    """

    address: str
    faults: dict[str, int | str | bytes] = field(default_factory=dict)


class _Handler(SimpleHTTPRequestHandler):
    """What `python -m http.server` answers, without its log, but for the faults."""

    def __init__(self, *args, site, **options):
        self.site = site
        super().__init__(*args, **options)

    def do_GET(self):
        fault = self.site.faults.get(self.path.rpartition('/')[2])
        if isinstance(fault, int):
            self.send_error(fault)
        elif isinstance(fault, bytes):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(fault)
        else:
            super().do_GET()

    def guess_type(self, path):
        fault = self.site.faults.get(path.rpartition('/')[2])
        return fault if isinstance(fault, str) else super().guess_type(path)

    def log_message(self, *_):
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        """Browsers leave when they are closed."""


@contextlib.contextmanager
def serve(folder):
    """Serves a folder as `python -m http.server` does."""
    site = Site('')
    server = _Server(('127.0.0.1', 0), functools.partial(_Handler, directory=folder, site=site))
    site.address = f'http://127.0.0.1:{server.server_port}/'
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def launch():
    """The browser of this machine, driven by playwright; the test is skipped where either is missing."""
    program = next(filter(None, map(shutil.which, ['chromium', 'chromium-browser', 'google-chrome'])), None)
    if program is None:
        pytest.skip('there is no chromium on the PATH')
    api = pytest.importorskip('playwright.sync_api')
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=_FLAGS)
        try:
            yield browser
        finally:
            browser.close()


class Watch:
    """Notes what the pages of a context ask for and what goes wrong in them.

    Attributes:
        asked: Addresses of all requests, of Workers too.
        errors: Errors that no script caught, and those that the console shows.
    """

    def __init__(self, context):
        self.asked, self.errors = [], []
        context.on('request', lambda request: self.asked.append(request.url))
        context.on('weberror', lambda error: self.errors.append(str(error.error)))
        context.on('console', self._note)

    def elsewhere(self, address):
        """Requests to another host than that of an address."""
        local = (address, 'data:', 'about:')
        return [url for url in self.asked if not url.removeprefix('blob:').startswith(local)]

    def _note(self, message):
        # Browsers ask for one by themselves.
        if message.type == 'error' and not message.location['url'].endswith('/favicon.ico'):
            self.errors.append(f'{message.text} {message.location["url"]}')
