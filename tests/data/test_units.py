import numpy as np
import pytest

from mbv3zoo.data.units import check_is_xywh, check_units

SIDES = np.tile([96.0, 64.0], (3, 1))
NAN = np.full(3, np.nan)


def test_shares_of_the_sides_are_refused():
    with pytest.raises(ValueError, match='a.json: all of its 3 boxes lie between 0 and 1'):
        check_units('a.json', np.full((3, 4), 0.5), SIDES)
    check_units('a.json', np.array([[0.5] * 4, [0.5] * 4, [0.5, 0.5, 0.5, 2]]), SIDES)
    # Pixels of a tiny image.
    check_units('a.json', np.full((3, 4), 0.5), np.ones((3, 2)))


def test_corners_are_refused_where_they_cannot_be_sides():
    corners = np.tile([50.0, 40, 80, 60], (3, 1))
    with pytest.raises(ValueError, match='3 of 3 boxes leave their picture'):
        check_is_xywh('a.json', corners, SIDES, NAN)
    check_is_xywh('a.json', corners[:2], SIDES[:2], NAN[:2])
    check_is_xywh('a.json', corners, SIDES * 3, NAN)
    with pytest.raises(ValueError, match='none of 3 boxes has the area that is stated for it'):
        check_is_xywh('a.json', corners, SIDES * 3, np.full(3, 600.0))
    check_is_xywh('a.json', corners, SIDES * 3, np.full(3, 4800.0))
