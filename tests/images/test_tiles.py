import numpy as np
import pytest

from mbv3zoo.images.tiles import Slicing, read_slicing, slicing_or_none, tile_starts


@pytest.mark.parametrize('side', [1, 63, 64, 65, 100, 128, 1000, 1001])
@pytest.mark.parametrize('overlap', [0.0, 0.2, 0.5, 0.99])
def test_tiles_cover_the_side_and_are_those_of_supervision(side, overlap):
    starts = tile_starts(side, 64, overlap)
    covered = np.zeros(side, bool)
    for start in starts:
        covered[start : start + 64] = True
    assert covered.all() and starts == sorted(set(starts)) and (side <= 64 or starts[-1] == side - 64)
    if overlap:  # without, supervision's last tile is narrower
        slicer = pytest.importorskip('supervision').InferenceSlicer
        own = slicer._generate_offset((side, 64), (64, 64), (int(64 * overlap), 0))
        assert starts == own[:, 0].tolist()


def test_slicing_is_asked_for_by_the_size_of_a_tile():
    pytest.importorskip('supervision')
    assert slicing_or_none(None, None, False) is None
    assert slicing_or_none(640, None, False) == read_slicing((640, 640), 0.2, False) == Slicing((640, 640), 0.2, True)
    with pytest.raises(ValueError, match='are for slice'):
        slicing_or_none(None, 0.3, False)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ((None, 0.2, False), 'overlap and slice_only are for slice'),
        ((None, None, True), 'overlap and slice_only are for slice'),
        ((640, 1.0, False), r'overlap is 1\.0; expected a fraction'),
        ((640, -0.1, False), r'overlap is -0\.1'),
        ((640, True, False), 'overlap is True'),
        ((640, '0.2', False), "overlap is '0.2'"),
        ((8, None, False), r'slice is 8; expected a side'),
    ],
)
def test_options_that_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        read_slicing(*options)


def test_options():
    assert read_slicing(640, None, False) == Slicing((640, 640), 0.2, True)
    assert read_slicing((320, 640), 0, True) == Slicing((320, 640), 0.0, False)
