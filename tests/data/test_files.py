import os
import unicodedata

import pytest

from mbv3zoo.data.files import FileLookup, files_by_stem, find_files, stem_key

NFC, NFD = (unicodedata.normalize(form, 'Käfer é') for form in ('NFC', 'NFD'))


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
    listed = os.listdir
    closed = PermissionError(13, 'Permission denied')
    monkeypatch.setattr(os, 'listdir', lambda path: raise_(closed) if path.name == 'closed' else listed(path))
    with pytest.raises(ValueError, match=r'closed: the folder cannot be read \(Permission denied\)'):
        found(tmp_path)
    with pytest.raises(ValueError, match='gone: the folder cannot be read'):
        found(tmp_path / 'gone')


def test_files_by_stem(tmp_path):
    make(tmp_path, f'x/{NFD}.jpg', 'x/b.c.JPG', 'x/b.c.png', '.d.jpg')
    files = files_by_stem(tmp_path, ('.jpg', '.png'))
    assert {key: [path.name for path in paths] for key, paths in files.items()} == {
        f'x/{NFC}': [f'{NFD}.jpg'],
        'x/b.c': ['b.c.JPG', 'b.c.png'],
    }
    assert stem_key(f'x/{NFD}.xml') in files and stem_key('x/b.c.txt') in files


@pytest.mark.parametrize(('there', 'asked'), [(NFC, NFD), (NFD, NFC), (NFC, NFC), (NFD, NFD)])
@pytest.mark.parametrize(('suffix', 'asked_suffix'), [('.txt', '.TXT'), ('.TXT', '.txt'), ('.Txt', '.tXt')])
def test_a_file_is_found_in_any_unicode_form_and_case_of_suffix(tmp_path, there, asked, suffix, asked_suffix):
    make(tmp_path, f'{there}/{there}{suffix}')
    place = tmp_path / f'{there}/{there}{suffix}'
    assert FileLookup().find(tmp_path / asked / f'{asked}{asked_suffix}') == place


def test_the_name_as_it_is_written_goes_first(tmp_path):
    make(tmp_path, f'{NFC}.txt', f'{NFD}.txt', f'{NFC}.TXT', f'{NFC}/a', f'{NFD}/a')
    lookup = FileLookup()
    for name in (f'{NFC}.txt', f'{NFD}.txt', f'{NFC}.TXT', f'{NFC}/a', f'{NFD}/a'):
        assert lookup.find(tmp_path / name) == tmp_path / name


@pytest.mark.parametrize(
    'name', ['b.txt', 'A.txt', 'a', 'a.txt.txt', 'x' * 300, 'nul\0.txt', '', '..', 'no/a.txt', 'a/' * 3000]
)
def test_what_is_not_there_is_none(tmp_path, name):
    make(tmp_path, 'a.txt')
    assert FileLookup().find(tmp_path / name) is None


def test_links_are_files_and_folders_too(tmp_path):
    make(tmp_path, f'far/{NFD}.txt')
    (tmp_path / 'labels').symlink_to('far')
    assert FileLookup().find(tmp_path / f'labels/{NFC}.txt') == tmp_path / f'labels/{NFD}.txt'
