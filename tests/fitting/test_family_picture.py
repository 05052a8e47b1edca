"""The picture of a family."""

import matplotlib.image
import pytest
from fitting_cases import fit_record

from mbv3zoo.fitting.family_picture import draw_family


@pytest.mark.parametrize('after', [0.55, None])
@pytest.mark.parametrize('uniform', [[], [fit_record(12.0, None, 0.1), fit_record(8.0, None, 0.02)]])
def test_it_is_drawn(after, uniform, tmp_path):
    draw_family([fit_record(12.0, after), fit_record(8.0, after)], uniform, tmp_path / 'family.png')
    picture = matplotlib.image.imread(tmp_path / 'family.png')
    assert picture.shape[:2] == (600, 960) and picture[..., :3].min() == 0


def test_a_family_has_members(tmp_path):
    with pytest.raises(ValueError, match='no records; expected that of at least one fitted model'):
        draw_family([], [], tmp_path / 'family.png')
    assert not [*tmp_path.iterdir()]
