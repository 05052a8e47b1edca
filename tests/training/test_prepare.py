import dataclasses

import pytest
import torch
from accelerate.state import AcceleratorState
from tiny_sets import CLASS_NAMES, write_yolo_set

from mbv3zoo.config.training import TrainConfig
from mbv3zoo.create import create_detector
from mbv3zoo.data.load import load_dataset
from mbv3zoo.training.prepare import check_data, create_accelerator, prepare_backbone


def detector_of(**options):
    settings = {'class_names': CLASS_NAMES, 'image_size': 64, 'device': 'meta'} | options
    return create_detector('mbv3_yolo_small_050', **settings)


def test_what_fits_passes_and_what_does_not_is_named(tmp_path):
    train_set = load_dataset(write_yolo_set(tmp_path, {'train': 2, 'val': 1}), 'train')
    check_data(detector_of(), train_set, None)
    check_data(detector_of(in_chans=1), train_set, train_set)
    with pytest.raises(ValueError, match='the order differs'):
        check_data(detector_of(), train_set, dataclasses.replace(train_set, class_names=CLASS_NAMES[::-1]))
    with pytest.raises(ValueError, match='none of the 0 training pictures has a label'):
        check_data(detector_of(), dataclasses.replace(train_set, records=[]), train_set)
    with pytest.raises(ValueError, match='in_chans=2'):
        check_data(detector_of(in_chans=2), train_set, None)


@pytest.mark.parametrize(
    ('settings', 'stages', 'norms'), [({}, 0, 0), ({'freeze_backbone': 1}, 2, 1), ({'freeze_norm': True}, 0, 1)]
)
def test_the_backbone_is_frozen_as_the_settings_say(settings, stages, norms):
    detector = detector_of()
    prepare_backbone(detector, TrainConfig(**settings))
    model = detector.backbone.model
    frozen = [not p.requires_grad for p in (model.conv_stem.weight, next(model.blocks[0].parameters()))]
    assert sum(frozen) == stages and (not model.bn1.weight.requires_grad) == norms


def test_gradient_checkpointing():
    detector = detector_of()
    prepare_backbone(detector, TrainConfig(grad_checkpointing=True))
    assert detector.backbone.model.grad_checkpointing


def test_the_accelerator_follows_the_settings(tmp_path):
    AcceleratorState._reset_state(True)
    try:
        accelerator = create_accelerator(TrainConfig(mixed_precision='bf16', accumulate=3), tmp_path)
        assert accelerator.mixed_precision == 'bf16' and accelerator.gradient_accumulation_steps == 3
        with accelerator.autocast():
            assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16
    finally:
        AcceleratorState._reset_state(True)
    with pytest.raises(ValueError, match="tracker 'wandb': its package is not installed"):
        create_accelerator(TrainConfig(tracker='wandb'), tmp_path)
