import json
import logging
import os
import stat
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
from stored import keep_many

from mbv3zoo.utils import store as stores
from mbv3zoo.utils.store import Store, cache_folder

KEYS = ['a' * 64, 'b' * 64, 'c' * 64, 'd' * 64]


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv('MBV3ZOO_CACHE', str(tmp_path / 'cache'))
    monkeypatch.delenv('MBV3ZOO_CACHE_MB', raising=False)
    monkeypatch.setattr(stores, '_told', set())


@pytest.fixture
def files(tmp_path):
    one, other = tmp_path / 'one', tmp_path / 'other'
    one.write_bytes(b'graph'), other.write_bytes(b'weights' * 100)
    return {'model.xml': one, 'model.bin': other}


@pytest.fixture
def kept(files):
    store = Store('graphs')
    assert store.find(KEYS[0]) is None
    assert store.keep(KEYS[0], files, {'name': 'a'})
    return store


def test_what_was_kept_is_found(kept, files, tmp_path):
    found = Store('graphs').find(KEYS[0])
    assert found == tmp_path / 'cache' / 'graphs' / KEYS[0]
    assert all((found / name).read_bytes() == file.read_bytes() for name, file in files.items())
    assert json.loads((found / 'entry.json').read_text())['of'] == {'name': 'a'}
    assert Store('graphs').find(KEYS[1]) is None and Store('others').find(KEYS[0]) is None
    # Nobody else may look into it, nor write.
    assert not stat.S_IMODE(kept.folder.stat().st_mode) & 0o077
    assert sorted(os.listdir(kept.folder)) == [KEYS[0]]


@pytest.mark.parametrize('name', ['model.xml', 'model.bin', 'entry.json'])
@pytest.mark.parametrize('damage', ['changed', 'cut off', 'removed'])
def test_a_damaged_entry_is_none_and_kept_anew(kept, files, name, damage, caplog):
    path = kept.folder / KEYS[0] / name
    data = path.read_bytes()
    if damage == 'removed':
        path.unlink()
    else:
        path.write_bytes(data[:-3] if damage == 'cut off' else b'x' + data[1:])
    assert kept.find(KEYS[0]) is None
    assert kept.keep(KEYS[0], files, {'name': 'a'}) and kept.find(KEYS[0])
    assert path.read_bytes() == data
    told = [] if damage == 'removed' and name == 'entry.json' else [f'{path.parent} is damaged']
    assert [record.getMessage().partition(',')[0] for record in caplog.records] == told


@pytest.mark.parametrize(
    'text', ['', '[]', 'null', '{}', '{"sha256": {}}', '{"sha256": {"model.xml": 5}}', '{"sha256": [1]}', '\udcff']
)
def test_a_record_of_another_form_is_no_entry(kept, text):
    (kept.folder / KEYS[0] / 'entry.json').write_text(text, errors='surrogateescape')
    assert kept.find(KEYS[0]) is None


def test_those_used_longest_ago_go(files, monkeypatch):
    size = sum(file.stat().st_size for file in files.values())
    store = Store('graphs')
    # Room for three of them, with their records.
    store.most_bytes = 3 * (size + 400)
    for age, key in enumerate(KEYS[:3]):
        assert store.keep(key, files, {})
        os.utime(store.folder / key / 'entry.json', ns=(0, 10**9 * (age + 1)))
    assert store.find(KEYS[0])
    assert store.keep(KEYS[3], files, {})
    assert [key for key in KEYS if store.find(key)] == [KEYS[0], KEYS[2], KEYS[3]]


def test_what_is_larger_than_the_cache_is_not_kept(kept, files, monkeypatch):
    monkeypatch.setenv('MBV3ZOO_CACHE_MB', '0')
    assert not Store('graphs').keep(KEYS[1], files, {})
    assert os.listdir(kept.folder) == [KEYS[0]]


def test_a_size_that_is_no_number_is_told(files, monkeypatch, caplog):
    monkeypatch.setenv('MBV3ZOO_CACHE_MB', '2 GB')
    assert Store('graphs').keep(KEYS[0], files, {}) and Store('graphs').find(KEYS[0])
    assert [record.getMessage() for record in caplog.records] == [
        "MBV3ZOO_CACHE_MB is '2 GB', expected a whole number of megabytes; 2000 are taken"
    ]


