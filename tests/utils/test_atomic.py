import contextlib
import errno
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from filelock import FileLock

from mbv3zoo.utils.atomic import STAGING_NAME, atomic_write, atomic_write_all, current, staged

REPOSITORY_ROOT = Path(__file__).resolve().parents[2]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def no_space(*arguments):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize('content', [b'', b'new', lambda file: file.write(b'new')])
def test_writes_and_replaces(tmp_path, content):
    path = tmp_path / 'a.bin'
    for old in (None, b'something longer than the new content'):
        if old is not None:
            path.write_bytes(old)
        atomic_write(str(path), content)
        assert path.read_bytes() == (b'' if content == b'' else b'new')
        assert names(tmp_path) == ['a.bin']


def test_new_files_have_the_usual_permissions(tmp_path):
    atomic_write(tmp_path / 'a', b'')
    (tmp_path / 'b').write_bytes(b'')
    assert (tmp_path / 'a').stat().st_mode == (tmp_path / 'b').stat().st_mode


@pytest.mark.parametrize('error', [RuntimeError('no'), KeyboardInterrupt()])
def test_a_writer_that_stops_half_way_leaves_the_old_file(tmp_path, error):
    path = tmp_path / 'a.bin'
    path.write_bytes(b'old')

    def write_half(file):
        file.write(b'ne')
        raise error

    with pytest.raises(type(error)):
        atomic_write(path, write_half)
    assert path.read_bytes() == b'old'
    assert names(tmp_path) == ['a.bin']


def test_full_disk_names_the_file_and_its_folder_and_keeps_the_errno(tmp_path):
    path = tmp_path / 'a.bin'
    path.write_bytes(b'old')
    with pytest.raises(OSError, match='No space left') as caught:
        atomic_write(path, no_space)
    assert caught.value.errno == errno.ENOSPC
    assert f'could not write a.bin in the folder {tmp_path}' in str(caught.value)
    assert path.read_bytes() == b'old'
    assert names(tmp_path) == ['a.bin']


def test_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match='in the folder .*nowhere'):
        atomic_write(tmp_path / 'nowhere' / 'a.bin', b'')


def test_no_file_is_replaced_unless_all_can_be_written(tmp_path):
    (tmp_path / 'a').write_bytes(b'old')
    with pytest.raises(OSError, match='No space left'):
        atomic_write_all({tmp_path / 'a': b'new', tmp_path / 'b': no_space})
    assert (tmp_path / 'a').read_bytes() == b'old'
    assert names(tmp_path) == ['a']
    atomic_write_all({})
    atomic_write_all({tmp_path / 'a': b'1', tmp_path / 'b': b'2'})
    assert [(tmp_path / name).read_bytes() for name in names(tmp_path)] == [b'1', b'2']


