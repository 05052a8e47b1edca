"""Pairs of images and masks: what fits, and what is left out and told."""

import numpy as np
import pytest
from PIL import Image

from mbv3zoo.data.masks import Shapes, read_masks
from mbv3zoo.data.problems import LabelProblems


@pytest.fixture
def pair(tmp_path):
    def make(values=((0, 1), (2, 255)), size=(2, 2), name='a'):
        Image.new('RGB', size[::-1]).save(tmp_path / f'{name}.jpg')
        Image.fromarray(np.array(values, np.uint8)).save(tmp_path / f'{name}.png')
        return name, tmp_path / f'{name}.jpg', tmp_path / f'{name}.png'

    return make


def test_a_pair_is_read_and_classes_without_names_are_numbers(pair):
    data = read_masks('here', [pair()], (), LabelProblems('here'))
    assert data.class_names == ('0', '1', '2') and data.records[0].classes == {0, 1, 2}
    assert data.records[0].read().tolist() == [[0, 1], [2, 255]]
    assert repr(data) == 'MaskSet(1 images, 3 classes: 0, 1, 2)' and data.draw(0).size == (2, 2)


@pytest.mark.parametrize(
    ('values', 'size', 'message'),
    [
        ([[0, 1]], (2, 2), r'bad: left out: the mask is for a picture of 1 x 2 pixels .* bad.jpg has 2 x 2'),
        ([[0, 3], [0, 0]], (2, 2), r'bad: left out: the mask has the value 3, and the classes are 0 to 2 \(255'),
    ],
)
def test_what_does_not_fit_is_left_out_and_told(pair, caplog, values, size, message):
    problems = LabelProblems('here')
    data = read_masks('here', [pair(), pair(values, size, 'bad')], ('a', 'b', 'c'), problems)
    assert len(data) == 1 and len(data.problems) == 1
    with pytest.raises(ValueError, match=rf'here: no picture with a mask is left: {message}'):
        read_masks('here', [pair(values, size, 'bad')], ('a', 'b', 'c'), LabelProblems('here'))


def test_shapes_are_drawn_one_over_the_other():
    square, inner = [[0, 0, 4, 0, 4, 4, 0, 4]], [[1, 1, 3, 1, 3, 3, 1, 3]]
    runs = {'size': [4, 4], 'counts': [0, 4, 12]}  # the first column
    expected = np.ones((4, 4), np.uint8)
    expected[1:3, 1:3] = 2
    expected[:, 0] = 255
    assert np.array_equal(Shapes((4, 4), ((square, 1), (inner, 2), (runs, 255))).draw(), expected)
    assert not Shapes((4, 4), ()).draw().any()
    for wrong in ('x', [[1, 2]], {'counts': [1]}, {'size': [9, 9], 'counts': [81]}):
        with pytest.raises(ValueError, match='neither polygons nor run lengths'):
            Shapes((4, 4), ((wrong, 1),)).draw()


def test_a_mask_damaged_after_loading_is_ignored_and_one_that_is_gone_ends_the_run(pair):
    name, image, mask = pair()
    record = read_masks('here', [(name, image, mask)], (), LabelProblems('here')).records[0]
    whole = mask.read_bytes()
    for damaged in (whole[:30], b'', whole.replace(b'IDAT', b'IDAX')):
        mask.write_bytes(damaged)
        with pytest.warns(UserWarning, match=r'a\.png.*; its pixels are left out'):
            assert record.read().tolist() == [[255, 255], [255, 255]]
    for values in ([[0, 1]], [[0, 1], [2, 3]]):  # of another size, with a class more
        Image.fromarray(np.array(values, np.uint8)).save(mask)
        with pytest.warns(
            UserWarning, match=r'a\.png: has changed since the data set was read; its pixels are left out'
        ):
            assert record.read().tolist() == [[255, 255], [255, 255]]
    mask.unlink()
    with pytest.raises(FileNotFoundError, match=r'a\.png was there when the data set was read, and is gone'):
        record.read()