def test_what_a_killed_process_left_is_removed(kept, files):
    # Of an entry that was removed by halves, and one that was written by halves.
    (kept.folder / KEYS[1]).mkdir()
    (kept.folder / KEYS[1] / 'model.xml').write_bytes(b'graph')
    half = kept.folder / '.staging' / 'ffff'
    (half / 'files' / KEYS[2]).mkdir(parents=True)
    (kept.folder / 'notes.txt').write_text('of the user')
    assert kept.find(KEYS[1]) is None and kept.find(KEYS[2]) is None
    assert kept.keep(KEYS[3], files, {})
    assert sorted(os.listdir(kept.folder)) == [KEYS[0], KEYS[3], 'notes.txt']


@pytest.mark.skipif(not hasattr(os, 'getuid'), reason='folders of a user are their own there')
@pytest.mark.parametrize('mode', [0o777, 0o770, 0o1777])
def test_a_folder_that_others_may_write_to_is_not_used(kept, files, mode, caplog):
    kept.folder.chmod(mode)
    assert kept.find(KEYS[0]) is None and not kept.keep(KEYS[1], files, {})
    (record,) = caplog.records
    assert f'the cache {kept.folder} is not used' in record.getMessage() and 'chmod go-w' in record.getMessage()
    kept.folder.chmod(0o755)
    assert kept.find(KEYS[0])


@pytest.mark.skipif(not hasattr(os, 'getuid'), reason='folders of a user are their own there')
def test_a_folder_of_another_user_is_not_used(kept, files, monkeypatch, caplog):
    monkeypatch.setattr(os, 'getuid', lambda: kept.folder.stat().st_uid + 1)
    assert kept.find(KEYS[0]) is None and not kept.keep(KEYS[1], files, {})
    assert 'belongs to another user' in caplog.records[0].getMessage() and len(caplog.records) == 1


@pytest.mark.parametrize('place', ['file', 'file/below', '/proc/none/cache', '/dev/null'])
def test_a_cache_that_cannot_be_written_is_told_once(tmp_path, files, place, monkeypatch, caplog):
    (tmp_path / 'file').write_text('')
    monkeypatch.setenv('MBV3ZOO_CACHE', str(tmp_path / place))
    for _ in range(2):
        assert Store('graphs').find(KEYS[0]) is None and not Store('graphs').keep(KEYS[0], files, {})
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert str(tmp_path / place) in record.getMessage() and 'set MBV3ZOO_CACHE to another' in record.getMessage()
    assert '\n' not in record.getMessage()


def test_a_full_disk_is_told_and_leaves_nothing(kept, files, monkeypatch, caplog):
    def fill(source, target):
        Path(target).write_bytes(b'half')
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(stores.shutil, 'copyfile', fill)
    assert not kept.keep(KEYS[1], files, {})
    assert 'the disk is full' in caplog.records[0].getMessage() and str(kept.folder) in caplog.records[0].getMessage()
    assert os.listdir(kept.folder) == [KEYS[0]] and kept.find(KEYS[0])


def test_many_processes_that_keep_and_find_at_once(tmp_path):
    with ProcessPoolExecutor(3) as processes:
        found = [*processes.map(keep_many, [str(tmp_path)] * 3, range(3))]
    # Each found what it had kept, or, where another one had needed the room, nothing; never another's or a half.
    assert all(found)


def test_without_a_home_nothing_is_kept(files, tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv('MBV3ZOO_CACHE')
    monkeypatch.delenv('XDG_CACHE_HOME', raising=False)
    monkeypatch.setattr(os.path, 'expanduser', lambda path: path)
    before = os.listdir()
    assert Store('graphs').find(KEYS[0]) is None and not Store('graphs').keep(KEYS[0], files, {})
    assert 'nothing is kept in the cache' in caplog.text and os.listdir() == before


def test_where_the_cache_is(monkeypatch):
    monkeypatch.setenv('HOME', '/home/a')
    monkeypatch.setenv('XDG_CACHE_HOME', '/scratch')
    monkeypatch.setenv('MBV3ZOO_CACHE', '~/own')
    assert cache_folder() == Path('/home/a/own')
    monkeypatch.setenv('MBV3ZOO_CACHE', '')
    assert cache_folder() == Path('/scratch/mbv3zoo')
    monkeypatch.setenv('XDG_CACHE_HOME', 'relative')
    assert cache_folder() == Path('/home/a/.cache/mbv3zoo')
    monkeypatch.delenv('XDG_CACHE_HOME')
    assert cache_folder() == Path('/home/a/.cache/mbv3zoo')
