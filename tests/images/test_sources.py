import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mbv3zoo.images.sources import expand_source


@pytest.fixture
def folder(tmp_path):
    (tmp_path / 'inner' / 'deep.jpg').mkdir(parents=True)  # a directory with a picture's suffix
    for name in ('b.JPG', 'a.png', 'c.txt', '.hidden.jpg', '._b.JPG', 'inner/d.jpeg', 'inner/e.md'):
        (tmp_path / name).touch()
    return tmp_path


def test_single_sources(folder):
    image, array, grey = Image.new('RGB', (2, 2)), np.zeros((2, 2, 3), np.uint8), np.zeros((2, 2), np.uint8)
    for source in (folder / 'a.png', str(folder / 'c.txt'), image, array, grey, torch.zeros(3, 2, 2)):
        items, is_single = expand_source(source)
        assert is_single and len(items) == 1 and items[0] is source


def test_batches_are_lists():
    tensor = torch.arange(24, dtype=torch.uint8).reshape(2, 3, 2, 2)
    items, is_single = expand_source(tensor)
    assert not is_single and len(items) == 2 and torch.equal(items[1], tensor[1])
    items, is_single = expand_source(tensor.permute(0, 2, 3, 1).numpy())
    assert not is_single and items[1].shape == (2, 2, 3)
    assert expand_source(tensor[:1])[1] is False
    assert expand_source(tensor[:0]) == ([], False)


def test_lists_keep_order_and_are_not_looked_into():
    source = ['missing.jpg', Image.new('L', (1, 1)), 'a.jpg', np.zeros((2, 2)), torch.zeros(3, 1, 1)]
    for kind in (list, tuple):
        items, is_single = expand_source(kind(source))
        assert not is_single
        assert all(item is given for item, given in zip(items, source, strict=True))
    assert expand_source([]) == ([], False)
    assert expand_source(['only.jpg']) == (['only.jpg'], False)


def test_list_with_something_else():
    with pytest.raises(ValueError, match='item 1 .* NoneType'):
        expand_source(['a.jpg', None])
    with pytest.raises(ValueError, match='item 0 .* list'):
        expand_source([['a.jpg']])


@pytest.mark.parametrize('kind', [str, Path])
def test_directory(folder, kind):
    items, is_single = expand_source(kind(folder))
    assert not is_single
    assert items == [folder / 'a.png', folder / 'b.JPG']


@pytest.mark.parametrize(
    ('pattern', 'names'),
    [
        ('*', ['a.png', 'b.JPG']),
        ('*.png', ['a.png']),
        ('**/*', ['a.png', 'b.JPG', 'inner/d.jpeg']),
        ('**/*.jpeg', ['inner/d.jpeg']),
        ('[ab].*', ['a.png', 'b.JPG']),
        ('**', ['a.png', 'b.JPG', 'inner/d.jpeg']),
        ('**/inner/**/*.jp*g', ['inner/d.jpeg']),
    ],
)
def test_pattern(folder, pattern, names):
    items, is_single = expand_source(f'{folder}/{pattern}')
    assert not is_single and items == [folder / name for name in names]


def test_a_pattern_goes_through_linked_folders_once(tmp_path, monkeypatch):
    for name in ('far/a.png', 'near/b.png'):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    for link, target in (('near/far', '../far'), ('near/loop', '.'), ('near/up', '..'), ('near/c.png', 'b.png')):
        (tmp_path / link).symlink_to(target)
    names = ['near/b.png', 'near/c.png', 'near/far/a.png']
    assert expand_source(f'{tmp_path}/n*/**/*.png') == ([tmp_path / name for name in names], False)
    monkeypatch.chdir(tmp_path)
    assert expand_source('near/**/*.png') == ([Path(name) for name in names], False)
    monkeypatch.chdir(tmp_path / 'far')
    assert expand_source('**/*.png') == ([Path('a.png')], False)


def test_name_with_brackets_is_taken_literally_first(tmp_path):
    (tmp_path / 'a[1].jpg').touch()
    (tmp_path / 'a1.jpg').touch()
    assert expand_source(str(tmp_path / 'a[1].jpg')) == ([str(tmp_path / 'a[1].jpg')], True)
    (tmp_path / '[x]').mkdir()
    (tmp_path / '[x]' / 'b.jpg').touch()
    assert expand_source(str(tmp_path / '[x]')) == ([tmp_path / '[x]' / 'b.jpg'], False)


def test_nothing_there(folder, tmp_path):
    (tmp_path / 'none').mkdir()
    (tmp_path / 'none' / 'notes.txt').touch()
    for name, message in {'none': 'holds no pictures', '*.bmp': 'matches no', 'gone.jpg': 'no file'}.items():
        with pytest.raises(ValueError, match=message) as caught:
            expand_source(str(tmp_path / name))
        assert str(tmp_path / name) in str(caught.value)


@pytest.mark.parametrize('source', [None, 3, {'a': 1}, iter(['a.jpg']), ''])
def test_other_kinds(source):
    with pytest.raises(ValueError, match='expected a path'):
        expand_source(source)


def test_what_cannot_be_read_is_listed_so_that_it_is_told(tmp_path):
    (tmp_path / 'a.jpg').symlink_to('nothing')
    (tmp_path / 'b.jpg').symlink_to(tmp_path / 'b.jpg')
    os.mkfifo(tmp_path / 'c.jpg')
    expected = [tmp_path / name for name in ('a.jpg', 'b.jpg', 'c.jpg')]
    assert expand_source(tmp_path) == (expected, False) == expand_source(f'{tmp_path}/*.jpg')


def test_a_folder_that_cannot_be_listed_is_named(tmp_path, monkeypatch):
    def closed(self):
        raise PermissionError(13, 'Permission denied', str(self))

    monkeypatch.setattr(Path, 'iterdir', closed)
    with pytest.raises(ValueError, match='cannot be listed: Permission denied') as caught:
        expand_source(tmp_path)
    assert str(tmp_path) in str(caught.value)
