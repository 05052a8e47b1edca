import hashlib
import os
from concurrent.futures import ThreadPoolExecutor

import pytest
from huggingface_hub import scan_cache_dir

from mbv3zoo.hub import cache
from mbv3zoo.hub.cache import RepositoryCache
from mbv3zoo.hub.integrity import Stated
from mbv3zoo.utils.atomic import STAGING_NAME

COMMIT, HASH = 'c' * 40, hashlib.sha256(b'weights').hexdigest()


@pytest.fixture
def repository(tmp_path):
    return RepositoryCache(tmp_path, 'org/name')


@pytest.mark.parametrize('links', [True, False])
def test_a_file_is_kept_in_the_layout_of_the_client(repository, tmp_path, monkeypatch, links):
    monkeypatch.setattr(cache, 'are_symlinks_supported', lambda folder: links)
    with repository.staging() as staging:
        (staging / 'file').write_bytes(b'weights')
        path = repository.keep(staging / 'file', HASH, COMMIT, 'model.safetensors')
    assert path == tmp_path / f'models--org--name/snapshots/{COMMIT}/model.safetensors'
    assert path.read_bytes() == b'weights' and path.is_symlink() == links
    assert not (repository.folder / STAGING_NAME).exists()
    assert repository.blob(HASH).is_file() == links
    if links:
        again = repository.keep(repository.blob(HASH), HASH, 'd' * 40, 'model.safetensors')
        assert os.readlink(again) == f'../../blobs/{HASH}' and again.read_bytes() == b'weights'


def keep(repository, name='model.safetensors', commit=COMMIT):
    with repository.staging() as staging:
        (staging / 'file').write_bytes(b'weights')
        return repository.keep(staging / 'file', HASH, commit, name)


@pytest.mark.parametrize('links', [True, False])
def test_what_the_hub_stated_is_noted_of_files_that_are_no_links(repository, monkeypatch, links):
    monkeypatch.setattr(cache, 'are_symlinks_supported', lambda folder: links)
    for name in ('model.safetensors', 'sub/file'):
        path = keep(repository, name)
        assert repository.stated(COMMIT, name) == (None if links else Stated(None, HASH))
    assert repository.stated('d' * 40, 'model.safetensors') is None and repository.stated(COMMIT, 'another') is None
    # Who cleans the cache finds what the client put there, and no more.
    assert [len(repo.revisions) for repo in scan_cache_dir(repository.cache_dir).repos] == [1]
    assert not scan_cache_dir(repository.cache_dir).warnings
    assert path.read_bytes() == b'weights'


@pytest.mark.parametrize('note', [b'', b'\xff', b'another', HASH.encode()[:63], HASH.encode() + b'\n'])
def test_a_damaged_note_says_nothing(repository, monkeypatch, note):
    monkeypatch.setattr(cache, 'are_symlinks_supported', lambda folder: False)
    keep(repository)
    (repository.folder / 'hashes' / COMMIT / 'model.safetensors').write_bytes(note)
    assert repository.stated(COMMIT, 'model.safetensors') is None


def test_notes_that_many_write_at_once_are_all_there(repository, monkeypatch):
    monkeypatch.setattr(cache, 'are_symlinks_supported', lambda folder: False)
    names = [f'file{number}' for number in range(16)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: keep(repository, name), names))
    assert all(repository.stated(COMMIT, name) == Stated(None, HASH) for name in names)


def test_a_cache_that_takes_no_note_keeps_the_file(repository, monkeypatch):
    monkeypatch.setattr(cache, 'are_symlinks_supported', lambda folder: False)
    repository.folder.mkdir(parents=True)
    (repository.folder / 'hashes').touch()
    assert keep(repository).read_bytes() == b'weights'


@pytest.mark.parametrize(
    'content',
    [b'', b'\xff\xfe', b'../../../etc', b'main', b'c' * 39, b'c' * 100, b'C' * 40, b'\0' * 40, COMMIT.encode() * 3],
)
def test_what_a_branch_stands_for_is_believed_only_where_it_is_a_commit(repository, content):
    repository.remember(None, COMMIT)
    assert repository.commit(None) == repository.commit('main') == COMMIT
    (repository.folder / 'refs/main').write_bytes(content)
    assert repository.commit(None) is None
    assert repository.commit('v1') is None


def test_a_commit_stands_for_itself_whatever_is_noted_of_it(repository):
    repository.remember('main', COMMIT)
    (repository.folder / 'refs' / COMMIT).write_bytes(b'd' * 40)
    assert repository.commit(COMMIT) == COMMIT


def test_folders_of_dead_downloads_are_removed_by_the_next(repository):
    dead = repository.folder / STAGING_NAME / 'dead' / 'files'
    dead.mkdir(parents=True)
    (dead / 'part').touch()
    with repository.staging() as staging, repository.staging() as other:
        assert not dead.exists() and staging.is_dir() and other.is_dir()
    assert not (repository.folder / STAGING_NAME).exists()
