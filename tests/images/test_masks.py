"""Masks as files."""

import numpy as np
import pytest
from PIL import Image

from mbv3zoo.images.masks import indexed_image, read_mask


def test_a_label_map_comes_back_from_its_file_with_a_palette(tmp_path):
    labels = np.array([[0, 1, 254], [255, 7, 0]], np.uint8)
    indexed_image(labels).save(tmp_path / 'a.png')
    assert np.array_equal(read_mask(tmp_path / 'a.png'), labels)
    shown = np.asarray(Image.open(tmp_path / 'a.png').convert('RGB'))
    assert shown[1, 0].tolist() == [255, 255, 255] and len({tuple(colour) for colour in shown.reshape(-1, 3)}) == 5


@pytest.mark.parametrize('kind', [np.uint8, np.uint16])
def test_grey_values_are_classes(tmp_path, kind):
    Image.fromarray(np.array([[0, 3]], kind)).save(tmp_path / 'a.png')
    assert read_mask(tmp_path / 'a.png').tolist() == [[0, 3]]


@pytest.mark.parametrize(
    ('name', 'mode', 'message'),
    [
        ('a.png', 'RGB', r'a.png: has colours \(RGB\) and no palette; .* save the index of each class'),
        ('a.png', 'RGBA', 'no palette'),
        ('a.jpg', 'L', 'a.jpg: a JPEG changes the values'),
        ('a.png', 'I;16', 'a.png: has the value 1000; expected classes up to 254'),
    ],
)
def test_what_has_no_indices_is_refused(tmp_path, name, mode, message):
    image = Image.fromarray(np.full((4, 4), 1000, np.uint16)) if mode == 'I;16' else Image.new(mode, (4, 4))
    image.save(tmp_path / name)
    with pytest.raises(ValueError, match=message):
        read_mask(tmp_path / name)
