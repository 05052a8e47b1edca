import os

import pytest

from mbv3zoo.utils.files import find_files


def make(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text('')


def raise_(error):
    raise error


def found(root, *suffixes):
    return [path.relative_to(root).as_posix() for path in find_files(root, suffixes or ('.jpg',))]


def test_files_of_all_folders_are_found_by_their_suffix_in_any_case(tmp_path):
    make(tmp_path, 'b.jpg', 'a.JPG', 'deep/er/c.Jpg', 'deep/d.png', 'notes.txt', 'jpg', 'e.jpg.txt', 'f.jpg/g.jpg')
    assert found(tmp_path) == ['a.JPG', 'b.jpg', 'deep/er/c.Jpg', 'f.jpg/g.jpg']
    assert found(tmp_path, '.png', '.txt') == ['deep/d.png', 'e.jpg.txt', 'notes.txt']
    assert found(tmp_path, '.gif') == []


def test_hidden_files_and_copies_of_programs_are_skipped(tmp_path):
    root = tmp_path / '.cache/set'
    make(root, 'a.jpg', '._a.jpg', '.ipynb_checkpoints/a-checkpoint.jpg', 'b/.git/c.jpg', '.jpg', 'b/.c/d/e.jpg')
    make(root, '__MACOSX/a.jpg', '@eaDir/a.jpg/thumb.jpg', '.hidden.jpg', '..jpg')
    assert found(root) == ['a.jpg']


def test_linked_folders_and_files_are_followed(tmp_path):
    make(tmp_path / 'far', 'a.jpg', 'deep/b.jpg')
    make(tmp_path / 'farther', 'd.jpg')
    make(tmp_path / 'set', 'c.jpg')
    (tmp_path / 'set/more').symlink_to(tmp_path / 'far')
    (tmp_path / 'far/on').symlink_to('../farther')
    (tmp_path / 'set/one.jpg').symlink_to(tmp_path / 'far/a.jpg')
    (tmp_path / 'linked').symlink_to('set')
    names = ['c.jpg', 'more/a.jpg', 'more/deep/b.jpg', 'more/on/d.jpg', 'one.jpg']
    assert found(tmp_path / 'set') == found(tmp_path / 'linked') == names


def test_links_in_circles_end(tmp_path):
    make(tmp_path / 'set', 'train/a.jpg', 'val/b.jpg')
    for name, target in (('self', '.'), ('up', '..'), ('top', '/'), ('other', '../val'), ('gone', 'nowhere')):
        (tmp_path / 'set/train' / name).symlink_to(target)
    (tmp_path / 'set/val/back').symlink_to('../train')
    # A link to the folder above would bring in the other splits.
    assert found(tmp_path / 'set/train') == ['a.jpg', 'other/b.jpg']
    assert found(tmp_path / 'set') == ['train/a.jpg', 'val/b.jpg']


def test_a_folder_that_is_linked_twice_is_read_once_by_its_own_name(tmp_path):
    make(tmp_path, 'm/a.jpg')
    for name in ('a', 'z'):
        (tmp_path / name).symlink_to('m')
    assert found(tmp_path) == ['m/a.jpg']


def test_a_broken_link_is_named_as_others_are(tmp_path):
    (tmp_path / 'a.jpg').symlink_to('nowhere.jpg')
    (tmp_path / 'b.jpg').symlink_to('b.jpg')
    assert found(tmp_path) == ['a.jpg', 'b.jpg']


def test_a_folder_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    (tmp_path / 'closed').mkdir()
    listed = os.scandir
    closed = PermissionError(13, 'Permission denied')
    monkeypatch.setattr(os, 'scandir', lambda path: raise_(closed) if path.endswith('closed') else listed(path))
    with pytest.raises(ValueError, match=r'closed: the folder cannot be read \(Permission denied\)'):
        found(tmp_path)
    with pytest.raises(ValueError, match='gone: the folder cannot be read'):
        found(tmp_path / 'gone')
