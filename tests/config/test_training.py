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


@pytest.mark.parametrize(('assigner', 'loss'), [('shape', 'yolov5'), ('simota', 'simota')])
def test_what_says_assigner_as_before_is_still_read(assigner, loss):
    config = TrainConfig(assigner=assigner)
    assert config == TrainConfig(loss=loss) == TrainConfig(loss=loss, assigner=assigner)
    assert config.loss == loss and 'assigner' not in config.model_dump()
    assert RunConfig.parse({'data': {'data': 'a'}, 'train': {'assigner': assigner}}).train == config


def test_a_whole_run_of_before_is_read_as_it_was():
    now = TrainConfig(loss='yolov5', box_gain=0.1, epochs=3)
    before = {'assigner' if name == 'loss' else name: value for name, value in now.model_dump().items()}
    assert TrainConfig.parse(before | {'assigner': 'shape'}) == now


@pytest.mark.parametrize(
    ('given', 'words'),
    [
        ({'assigner': 'shape', 'loss': 'simota'}, "assigner='shape' contradicts loss='simota'; give loss only"),
        ({'assigner': 'simota', 'loss': 'yolov5'}, "assigner='simota' contradicts loss='yolov5'; give loss only"),
        ({'assigner': 'yolov5'}, "assigner is called loss now, and is 'simota' or 'yolov5', given 'yolov5'"),
        ({'assigner': ['shape']}, "given ['shape']"),
        ({'assigner': None}, 'given None'),
    ],
)
def test_an_assigner_that_says_no_loss_is_refused_in_one_line(given, words):
    with pytest.raises(ValueError) as caught:
        TrainConfig.parse(given, 'run.yaml')
    assert str(caught.value).startswith('run.yaml: ') and str(caught.value).endswith(words)
