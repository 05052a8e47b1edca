import hashlib
import os
import time

import pytest
from huggingface_hub import constants

from mbv3zoo.data.downloads import load_checked, remove_corrupt

DATA = b'a table'
NAMES = {
    'LFS': hashlib.sha256(DATA).hexdigest(),
    'git': hashlib.sha1(b'blob %d\0' % len(DATA) + DATA).hexdigest(),
    'mirror': hashlib.sha1(DATA).hexdigest(),
    'no hash': 'some-etag',
}


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(constants, 'HF_HUB_CACHE', str(tmp_path))
    folder = tmp_path / 'datasets--org--name'
    (folder / 'blobs').mkdir(parents=True)
    (folder / 'snapshots' / 'commit' / 'data').mkdir(parents=True)
    for name, etag in NAMES.items():
        (folder / 'blobs' / etag).write_bytes(DATA)
        (folder / 'snapshots' / 'commit' / 'data' / name).symlink_to(f'../../../blobs/{etag}')
    return folder


def test_whole_files_stay(cache):
    assert remove_corrupt('org/name', 0) == [] and len(list((cache / 'blobs').iterdir())) == 4
    assert remove_corrupt('org/another', 0) == []


def test_damaged_files_go_with_their_links(cache):
    for etag in NAMES.values():
        (cache / 'blobs' / etag).write_bytes(b'another')
    assert remove_corrupt('org/name', time.time()) == ['data/LFS', 'data/git', 'data/mirror']
    assert [path.name for path in (cache / 'blobs').iterdir()] == ['some-etag']
    assert [path.name for path in (cache / 'snapshots/commit/data').iterdir()] == ['no hash']


def test_files_of_earlier_downloads_are_not_read_again(cache):
    blob = cache / 'blobs' / NAMES['LFS']
    blob.write_bytes(b'another')
    os.utime(blob, (0, 0))
    assert remove_corrupt('org/name', time.time()) == []


@pytest.mark.parametrize('fails', [False, True])
@pytest.mark.parametrize('times', [0, 1, 2])
def test_a_damaged_file_is_fetched_once_more(cache, monkeypatch, times, fails):
    datasets = pytest.importorskip('datasets')
    blob, sent = cache / 'blobs' / NAMES['LFS'], [b'another'] * times + [DATA] * 2
    calls = []

    def load(name, **options):
        calls.append((name, options))
        blob.write_bytes(sent.pop(0))
        if fails and blob.read_bytes() != DATA:
            raise KeyError('a table that cannot be read')
        return {}

    monkeypatch.setattr(datasets, 'load_dataset', load)
    if times == 2:
        with pytest.raises(KeyError if fails else ValueError):
            load_checked('org/name', {'revision': None})
    else:
        assert load_checked('org/name', {'revision': None}) == {}
    assert calls == [('org/name', {'revision': None})] * min(times + 1, 2)
    assert not blob.exists() or blob.read_bytes() == DATA
