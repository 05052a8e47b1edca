"""Masks as files."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from mbv3zoo.images.colours import class_colour
from mbv3zoo.images.masks import draw_labels, indexed_image, read_mask


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


@pytest.mark.parametrize(('bits', 'row'), [(2, 0b00011011), (4, 0x13)])
def test_grey_values_of_few_bits_are_not_spread(tmp_path, bits, row):
    def chunk(name, data):
        return struct.pack('>I', len(data)) + name + data + struct.pack('>I', zlib.crc32(name + data))

    width = 8 // bits
    head = chunk(b'IHDR', struct.pack('>IIBBBBB', width, 1, bits, 0, 0, 0, 0))
    data = chunk(b'IDAT', zlib.compress(bytes([0, row])))
    (tmp_path / 'a.png').write_bytes(b'\x89PNG\r\n\x1a\n' + head + data + chunk(b'IEND', b''))
    assert read_mask(tmp_path / 'a.png').tolist() == [[0, 1, 2, 3] if bits == 2 else [1, 3]]


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


def test_classes_are_drawn_in_their_colours_with_their_names_and_the_background_is_not():
    image = Image.new('RGB', (400, 200), (10, 20, 30))
    labels = np.zeros((200, 400), np.uint8)
    labels[40:160, 50:150], labels[40:160, 250:350], labels[:20] = 1, 2, 255
    before = image.tobytes()
    drawn = np.asarray(draw_labels(image, labels, ('Background', 'cat', 'dog'), 0.5))
    assert image.tobytes() == before
    assert np.array_equal(drawn[155, 60], (np.array(class_colour(1)) + (10, 20, 30)) // 2)
    clear = (drawn == (10, 20, 30)).all(2)
    # But for captions, which are near the middle of what they name.
    assert clear[:20].all() and clear[165:].all() and not clear[40:160, 50:150].any()
    for label, middle in ((1, 100), (2, 300)):
        y, x = (drawn == class_colour(label)).all(2).nonzero()
        assert len(y) > 50 and abs(np.median(x) - middle) < 30 and abs(np.median(y) - 100) < 20
    one = draw_labels(Image.new('RGB', (1, 1)), np.zeros((1, 1), np.uint8), ('cat',), 1)
    assert one.size == (1, 1)
