"""What detectors and segmenters have from one base."""

import pytest
import torch

import mbv3zoo
from mbv3zoo.create import create_model


@pytest.mark.parametrize('name', ['mbv3_yolo_small', 'mbv3_lraspp_small'])
def test_half_precision_does_not_round_what_the_config_states_and_maps_are_at_the_strides(name):
    model = create_model(name, image_size=64, mean=(0.1, 0.2, 0.3)).eval()
    assert torch.equal(model.half().float().mean.flatten(), torch.tensor([0.1, 0.2, 0.3]))
    assert [
        level.shape[-1 if name == 'mbv3_lraspp_small' else -2] for level in model.maps(torch.rand(1, 3, 64, 64))
    ] == [64 // stride for stride in model.strides]
    with pytest.raises(ValueError, match=r'channels of the input'):
        model.config = model.config.model_copy(update={'in_chans': 4})
        model(torch.rand(1, 3, 64, 64))


def test_a_config_of_another_task_is_refused():
    segmenter = mbv3zoo.create_segmenter('mbv3_lraspp_small', image_size=64)
    segmenter.config = mbv3zoo.create_detector('mbv3_yolo_small', device='meta').config
    with pytest.raises(ValueError, match=r'replaced|expected a SegmenterConfig'):
        segmenter.save_pretrained('nowhere')
