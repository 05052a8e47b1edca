import pytest

from mbv3zoo.synth import SyntheticConfig


def test_defaults_spread_the_scale_by_more_than_an_octave_either_way():
    config = SyntheticConfig()
    assert config.max_scale / config.min_scale > 4
    assert (config.train, config.val, config.shift, config.image_size) == (4000, 500, 0, 320)


def test_config_is_frozen_and_hashable():
    config = SyntheticConfig()
    with pytest.raises(ValueError, match='frozen'):
        config.train = 3
    assert hash(config) == hash(SyntheticConfig())


@pytest.mark.parametrize(
    ('bad', 'named'),
    [
        ({'train': -1}, 'train'),
        ({'val': -1}, 'val'),
        ({'shift': -1}, 'shift'),
        ({'image_size': 63}, 'image_size'),
        ({'seed': -1}, 'seed'),
        ({'workers': -1}, 'workers'),
        ({'max_objects': 0}, 'max_objects'),
        ({'min_objects': 9}, 'min_objects is 9, above max_objects 8'),
        ({'min_scale': 0.0}, 'min_scale'),
        ({'max_scale': 1.1}, 'max_scale'),
        ({'min_scale': 0.7}, 'min_scale is 0.7, above max_scale 0.6'),
        ({'image_size': 64, 'min_scale': 0.05}, 'expected at least 6 px'),
        ({'negatives': 1.5}, 'negatives'),
        ({'max_occlusion': 0.5}, 'max_occlusion'),
    ],
)
def test_bad_values_are_named(bad, named):
    with pytest.raises(ValueError, match=named):
        SyntheticConfig(**bad)
