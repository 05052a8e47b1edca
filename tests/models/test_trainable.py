"""What training does with a backbone, of each task."""

import pytest

from mbv3zoo.create import create_model


@pytest.mark.parametrize('name', ['mbv3_yolo_small', 'mbv3_lraspp_small'])
def test_a_frozen_stage_does_not_learn_and_the_head_is_the_last_layer(name):
    model = create_model(name, image_size=64).freeze_backbone(1).freeze_norm().set_grad_checkpointing()
    assert not model.backbone.model.conv_stem.weight.requires_grad
    assert all(parameter.requires_grad for parameter in model.head.parameters())
    layer_of = model.group_matcher()
    last = max(layer_of(name) for name, _ in model.named_parameters() if name.startswith('backbone'))
    assert all(layer_of(f'head.{name}') > last for name, _ in model.head.named_parameters())
    assert model.no_weight_decay() == set()
