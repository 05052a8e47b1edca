from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest

av = pytest.importorskip('av')

from clips import write_clip  # noqa: E402

from mbv3zoo.prediction.display import display_matrix, displayed, is_transposed, upright  # noqa: E402
from mbv3zoo.prediction.frames import iter_frames  # noqa: E402

ONE = 1 << 16
# a, b, c, d of the four rotations, each as it is and mirrored.
TURNS = [(1, 0, 0, 1), (0, 1, -1, 0), (-1, 0, 0, -1), (0, -1, 1, 0), (-1, 0, 0, 1), (1, 0, 0, -1), (0, 1, 1, 0)]
TURNS += [(0, -1, -1, 0)]


def as_matrix(turn):
    a, b, c, d = (ONE * part for part in turn)
    return a, b, 0, c, d, 0, 0, 0, 1 << 30


def placed(image, turn):
    """Pixel by pixel: (x, y) of what is stored goes to (a x + c y, b x + d y), moved into the frame."""
    a, b, c, d = turn
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    across, down = a * x + c * y, b * x + d * y
    across, down = across - across.min(), down - down.min()
    shown = np.zeros((down.max() + 1, across.max() + 1, 3), np.uint8)
    shown[down, across] = image
    return shown


@pytest.mark.parametrize('turn', TURNS)
def test_pixels_go_where_the_matrix_says(turn):
    image = np.random.default_rng(0).integers(0, 256, (3, 5, 3), np.uint8)
    matrix = np.array(as_matrix(turn), np.int32)
    shown = displayed(image, matrix)
    assert np.array_equal(shown, placed(image, turn)) and shown.flags.c_contiguous
    assert is_transposed(matrix) == (shown.shape[:2] == (5, 3))


@pytest.mark.parametrize('suffix', ['mp4', 'mov', 'mkv', 'webm', 'm4v', '3gp'])
@pytest.mark.parametrize('turn', TURNS)
def test_videos_are_turned_and_mirrored_as_they_are_displayed(tmp_path, turn, suffix):
    codec = 'libvpx' if suffix == 'webm' else 'mpeg4'
    if codec not in av.codecs_available or not hasattr(av.VideoStream, 'set_display_matrix'):
        pytest.skip('PyAV cannot write it')
    plain = next(iter_frames(write_clip(tmp_path / f'plain.{suffix}', 2, codec=codec))).image
    turned = next(iter_frames(write_clip(tmp_path / f'a.{suffix}', 2, codec=codec, matrix=as_matrix(turn)))).image
    assert np.array_equal(turned, placed(plain, turn))


@pytest.mark.parametrize('matrix', [None, np.zeros(9, np.int32), np.array(as_matrix((1, 0.1, -0.1, 1)), np.int64)])
def test_no_matrix_an_empty_one_and_a_slight_turn_change_nothing(matrix):
    image = np.arange(30, dtype=np.uint8).reshape(2, 5, 3)
    assert np.array_equal(displayed(image, matrix), image) and not is_transposed(matrix)


@pytest.mark.parametrize(('rotation', 'turn'), [(0, TURNS[0]), (-90, TURNS[1]), (180, TURNS[2]), (90, TURNS[3])])
def test_side_data_of_an_unknown_kind_leaves_the_rotation(rotation, turn):
    class Unknown:
        def __getitem__(self, name):
            raise ValueError('42 is not a valid Type')

    image = np.random.default_rng(0).integers(0, 256, (3, 5, 3), np.uint8)
    frame = SimpleNamespace(side_data=Unknown(), rotation=rotation, to_ndarray=lambda format: image)
    assert np.array_equal(upright(frame), placed(image, turn))


def test_pixels_that_are_not_square_are_left_as_they_are_and_said(tmp_path):
    path = write_clip(tmp_path / 'a.mp4', 2, aspect=Fraction(4, 3))
    frame = next(iter_frames(path))
    assert frame.image.shape == (48, 64, 3) and frame.pixel_aspect == Fraction(4, 3)
    if hasattr(av.VideoStream, 'set_display_matrix'):
        path = write_clip(tmp_path / 'b.mp4', 2, aspect=Fraction(4, 3), matrix=as_matrix(TURNS[1]))
        frame = next(iter_frames(path))
        assert frame.image.shape == (64, 48, 3) and frame.pixel_aspect == Fraction(3, 4)
    assert next(iter_frames(write_clip(tmp_path / 'c.mp4', 2))).pixel_aspect == 1


def test_a_frame_without_side_data_has_no_matrix():
    assert display_matrix(av.VideoFrame(8, 8, 'rgb24')) is None
