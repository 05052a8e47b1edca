"""Settings of all models; those of each task are tested with its config."""

import pytest

from mbv3zoo.config.tasks import CONFIGS


@pytest.mark.parametrize('kind', CONFIGS.values())
def test_what_all_have_in_common_is_checked_for_each_task(kind):
    config = kind(backbone='resnet18', class_names=['a', 'b'], image_size=64, mean=(0, 0, 0))
    assert (config.num_classes, config.image_size, config.mean) == (2, (64, 64), (0, 0, 0))
    for settings, message in (
        ({'num_classes': 3, 'class_names': ['a']}, 'has 1 names'),
        ({'mean': (1,)}, 'in_chans=3'),
    ):
        with pytest.raises(ValueError, match=message):
            kind(backbone='resnet18', **settings)
