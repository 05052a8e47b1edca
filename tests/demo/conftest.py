"""The page, as it is written and served, and a browser."""

import contextlib
import os
import shutil

import pytest
from browser import Watch, launch, serve
from demo_folders import SCENE, write_folder_once
from demo_pictures import write_pictures


@pytest.fixture(scope='session')
def demo_folder(tmp_path_factory):
    """Name of a precision -> the page's folder of a small detector, written once for all processes of the run."""
    folder = tmp_path_factory.getbasetemp()
    shared = folder.parent if 'PYTEST_XDIST_WORKER' in os.environ else folder
    return lambda precision='float32': write_folder_once(precision, shared)


@pytest.fixture(scope='session')
def pictures(tmp_path_factory):
    """Name -> path of pictures of many kinds."""
    folder = tmp_path_factory.mktemp('pictures')
    shutil.copy(SCENE, folder / 'scene.jpg')
    return {'scene.jpg': folder / 'scene.jpg', **write_pictures(SCENE, folder)}


# Not for the session: meanwhile playwright's event loop runs in this thread, and tests of others run theirs.
@pytest.fixture(scope='module')
def chromium():
    with launch() as browser:
        yield browser


@pytest.fixture
def open_page(chromium):
    """Opens a page: (folder, name of the page, root of the server, **context options of playwright) -> a `Page`.

    By default the folder's parent is served, so that the page lies on a sub-path. The test fails in the end if a page
    asked another host for anything, or if there was an error that `page.watch.errors` still holds. `page.site` is the
    server.
    """
    with contextlib.ExitStack() as stack:
        watched = []

        def open_it(folder, name='', root=None, **options):
            root = root or folder.parent
            site = stack.enter_context(serve(root))
            context = stack.enter_context(contextlib.closing(chromium.new_context(**options)))
            page = context.new_page()
            page.watch, page.site = Watch(context), site
            watched.append((page.watch, site.address))
            place = '' if root == folder else f'{folder.relative_to(root).as_posix()}/'
            page.goto(f'{site.address}{place}{name}')
            return page

        yield open_it
    for watch, address in watched:
        assert watch.elsewhere(address) == [] and watch.errors == []
