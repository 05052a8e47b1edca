import os
import unicodedata

import pytest

from mbv3zoo.data.files import FileLookup, files_by_stem, stem_key

NFC, NFD = (unicodedata.normalize(form, 'Käfer é') for form in ('NFC', 'NFD'))


def make(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text('')


def test_files_by_stem(tmp_path):
    make(tmp_path, f'x/{NFD}.jpg', 'x/b.c.JPG', 'x/b.c.png', '.d.jpg')
    files = files_by_stem(tmp_path, ('.jpg', '.png'))
    assert {key: [os.path.basename(path) for path in paths] for key, paths in files.items()} == {
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
