import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from mbv3zoo.detections import Detections
from mbv3zoo.prediction.drawings import Drawings


@pytest.fixture
def drawings(tmp_path):
    with ThreadPoolExecutor(1) as pool:
        yield Drawings(tmp_path, pool)


def drawn(drawings, path, height=8, width=8):
    found = Detections.empty(('thing',), (height, width), path)
    return drawings.submit(found, np.zeros((height, width, 3), np.uint8)).result()


@pytest.mark.parametrize(
    ('height', 'width', 'name'), [(1, 65_500, 'a.jpg'), (1, 65_501, 'a.png'), (70_000, 1, 'a.png')]
)
def test_an_image_that_is_too_wide_or_tall_for_jpeg_is_a_png(drawings, tmp_path, height, width, name):
    assert drawn(drawings, 'in/a.bmp', height, width) == name
    with Image.open(tmp_path / name) as image:
        assert image.size == (width, height) and image.format == ('JPEG' if name.endswith('jpg') else 'PNG')


def test_names_that_a_file_system_takes_for_the_same_are_numbered(drawings):
    paths = ['a/Käfer.png', 'b/Ka\u0308fer.png', 'c/KÄFER.jpg', 'a.jpg', 'A.JPG']
    assert [drawn(drawings, path) for path in paths] == [
        'Käfer.jpg', 'Ka\u0308fer-2.jpg', 'KÄFER-3.jpg', 'a.jpg', 'A-2.jpg'
    ]  # fmt: skip


def test_a_name_that_is_nearly_too_long_has_room_for_a_number(drawings, tmp_path):
    names = {drawn(drawings, f'{folder}/{"猫" * 84}.p') for folder in 'ab'}
    assert len(names) == 2 and all(len(os.fsencode(name)) <= 255 for name in names)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)


def test_half_a_drawing_is_removed(drawings, tmp_path, monkeypatch):
    def full(path, data):
        path.touch()
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr('pathlib.Path.write_bytes', full)
    with pytest.raises(OSError, match='No space'):
        drawn(drawings, 'a.png')
    assert not list(tmp_path.iterdir())


def test_a_file_is_drawn_on_within_the_limit_that_it_was_read_with(tmp_path):
    Image.new('RGB', (8, 8)).save(tmp_path / 'a.png')
    found = Detections.empty(('thing',), (8, 8), str(tmp_path / 'a.png'))
    with ThreadPoolExecutor(1) as pool:
        assert Drawings(tmp_path, pool, max_pixels=64).submit(found, tmp_path / 'a.png').result() == 'a.jpg'
        with pytest.raises(ValueError, match='max_pixels'):
            Drawings(tmp_path, pool, max_pixels=63).submit(found, tmp_path / 'a.png').result()
