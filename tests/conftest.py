"""How the suite runs."""

import os

import pytest

# One process a core, so one thread each: torch's threads of two processes on two cores wait for each other. Set before
# torch is imported, and for the programs that tests start.
if 'PYTEST_XDIST_WORKER' in os.environ:
    os.environ.setdefault('OMP_NUM_THREADS', '1')


@pytest.fixture(scope='session', autouse=True)
def own_cache(tmp_path_factory):
    """Nothing is taken from the user's cache, nor kept there; also by programs that tests start."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('MBV3ZOO_CACHE', str(tmp_path_factory.mktemp('cache')))
        yield


@pytest.fixture(scope='session')
def exported(tmp_path_factory):
    """Name of a format -> a small detector's file in it, written once for all processes of the run.

    Skips the test where a package that writes or runs it is not installed.
    """
    from exported_files import export_once

    folder = tmp_path_factory.getbasetemp()
    return lambda name: export_once(name, folder.parent if 'PYTEST_XDIST_WORKER' in os.environ else folder)
