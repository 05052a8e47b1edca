"""Input sizes beside a model's own."""

import pytest

from mbv3zoo.fitting.input_sizes import smaller_sizes


@pytest.mark.parametrize(
    ('size', 'least', 'expected'),
    [
        ((320, 320), None, []),
        ((320, 320), 256, [(288, 288), (256, 256)]),
        ((320, 320), 300, []),
        ((320, 320), 320, []),
        ((96, 96), 32, [(64, 64), (32, 32)]),
        # Wide and tall ones keep their shape, as nearly as sides of 32 pixels do.
        ((320, 640), 256, [(288, 576), (256, 512)]),
        ((640, 352), 290, [(576, 320)]),
    ],
)
def test_sizes(size, least, expected):
    assert smaller_sizes(size, least) == expected


@pytest.mark.parametrize('least', [31, 321, 0, -1, 256.5, True, '256'])
def test_what_is_no_side_of_the_input_is_refused(least):
    with pytest.raises(ValueError, match=f'min_image_size is {least!r}; expected .*(32|320|whole)'):
        smaller_sizes((320, 480), least)
