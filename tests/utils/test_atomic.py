import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mbv3zoo.utils.atomic import atomic_write, atomic_write_all, move_beside

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
    # The next writer is not disturbed by what the killed one left behind.
    atomic_write(path, b'new')
    assert path.read_bytes() == b'new'


def test_what_is_moved_beside_replaces_files_and_folders_and_the_named_one_goes_last(tmp_path, monkeypatch):
    made, path = tmp_path / 'made', tmp_path / 'a'
    for place, text in ((made, 'new'), (tmp_path, 'old')):
        (place / 'b').mkdir(parents=True)
        (place / 'b' / text).touch()
        (place / 'a').write_text(text)
    (made / 'c').write_text('new')
    order, replace = [], os.replace
    monkeypatch.setattr(os, 'replace', lambda source, target: (order.append(target), replace(source, target)))
    move_beside(made, path)
    assert path.read_text() == (tmp_path / 'c').read_text() == 'new'
    assert [entry.name for entry in (tmp_path / 'b').iterdir()] == ['new']
    assert not list(made.iterdir()) and order[-1] == path
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ['a', 'b', 'c', 'made']
