import copy

import pytest
import torch
from tiny_learner import learner_of, tiny_train_set
from tiny_sets import CLASS_NAMES
from yolov5_yamls import P6

from mbv3zoo.create import create_detector
from mbv3zoo.detector import Detector
from mbv3zoo.training.auxiliary import AuxiliaryHead
from mbv3zoo.training.losses import LOSSES


@pytest.fixture(scope='module')
def train_set(tmp_path_factory):
    return tiny_train_set(tmp_path_factory.mktemp('set'))


def learning(*args, **settings):
    return learner_of(*args, auxiliary_gain=0.5, **settings)


def test_levels_of_other_strides_are_left_out(tmp_path):
    (tmp_path / 'p6.yaml').write_text(P6)
    layers = create_detector(tmp_path / 'p6.yaml', image_size=64)
    assert AuxiliaryHead(layers).strides == (8, 16, 32, 64)
    detector = create_detector('mbv3_yolo_small_050', image_size=64, anchors=[[[10, 10]], [[40, 40]], [[90, 90]]])
    detector.backbone.strides = (4, 8, 16)
    head = AuxiliaryHead(detector)
    assert head.strides == (8, 16) and head.anchors.tolist() == [[[10, 10]], [[40, 40]]]
    detector.backbone.strides = (2, 4, 64)
    with pytest.raises(ValueError, match=r'^auxiliary_gain: the backbone has the strides \[2, 4, 64\], and '):
        AuxiliaryHead(detector)


@pytest.mark.parametrize('loss', LOSSES)
def test_the_loss_is_the_sum_of_both_heads_with_a_gain(train_set, tmp_path, loss):
    learner = learning(train_set, tmp_path, loss=loss, lr=1e-9, optimizer='sgd')
    images, targets = next(iter(learner.loader))
    learner.model.train()
    logits, beside_logits = learner.model(images.float() / 255)
    own = learner.loss(logits, targets)
    beside = LOSSES[loss](
        learner.beside['auxiliary'].anchors,
        learner.beside['auxiliary'].strides,
        len(CLASS_NAMES),
        (64, 64),
        learner.config,
    )(beside_logits['auxiliary'], targets)
    total, *parts = learner._step(images, targets, 1)
    assert learner.parts == (*own._fields[1:], 'auxiliary')
    torch.testing.assert_close(total, own.total + 0.5 * beside.total)
    torch.testing.assert_close(torch.stack(parts), torch.stack([*own[1:], 0.5 * beside.total]))


@pytest.mark.parametrize('ema_decay', [0.0, 0.999])
def test_an_epoch_goes_on_to_the_same_bits(train_set, tmp_path, ema_decay):
    whole = learning(train_set, tmp_path, ema_decay=ema_decay)
    before = {name: value.clone() for name, value in whole.beside['auxiliary'].state_dict().items()}
    whole.train_epoch(0)
    assert all(not torch.equal(value, before[name]) for name, value in whole.beside['auxiliary'].named_parameters())
    again = learning(train_set, tmp_path, weights=99, ema_decay=ema_decay)
    again.load_state_dict(copy.deepcopy(whole.state_dict()), 1)
    assert whole.train_epoch(1) == again.train_epoch(1)
    for name, value in again.model.state_dict().items():
        assert torch.equal(value, whole.model.state_dict()[name])
    for name, value in again.kept.state_dict().items():
        assert torch.equal(value, whole.kept.state_dict()[name])


def test_it_is_not_saved_with_the_detector_nor_gone_on_without(train_set, tmp_path):
    learner = learning(train_set, tmp_path, ema_decay=0)
    learner.train_epoch(0)
    learner.kept.save_pretrained(tmp_path / 'saved')
    plain = create_detector('mbv3_yolo_small_050', class_names=CLASS_NAMES, image_size=64)
    assert list(Detector.from_pretrained(tmp_path / 'saved').state_dict()) == list(plain.state_dict())
    state = learner.state_dict()
    with pytest.raises(ValueError, match='auxiliary'):
        learning(train_set, tmp_path).load_state_dict(state | {'auxiliary': None}, 1)


@pytest.mark.parametrize('stages', [0, 5, 6])
def test_a_frozen_backbone_has_none_to_teach_it(train_set, tmp_path, stages):
    learner = learning(train_set, tmp_path, freeze_backbone=stages)
    assert ('auxiliary' not in learner.beside) == (stages == 6) == ('auxiliary' not in learner.parts)
    learner.train_epoch(0)


def test_rates_of_the_backbone_are_not_those_of_the_head(train_set, tmp_path):
    learner = learning(train_set, tmp_path, lr_backbone=0.1)
    scales = {
        id(parameter): group.get('lr_scale', 1.0)
        for group in learner.optimizer.param_groups
        for parameter in group['params']
    }
    assert {scales[id(parameter)] for parameter in learner.beside['auxiliary'].parameters()} == {1.0}
    assert {scales[id(parameter)] for parameter in learner.detector.backbone.parameters()} == {0.1}
