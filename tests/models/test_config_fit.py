import copy

import pytest
import torch

import mbv3zoo
from mbv3zoo.config.detector import DetectorConfig
from mbv3zoo.models.config_fit import check_config


@pytest.fixture(scope='module')
def detector():
    return mbv3zoo.create_detector(DetectorConfig(backbone='test_resnet', class_names=['a', 'b'], image_size=64)).eval()


@pytest.mark.parametrize(
    ('update', 'words'),
    [
        ({'in_chans': 4}, r'channels of the input \(in_chans\) 4, the network has 3'),
        ({'num_classes': 3, 'class_names': ('a', 'b', 'c')}, r'classes \(num_classes\) 3, the network has 2'),
        ({'class_names': ('a',)}, r'classes \(class_names\) 1, the network has 2'),
        ({'anchors': (((9.0, 9.0),),) * 3}, r'anchors per level \[1, 1, 1\], the network has \[3, 3, 3\]'),
        ({'anchors': (((9.0, 9.0),) * 3,) * 2}, r'anchors per level \[3, 3\], the network has'),
        ({'anchors': 3}, r'anchors per level \[3\], the network has'),
    ],
)
def test_a_config_of_another_network_is_told_before_anything_is_computed(detector, update, words):
    other = copy.deepcopy(detector)
    other.config = other.config.model_copy(update=update)
    picture = torch.zeros(3, 64, 64, dtype=torch.uint8)
    in_chans = update.get('in_chans', 3)
    for run in (
        lambda: check_config(other.config, 3, 2, [3, 3, 3]),
        lambda: other(torch.zeros(1, in_chans, 64, 64)),
        lambda: other.fuse(),
    ):
        with pytest.raises(ValueError, match=f'was replaced by one that does not fit it: {words}'):
            run()
    # Others may be the first to see it.
    for runtime in (None, 'eager'):
        with pytest.raises(ValueError):
            other.predict(picture, runtime=runtime)


def test_other_names_sizes_and_as_many_anchors_fit(detector):
    other = copy.deepcopy(detector)
    update = {'class_names': ('x', 'y'), 'image_size': (96, 64), 'anchors': (((9.0, 9.0),) * 3,) * 3}
    other.config = other.config.model_copy(update=update)
    check_config(other.config, 3, 2, [3, 3, 3])
    assert other.predict(torch.zeros(3, 64, 64, dtype=torch.uint8), score_thresh=0).class_names == ('x', 'y')
