import pytest

from mbv3zoo.config.scaling import scale_depth, scale_width


@pytest.mark.parametrize(
    ('width', 'multiple', 'expected'), [(256, 0.25, 64), (256, 0.26, 72), (256, 0.001, 8), (100, 1, 104), (8, 1, 8)]
)
def test_widths_are_rounded_up_to_eight(width, multiple, expected):
    assert scale_width(width, multiple) == expected


@pytest.mark.parametrize(('repeats', 'multiple', 'expected'), [(3, 0.01, 1), (3, 0.33, 1), (1, 0.33, 1), (3, 2, 6)])
def test_at_least_one_repeat(repeats, multiple, expected):
    assert scale_depth(repeats, multiple) == expected