def test_a_killed_process_leaves_the_old_file(tmp_path):
    path = tmp_path / 'a.bin'
    path.write_bytes(b'old')
    code = """
import sys, time
from mbv3zoo.utils.atomic import atomic_write

def write(file):
    file.write(b'half')
    file.flush()
    print('half', flush=True)
    time.sleep(60)

atomic_write(sys.argv[1], write)
"""
    environment = {**os.environ, 'PYTHONPATH': str(REPOSITORY_ROOT)}
    command = [sys.executable, '-c', code, str(path)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == 'half\n'
        process.kill()
    assert path.read_bytes() == b'old'
    assert names(tmp_path) == [STAGING_NAME, 'a.bin']
    # The next writer removes what the killed one left behind, whichever file that was about to write.
    atomic_write(tmp_path / 'b.bin', b'new')
    assert path.read_bytes() == b'old'
    assert names(tmp_path) == ['a.bin', 'b.bin']


class Killed(BaseException):
    """Stands for a kill: nothing that would tidy up is run afterwards."""


@pytest.fixture
def killed_at(monkeypatch):
    """Function (number) -> the process is 'killed' at that call of those that change the disk, and stays dead."""

    def arm(number):
        calls = []

        def wrap(function):
            def counted(*arguments, **options):
                calls.append(function.__name__)
                if len(calls) >= number:
                    raise Killed
                return function(*arguments, **options)

            return counted

        with monkeypatch.context() as patched:
            for name in ('replace', 'mkdir', 'rmdir', 'unlink', 'fsync'):
                patched.setattr(os, name, wrap(getattr(os, name)))
            patched.setattr('shutil.rmtree', wrap(shutil.rmtree))
            yield

    return contextlib.contextmanager(arm)


def content_of(folder):
    """What a reader of files that belong together sees."""
    paths = [current(folder / name) for name in ('a', 'b', 'c')]
    return [(path / 'inner' if path.is_dir() else path).read_bytes() for path in paths]


def write(folder, text):
    with staged(folder) as place:
        for name in ('a', 'b'):
            (place / name).write_bytes(text)
        (place / 'c').mkdir()
        (place / 'c' / 'inner').write_bytes(text)


def test_a_kill_at_any_moment_leaves_all_old_or_all_new_and_the_next_write_tidies_up(tmp_path, killed_at):
    seen = []
    for number in range(1, 200):
        folder = tmp_path / str(number)
        folder.mkdir()
        write(folder, b'old')
        try:
            with killed_at(number):
                write(folder, b'new')
        except Killed:
            pass
        else:
            break
        found = content_of(folder)
        assert found in ([b'old'] * 3, [b'new'] * 3)
        seen.append(found[0])
        # Killed again, while it is put right.
        with contextlib.suppress(Killed), killed_at(number % 7 + 1):
            atomic_write(folder / 'd', b'')
        assert content_of(folder) == found
        atomic_write(folder / 'd', b'')
        assert [*content_of(folder), names(folder)] == [*found, ['a', 'b', 'c', 'd']]
    assert seen.count(b'old') > 3 and seen.count(b'new') > 3


def test_a_living_writer_is_left_alone(tmp_path):
    with staged(tmp_path, 'slow') as place:
        (place / 'slow').write_bytes(b'1')
        atomic_write(tmp_path / 'quick', b'2')
        assert (place / 'slow').exists()
    assert names(tmp_path) == ['quick', 'slow']


def test_threads_that_write_the_same_files_never_mix_them(tmp_path):
    def write_often(number):
        for _ in range(5):
            atomic_write_all({tmp_path / 'a': b'%d' % number, tmp_path / 'b': b'%d' % number})

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(write_often, range(6)))
    assert (tmp_path / 'a').read_bytes() == (tmp_path / 'b').read_bytes()
    assert names(tmp_path) == ['a', 'b']


@pytest.mark.parametrize('error', [FileExistsError, FileNotFoundError])
def test_a_staging_folder_that_another_writer_removes_in_this_moment_is_made_again(tmp_path, monkeypatch, error):
    acquire, times = FileLock.acquire, []

    def acquire_when_it_is_there(lock, *args, **kwargs):
        times.append(Path(lock.lock_file).parent)
        if len(times) <= 2:
            times[0].rmdir()
            raise error
        return acquire(lock, *args, **kwargs)

    monkeypatch.setattr(FileLock, 'acquire', acquire_when_it_is_there)
    atomic_write(tmp_path / 'a', b'1')
    assert times[:3] == [tmp_path / '.staging'] * 3
    assert names(tmp_path) == ['a']


def test_a_folder_in_the_way_of_a_file_is_told_before_anything_is_replaced(tmp_path):
    (tmp_path / 'b').mkdir()
    (tmp_path / 'a').write_bytes(b'old')
    with pytest.raises(IsADirectoryError, match='a folder of this name is in the way'):
        atomic_write_all({tmp_path / 'a': b'new', tmp_path / 'b': b'new'})
    assert (tmp_path / 'a').read_bytes() == b'old'
    assert names(tmp_path) == ['a', 'b']


def test_files_of_two_folders_are_refused(tmp_path):
    with pytest.raises(ValueError, match='expected files of one folder'):
        atomic_write_all({tmp_path / 'a': b'', tmp_path / 'b' / 'a': b''})
