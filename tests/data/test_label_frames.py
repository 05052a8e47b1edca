import math

import numpy as np
import pytest
from PIL import Image

from mbv3zoo.data.label_frames import Frames, LabelledFile
from mbv3zoo.data.problems import LabelProblems


def read(path, *stated, counts=None, max_pixels=10_000):
    """The frames of an image that is stated in several ways, with an object each, and what is told."""
    problems = LabelProblems('set')
    images = [LabelledFile(path, f'line {i}', each, None) for i, each in enumerate(stated)]
    frames = Frames.read(images, np.array(counts or [1] * len(images)), max_pixels, problems)
    frames.report(problems)
    return frames, problems.lines


@pytest.fixture
def image(tmp_path):
    Image.new('RGB', (96, 64)).save(tmp_path / 'a.png')
    return tmp_path / 'a.png'


@pytest.fixture
def turned(tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    Image.new('RGB', (96, 64)).save(tmp_path / 'turned.png', exif=exif)
    return tmp_path / 'turned.png'


def test_what_is_stated_right_or_not_at_all_changes_nothing(image):
    frames, lines = read(image, (96, 64), (None, None), ('96', 64.0))
    assert frames.sizes.tolist() == [[64, 96]] * 3 and frames.stated.tolist() == [[96, 64]] * 3
    assert frames.is_kept.all() and (frames.scales == 1).all() and (frames.orientations == 1).all() and lines == []


def test_another_size_is_a_scale_and_counted_once(image):
    frames, lines = read(image, (384, 256), (48, 32), (96, 64))
    assert frames.scales.tolist() == [[0.25, 0.25], [2, 2], [1, 1]] and frames.sizes.tolist() == [[64, 96]] * 3
    assert len(lines) == 1 and '2 of 3 images have another size than is stated' in lines[0] and 'line 0' in lines[0]


def test_the_stored_frame_is_turned_and_counted_once(turned):
    frames, lines = read(turned, (96, 64), (64, 96))
    assert frames.orientations.tolist() == [6, 1] and frames.sizes.tolist() == [[96, 64]] * 2
    assert len(lines) == 1 and '1 of 2 images are labelled as stored' in lines[0]


def test_an_image_of_another_shape_is_left_out_unless_it_has_no_objects(image):
    frames, lines = read(image, (300, 300), (300, 300), counts=[1, 0])
    assert frames.is_kept.tolist() == [False, True]
    assert len(lines) == 1 and lines[0].startswith('line 0: left out: its labels are for an image of 300 x 300 pixels')


@pytest.mark.parametrize('stated', [('big', 64), (-96, 64), (96, math.nan), ([96], 64), (96, {}), (True, 64)])
def test_a_size_that_is_none_is_ignored_and_named(image, stated):
    frames, lines = read(image, stated)
    assert frames.is_kept.all() and (frames.scales == 1).all()
    assert len(lines) == 1 and 'line 0: stated size ignored: ' in lines[0]


@pytest.mark.parametrize(('name', 'most'), [('none.png', 10_000), ('a.png', 100)])
def test_what_cannot_be_read_is_left_out_and_named(image, name, most):
    frames, lines = read(image.with_name(name), (96, 64), max_pixels=most)
    assert not frames.is_kept.any() and len(lines) == 1 and lines[0].startswith('line 0: left out: ')


def test_no_images():
    frames, lines = read('')
    assert frames.sizes.shape == (0, 2) and lines == []
