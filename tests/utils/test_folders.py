import errno
import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from mbv3zoo.utils.atomic import atomic_write
from mbv3zoo.utils.folders import LOCK_NAME, check_new_folder, claimed_folder, locked_folder, move_aside


def test_new_and_empty_folders_are_free(tmp_path):
    check_new_folder(tmp_path / 'new')
    check_new_folder(str(tmp_path / 'deep' / 'new'))
    (tmp_path / 'empty').mkdir()
    check_new_folder(tmp_path / 'empty')
    assert not (tmp_path / 'new').exists()


@pytest.mark.parametrize('content', ['a.txt', '.hidden'])
def test_a_folder_in_use_is_refused(tmp_path, content):
    (tmp_path / 'run').mkdir()
    (tmp_path / 'run' / content).write_text('mine')
    with pytest.raises(ValueError, match='run exists; results are never overwritten'):
        check_new_folder(tmp_path / 'run')


def test_whoever_may_leave_the_folder_out_is_told_which_is_taken_then(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ('mine', 'runs/val-1'):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / 'mine' / 'a.txt').touch()
    with (
        pytest.raises(ValueError, match=r'^mine exists; .* another folder, or none: .* is taken, runs.val-2\.$'),
        claimed_folder('mine', 'val'),
    ):
        pass
    with pytest.raises(ValueError, match=r'Choose another folder\.$'), claimed_folder('mine'):
        pass


def test_a_file_is_refused(tmp_path):
    (tmp_path / 'run').write_text('')
    with pytest.raises(ValueError, match='run exists'):
        check_new_folder(str(tmp_path / 'run'))


def test_without_a_name_the_next_number_is_taken(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'runs').mkdir()
    (tmp_path / 'runs' / 'train').mkdir()
    (tmp_path / 'runs' / 'train-1').mkdir()
    (tmp_path / 'runs' / 'train-2').write_text('a file counts too')
    (tmp_path / 'runs' / 'train-3').symlink_to('nowhere')
    with claimed_folder(None, 'train') as folder:
        assert folder.as_posix() == 'runs/train-4' and folder.is_dir()
        with claimed_folder(None, 'predict') as other, claimed_folder(None, 'train') as later:
            assert (other.name, later.name) == ('predict-1', 'train-5')


def test_a_folder_is_left_as_it_was_if_nothing_is_written(tmp_path):
    (tmp_path / 'mine').mkdir()
    for name in ('mine', 'new', 'deep/new'):
        with pytest.raises(KeyError), claimed_folder(tmp_path / name) as folder:
            assert folder.is_dir()
            raise KeyError
    assert [path.name for path in tmp_path.iterdir()] == ['mine'] and not any((tmp_path / 'mine').iterdir())


def test_a_command_in_vain_leaves_no_folder_of_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for there in (False, True):
        if there:
            (tmp_path / 'runs').mkdir()
        with pytest.raises(KeyError), claimed_folder(None, 'train') as folder:
            assert folder.as_posix() == 'runs/train-1'
            raise KeyError
        assert (tmp_path / 'runs').exists() is there and [*tmp_path.rglob('*-*')] == []


def test_what_was_written_stays_and_nothing_beside_it(tmp_path):
    with pytest.raises(KeyError), claimed_folder(tmp_path / 'deep' / 'new') as folder:
        (folder / 'a.txt').write_text('results')
        raise KeyError
    assert [path.name for path in folder.iterdir()] == ['a.txt']
    with pytest.raises(ValueError, match='results are never overwritten'), claimed_folder(folder):
        pass
    assert [path.name for path in folder.iterdir()] == ['a.txt']


