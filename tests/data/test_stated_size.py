import numpy as np
import pytest
from PIL import Image

from mbv3zoo.data.stated_size import placed, placement
from mbv3zoo.images.read import read_image, upright_size


def place(box, stated, stored, orientation=1):
    found = placement(stated, stored, orientation)
    if found is None:
        return None
    upright = upright_size(stored, orientation)
    columns = np.array([found.scale]), np.array([found.orientation]), np.array([upright[::-1]])
    return placed(np.array([box], dtype=float), *columns)[0].tolist()


@pytest.mark.parametrize('stated', [(96, 64), (0, 0), (96, 0), (0, 64), (97, 63)])
def test_boxes_in_the_images_own_size_stay(stated):
    assert place([1, 2, 30, 40], stated, (96, 64)) == [1, 2, 30, 40]


@pytest.mark.parametrize('orientation', [5, 6, 7, 8])
def test_boxes_in_the_upright_size_of_a_turned_image_stay(orientation):
    assert place([1, 2, 30, 40], (64, 96), (96, 64), orientation) == [1, 2, 30, 40]
    assert place([1, 2, 30, 40], (0, 0), (96, 64), orientation) == [1, 2, 30, 40]


@pytest.mark.parametrize('orientation', [5, 6, 7, 8])
@pytest.mark.parametrize('factor', [1, 4, 0.5])
def test_boxes_in_the_stored_frame_are_turned_as_the_pixels_are(tmp_path, orientation, factor):
    stored = np.zeros((64, 96), dtype=np.uint8)
    stored[10:20, 30:70] = 255
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(stored).save(tmp_path / 'a.png', exif=exif)
    y, x = read_image(tmp_path / 'a.png')[:, :, 0].nonzero()
    stated = 96 * factor, 64 * factor
    box = [side * factor for side in (30, 10, 70, 20)]
    assert place(box, stated, (96, 64), orientation) == [x.min(), y.min(), x.max() + 1, y.max() + 1]


def test_an_image_that_is_nearly_square_is_turned_too():
    assert place([0, 0, 10, 20], (64, 63), (64, 63), 6) == [43, 0, 63, 10]
    assert place([0, 0, 10, 20], (63, 64), (64, 63), 6) == [0, 0, 10, 20]


def test_orientations_that_keep_the_size_cannot_be_told_and_stay():
    for orientation in (2, 3, 4):
        assert place([1, 2, 30, 40], (96, 64), (96, 64), orientation) == [1, 2, 30, 40]


@pytest.mark.parametrize(
    ('stated', 'stored'),
    [
        ((384, 256), (96, 64)),
        ((96, 64), (384, 256)),
        ((1000, 667), (500, 333)),  # 333.5
        ((500, 333), (1000, 667)),
        ((4032, 3024), (640, 480)),
        ((1333, 800), (640, 384)),
        ((48.0, 32.0), (96, 64)),
    ],
)
def test_boxes_of_another_size_are_scaled_to_the_images_edges(stated, stored):
    assert place([0, 0, *stated], stated, stored) == pytest.approx([0, 0, *stored])


def test_each_box_is_placed_in_its_own_image():
    boxes = np.tile([1.0, 2, 30, 40], (4, 1))
    given = np.array([[1, 1], [0.5, 2], [1, 1], [1, 1]]), np.array([1, 1, 6, 8]), np.tile([96, 64], (4, 1))
    assert placed(boxes, *given).tolist() == [[1, 2, 30, 40], [0.5, 4, 15, 80], [24, 1, 62, 30], [2, 66, 40, 95]]
    assert placed(boxes[:0], *(each[:0] for each in given)).shape == (0, 4)


@pytest.mark.parametrize(
    ('stated', 'stored'),
    [
        ((64, 96), (96, 64)),
        ((100, 100), (96, 64)),
        ((384, 235), (96, 64)),
        ((640, 640), (640, 480)),
        ((1, 2), (80, 60)),
    ],
)
def test_sizes_of_another_shape_have_no_place(stated, stored):
    assert placement(stated, stored, 1) is None
