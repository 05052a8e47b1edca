import copy
import math
import time

import pytest
import torch
from tiny_sets import CLASS_NAMES, write_yolo_set

from mbv3zoo.config.training import TrainConfig
from mbv3zoo.create import create_detector
from mbv3zoo.data.load import load_dataset
from mbv3zoo.training.learner import Learner
from mbv3zoo.training.prepare import create_accelerator


@pytest.fixture(scope='module')
def train_set(tmp_path_factory):
    return load_dataset(write_yolo_set(tmp_path_factory.mktemp('set'), {'train': 6, 'val': 1}, (64, 64)), 'train')


def learner_of(train_set, tmp_path, weights=7, **settings):
    torch.manual_seed(weights)
    detector = create_detector('mbv3_yolo_small_050', class_names=CLASS_NAMES, image_size=64)
    config = TrainConfig(**({'epochs': 3, 'batch_size': 2, 'workers': 0} | settings))
    return Learner(detector, train_set, config, create_accelerator(config, tmp_path))


def equal(one, two):
    return all(torch.equal(one.state_dict()[name], value) for name, value in two.state_dict().items())


def test_an_epoch_goes_on_from_a_state_to_the_same_bits(train_set, tmp_path):
    whole = learner_of(train_set, tmp_path)
    whole.train_epoch(0)
    again = learner_of(train_set, tmp_path, weights=99)
    assert not equal(again.model, whole.model)
    again.load_state_dict(copy.deepcopy(whole.state_dict()), 1)
    assert whole.train_epoch(1) == again.train_epoch(1)
    assert equal(again.model, whole.model) and equal(again.kept, whole.kept) and again.kept is again.ema.module
    rates = [learner.optimizer.param_groups[0]['lr'] for learner in (whole, again)]
    assert rates[0] == rates[1] < whole.config.lr


def test_batches_that_are_left_over_are_an_update_too(train_set, tmp_path):
    assert learner_of(train_set, tmp_path, accumulate=1).updates_per_epoch == 3
    assert learner_of(train_set, tmp_path, accumulate=2).updates_per_epoch == 2


def test_time_spent_waiting_is_counted_for_each_epoch(train_set, tmp_path):
    learner = learner_of(train_set, tmp_path)

    def slowly():
        for _ in range(3):
            time.sleep(0.02)
            yield None

    learner.loader = slowly()
    assert list(learner._batches()) == [None] * 3 and learner.waited >= 0.06
    learner.loader = []
    assert list(learner._batches()) == [] and learner.waited == 0


def test_weights_that_are_not_finite_are_named(train_set, tmp_path):
    learner = learner_of(train_set, tmp_path, ema_decay=0)
    learner.check_weights()
    learner.kept.head.convs[1].bias.data.fill_(math.nan)
    with pytest.raises(FloatingPointError, match=r'^1 weights are no longer finite, head\.convs\.1\.bias first$'):
        learner.check_weights()
    with pytest.raises(FloatingPointError, match=r'^the loss is no longer finite at update 1 \(total '):
        learner.train_epoch(0)