@pytest.mark.parametrize('given', [None, 'new', 'empty'])
def test_many_starts_at_once_never_share_a_folder(tmp_path, monkeypatch, given):
    monkeypatch.chdir(tmp_path)
    starts, number = 8, 5
    barrier = Barrier(starts)
    refused = []

    def start(_):
        barrier.wait()
        try:
            with claimed_folder(given, 'train') as folder:
                (folder / 'results').open('x').close()
                return folder
        except ValueError as error:
            refused.append(str(error))

    for _ in range(number):
        if given == 'empty':
            (tmp_path / given).mkdir()
        with ThreadPoolExecutor(starts) as pool:
            folders = [folder for folder in pool.map(start, range(starts)) if folder]
        assert len(folders) == len(set(folders)) == (starts if given is None else 1)
        for folder in folders:
            assert [path.name for path in folder.iterdir()] == ['results']
            (folder / 'results').unlink()
            if given:
                folder.rmdir()
    assert len(refused) == (0 if given is None else number * (starts - 1))
    assert all('never overwritten' in reason or 'written by another process' in reason for reason in refused)


def hold(folder, connection):
    with claimed_folder(folder):
        connection.send('claimed')
        connection.recv()


def test_a_folder_is_free_again_when_the_process_that_had_it_is_killed(tmp_path):
    context = multiprocessing.get_context('fork')
    ours, theirs = context.Pipe()
    process = context.Process(target=hold, args=(tmp_path / 'run', theirs))
    process.start()
    assert ours.recv() == 'claimed'
    for lock in (locked_folder, claimed_folder):
        with pytest.raises(ValueError, match='run is being written by another process; wait until it ends'):
            lock(tmp_path / 'run').__enter__()
    process.kill()
    process.join()
    # It had no time to tidy up.
    assert [path.name for path in (tmp_path / 'run').iterdir()] == [LOCK_NAME]
    with claimed_folder(tmp_path / 'run') as folder:
        (folder / 'results').write_text('')
    assert [path.name for path in folder.iterdir()] == ['results']


def test_what_a_killed_process_left_does_not_fill_a_folder_and_a_complete_set_does(tmp_path):
    left = tmp_path / '.staging' / 'x' / 'files'
    left.mkdir(parents=True)
    (left / 'a').touch()
    with claimed_folder(tmp_path) as folder:
        atomic_write(folder / 'b', b'')
    assert [path.name for path in tmp_path.iterdir()] == ['b']
    (tmp_path / 'b').unlink()
    left.mkdir(parents=True)
    (left.parent / 'complete').touch()
    with pytest.raises(ValueError, match='exists; results are never overwritten'):
        check_new_folder(tmp_path)


def test_an_error_of_a_disk_that_has_become_read_only_is_not_replaced_by_that_of_the_lock(tmp_path, monkeypatch):
    def refuse(*arguments, **options):
        raise OSError(errno.EROFS, 'Read-only file system')

    with pytest.raises(RuntimeError, match='the weights could not be written'), locked_folder(tmp_path):
        monkeypatch.setattr(Path, 'unlink', refuse)
        raise RuntimeError('the weights could not be written')


def test_a_folder_that_takes_no_lock_is_named(tmp_path, monkeypatch):
    def refuse(*arguments, **options):
        raise OSError(errno.EROFS, 'Read-only file system', str(tmp_path / LOCK_NAME))

    monkeypatch.setattr('filelock.FileLock.acquire', refuse)
    with pytest.raises(OSError, match='could not write to the folder .*: the file system is read-only') as error:
        locked_folder(tmp_path).__enter__()
    assert LOCK_NAME not in str(error.value)


def test_what_is_damaged_is_moved_aside_under_a_name_that_is_free(tmp_path):
    for number in (1, 2):
        (tmp_path / 'results.csv').write_text(f'number {number}')
        aside = move_aside(tmp_path / 'results.csv')
        assert aside.name == f'results.csv.damaged-{number}' and aside.read_text() == f'number {number}'
    (tmp_path / 'best').mkdir()
    assert move_aside(tmp_path / 'best').is_dir() and not (tmp_path / 'best').exists()
