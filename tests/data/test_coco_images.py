import os
import unicodedata
from pathlib import Path

import pytest

from mbv3zoo.data.coco_images import find_images


def put(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def find(path, *names, images=None):
    return [Path(found) for found in find_images(path, dict(enumerate(names)), images).values()]


@pytest.mark.parametrize(
    ('file', 'folder'),
    [
        ('annotations/instances_train2017.json', 'train2017'),
        ('annotations/instances_train2017.json', 'images/train2017'),
        ('annotations/person_keypoints_train2017.json', 'train2017'),
        ('annotations/instances_train2017.json', 'images/train'),
        ('annotations/train.json', 'train2017'),
        ('annotations/instances_val.json', 'images/valid'),
        ('annotations/instances_train2017.json', 'images'),
        ('annotations/instances_train2017.json', 'annotations'),
        ('annotations/instances_default.json', 'images/default'),
        ('train.json', 'train'),
        ('instances_train.json', 'images/train'),
        ('train.json', 'images'),
        ('train2017/instances_train2017.json', 'train2017'),
        ('labels/train.json', 'images/train'),
    ],
)
def test_the_usual_places(tmp_path, file, folder):
    put(tmp_path, file, f'{folder}/a.png')
    # Other splits have images of the same name.
    put(tmp_path, 'test2017/a.png', 'images/test/a.png')
    assert find(tmp_path / file, 'a.png') == [tmp_path / folder / 'a.png']


def test_file_names_may_begin_at_the_root_of_the_set(tmp_path):
    put(tmp_path, 'annotations/x.json', 'some/where/a.png')
    assert find(tmp_path / 'annotations/x.json', 'some/where/a.png') == [tmp_path / 'some/where/a.png']


def test_a_relative_path_finds_the_same(tmp_path, monkeypatch):
    put(tmp_path, 'annotations/instances_train2017.json', 'train2017/a.png')
    for folder, path in (
        (tmp_path, 'annotations'),
        (tmp_path / 'annotations', '.'),
        (tmp_path / 'train2017', '../annotations'),
    ):
        monkeypatch.chdir(folder)
        assert find(Path(path) / 'instances_train2017.json', 'a.png') == [tmp_path / 'train2017/a.png']


def test_a_linked_file_finds_images_at_both_ends(tmp_path):
    put(tmp_path, 'real/annotations/train.json', 'real/train/a.png', 'other/val/b.png')
    (tmp_path / 'other/annotations').mkdir()
    for split in ('train', 'val'):
        (tmp_path / f'other/annotations/{split}.json').symlink_to(tmp_path / 'real/annotations/train.json')
    assert find(tmp_path / 'other/annotations/train.json', 'a.png') == [tmp_path / 'real/train/a.png']
    assert find(tmp_path / 'other/annotations/val.json', 'b.png') == [tmp_path / 'other/val/b.png']


def test_the_place_with_most_images_is_taken(tmp_path):
    put(tmp_path, 'annotations/train.json', 'images/train/a.png', *(f'train/{name}.png' for name in 'abc'))
    names = [f'{name}.png' for name in 'abcd']
    assert find(tmp_path / 'annotations/train.json', *names) == [tmp_path / 'train' / name for name in names]
    # Of two with as many, the more usual.
    put(tmp_path, 'images/train/b.png', 'images/train/c.png')
    assert find(tmp_path / 'annotations/train.json', *names)[0] == tmp_path / 'images/train/a.png'


def test_the_first_image_may_be_missing_and_most_others(tmp_path):
    put(tmp_path, 'annotations/train.json', 'train/977.png')
    found = find(tmp_path / 'annotations/train.json', *(f'{i}.png' for i in range(1000)))
    assert found[977] == tmp_path / 'train/977.png' and found[0] == tmp_path / 'train/0.png'


def test_a_folder_that_cannot_be_listed_is_no_trouble(tmp_path, monkeypatch):
    put(tmp_path, 'set/annotations/train.json', 'set/train2017/a.png')
    listdir = os.listdir

    def of_others(folder):
        if folder == tmp_path / 'set/images':
            raise PermissionError('not yours')
        return listdir(folder)

    monkeypatch.setattr(os, 'listdir', of_others)
    assert find(tmp_path / 'set/annotations/train.json', 'a.png') == [tmp_path / 'set/train2017/a.png']


def test_images_in_no_usual_place_are_asked_for(tmp_path):
    put(tmp_path, 'annotations/train.json', 'far/a.png')
    with pytest.raises(
        ValueError, match=r'train\.json: a\.png is in none of .*--images, or for --val-data --val-images'
    ):
        find(tmp_path / 'annotations/train.json', 'a.png')
    assert find(tmp_path / 'annotations/train.json', 'a.png', images=tmp_path / 'far') == [tmp_path / 'far/a.png']


def test_a_named_folder_is_the_only_place(tmp_path):
    put(tmp_path, 'annotations/train.json', 'train/a.png')
    assert find(tmp_path / 'annotations/train.json', 'a.png', images=tmp_path / 'far') == [tmp_path / 'far/a.png']


@pytest.mark.parametrize('name', ['deep\\a.png', 'deep/a.png', '.\\deep\\a.png', 'deep//a.PNG', '../train/deep/a.png'])
def test_slashes_and_suffixes_may_be_other_ones(tmp_path, name):
    put(tmp_path, 'annotations/train.json', 'train/deep/a.png')
    assert find(tmp_path / 'annotations/train.json', name)[0].resolve() == tmp_path / 'train/deep/a.png'


@pytest.mark.parametrize(
    'name', ['C:\\data\\a.png', 'c:/data/a.png', '/data/of/others/a.png', '\\\\server\\data\\a.png']
)
def test_paths_of_another_machine_are_found_by_their_last_part(tmp_path, name):
    put(tmp_path, 'annotations/train.json', 'train/a.png')
    assert find(tmp_path / 'annotations/train.json', name) == [tmp_path / 'train/a.png']


def test_a_whole_path_is_taken_as_it_is(tmp_path):
    put(tmp_path, 'annotations/train.json', 'train/a.png', 'far/a.png')
    assert find(tmp_path / 'annotations/train.json', str(tmp_path / 'far/a.png')) == [tmp_path / 'far/a.png']


@pytest.mark.parametrize('forms', [('NFC', 'NFD'), ('NFD', 'NFC')])
def test_names_match_in_any_unicode_form(tmp_path, forms):
    on_disk, written = (unicodedata.normalize(form, 'käse.png') for form in forms)
    put(tmp_path, 'annotations/train.json', f'train/{on_disk}')
    assert find(tmp_path / 'annotations/train.json', written) == [tmp_path / 'train' / on_disk]


@pytest.mark.parametrize('name', ['x' * 5000, '\0', 'a\0.png', '\ud800.png', '.', '..', '/', 'C:'])
def test_names_that_no_file_can_have_are_no_trouble(tmp_path, name):
    put(tmp_path, 'annotations/train.json', 'train/a.png')
    assert find(tmp_path / 'annotations/train.json', 'a.png', name)[0] == tmp_path / 'train/a.png'
    with pytest.raises(ValueError, match='is in none of'):
        find(tmp_path / 'annotations/train.json', name)
