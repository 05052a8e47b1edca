"""What a segmenter found."""

import json
import pickle
from weakref import ref

import numpy as np
import pytest
import torch
from PIL import Image

from mbv3zoo.detections.segmentation import Segmentation

NAMES = ('background', 'cat', 'dog')


@pytest.fixture
def found(tmp_path):
    Image.new('RGB', (40, 30), (9, 9, 9)).save(tmp_path / 'a.png')
    labels = np.zeros((30, 40), np.int64)
    labels[:15, :20] = 2
    labels[0, 0] = 255
    return Segmentation(labels, NAMES, str(tmp_path / 'a.png'))


def test_what_it_knows(found):
    assert found.labels.dtype == np.uint8 and found.image_size == (30, 40) and found.error is None
    assert found.areas == {'background': 0.75, 'dog': 299 / 1200}
    assert repr(found) == 'Segmentation(a.png, 30 x 40: 75% background, 25% dog)'
    many = Segmentation(np.arange(200).reshape(10, 20), [f'class {i}' for i in range(200)])
    assert repr(many).endswith('0.50% class 4, 195 more classes)') and 'an image' in repr(many)
    assert json.loads(found.to_json())['classes'][1] == {'label': 2, 'name': 'dog', 'share': 299 / 1200}


def test_it_is_drawn_and_saved_as_detections_are(found, tmp_path):
    drawn = found.draw()
    assert drawn.size == (40, 30) and drawn.mode == 'RGB' and drawn.getpixel((39, 29)) == (9, 9, 9)
    assert found.draw(opacity=1).getpixel((1, 14)) != drawn.getpixel((1, 14)) != (9, 9, 9)
    assert found._repr_png_().startswith(b'\x89PNG')
    found.save(tmp_path / 'drawn.png')
    assert Image.open(tmp_path / 'drawn.png').tobytes() == drawn.tobytes()
    assert json.loads(found.save(tmp_path / 'found.json').read_text()) == found.to_dict()
    with Image.open(found.save_mask(tmp_path / 'mask.png')) as mask:
        assert mask.mode == 'P' and np.array_equal(np.asarray(mask), found.labels)


def test_the_image_in_memory(found):
    image = np.zeros((30, 40, 3), np.uint8)
    found.path, found.memory = None, ref(image)
    assert found.draw().size == (40, 30)
    copied = pickle.loads(pickle.dumps(found))
    assert copied.memory is None and np.array_equal(copied.labels, found.labels)
    with pytest.raises(ValueError, match=r'pass the image, as in draw\(image\)'):
        copied.draw()
    with pytest.raises(ValueError, match='the image is 30 x 30 .* of one of 30 x 40; pass the original'):
        found.draw(image[:, :30])


def test_an_unreadable_image_has_no_pixels(tmp_path):
    none = Segmentation.empty(NAMES, 'b.jpg', 'b.jpg: no such file')
    assert none.areas == {} and none.summary == 'no class' and none.to_dict()['error'] == 'b.jpg: no such file'
    assert none._repr_png_() is None
    with pytest.raises(ValueError, match='no pixels to save: b.jpg: no such file'):
        none.save_mask(tmp_path / 'b.png')


@pytest.mark.parametrize(
    ('labels', 'message'),
    [
        (np.zeros((2, 2, 1), np.uint8), r'labels are uint8 \(2, 2, 1\); expected integers'),
        (np.zeros((2, 2)), 'labels are float64'),
        ([[3]], r'a label is 3, but there are 3 class names; expected labels in 0\.\.2, or 255'),
        ([[-1]], 'a label is -1'),
        (torch.full((1, 1), 254), 'a label is 254'),
    ],
)
def test_bad_labels(labels, message):
    with pytest.raises(ValueError, match=message):
        Segmentation(labels, NAMES)


def test_bad_options(found, tmp_path):
    with pytest.raises(ValueError, match='opacity'):
        found.draw(opacity=1.5)
    with pytest.raises(ValueError, match=r'mask.jpg: a mask is saved as PNG.* ends in \.png'):
        found.save_mask(tmp_path / 'mask.jpg')
