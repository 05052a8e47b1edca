import json
import math

import pytest

from mbv3zoo.config.training import DataConfig, RunConfig, TrainConfig


def through_json(config):
    return type(config).parse(json.loads(json.dumps(config.model_dump(mode='json'))))


@pytest.mark.parametrize(
    ('name', 'given'),
    [
        ('lr_backbone', 0), ('lr_backbone', -0.1), ('lr_backbone', math.inf), ('layer_decay', 0), ('layer_decay', 1.1),
        ('freeze_backbone', -1), ('freeze_backbone', 1.5), ('freeze_norm', 'some'), ('grad_checkpointing', 2),
    ],
)  # fmt: skip
def test_bad_settings_of_the_backbone_in_training_are_named(name, given):
    with pytest.raises(ValueError, match=rf'^--set: {name}: .*\(given: '):
        TrainConfig.parse({name: given}, '--set')


def test_json_round_trip_of_a_run():
    run = RunConfig(data=DataConfig(data='a', images='b'), train=TrainConfig(lr=0.1, clip_grad=None), image_size=64)
    assert through_json(run) == run
