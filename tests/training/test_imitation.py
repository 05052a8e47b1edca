"""A detector imitates the feature maps of its teacher's neck."""

import copy

import numpy as np
import pytest
import torch
from tiny_learner import learner_of, tiny_train_set
from tiny_sets import CLASS_NAMES

from mbv3zoo.create import create_detector
from mbv3zoo.detector import Detector
from mbv3zoo.training.imitation import Imitation, imitation_loss
from mbv3zoo.training.teacher import Teacher


@pytest.fixture(scope='module')
def train_set(tmp_path_factory):
    return tiny_train_set(tmp_path_factory.mktemp('set'))


@pytest.fixture(scope='module')
def teachers(tmp_path_factory):
    """Folders of detectors with necks of the student's width, and of a larger one."""
    folder = tmp_path_factory.mktemp('teachers')
    for width in (0.25, 0.375):
        torch.manual_seed(1)
        args = {'class_names': CLASS_NAMES, 'image_size': 64, 'width_multiple': width}
        create_detector('mbv3_yolo_small_050', **args).save_pretrained(folder / str(width))
    return folder


def learning(*args, teacher, **settings):
    return learner_of(*args, teacher=str(teacher), **settings)


def test_the_loss_is_one_less_the_correlation_of_the_channels():
    generator = torch.Generator().manual_seed(0)
    own, its = ([torch.randn(3, 5, side, side, generator=generator) for side in (8, 4)] for _ in range(2))
    expected = []
    for one, other in zip(own, its, strict=True):
        pairs = zip(one.transpose(0, 1).flatten(1).numpy(), other.transpose(0, 1).flatten(1).numpy(), strict=True)
        expected.append(np.mean([1 - np.corrcoef(x, y)[0, 1] for x, y in pairs]))
    own, its = (dict(enumerate(maps)) for maps in (own, its))
    assert imitation_loss(own, its).item() == pytest.approx(np.mean(expected), abs=1e-5)
    assert imitation_loss(own, {level: 3 * x - 7 for level, x in own.items()}).item() == pytest.approx(0, abs=1e-5)
    assert imitation_loss(own, {level: -x for level, x in own.items()}).item() == pytest.approx(2, abs=1e-5)


def test_maps_without_contrast_give_finite_numbers():
    for own in (torch.zeros(2, 3, 4, 4), torch.full((1, 3, 1, 1), 1e4), torch.rand(2, 3, 4, 4).half() * 6e4):
        own.requires_grad_()
        loss = imitation_loss({8: own}, {8: torch.zeros_like(own)})
        loss.backward()
        assert torch.isfinite(loss) and torch.isfinite(own.grad).all()


def test_other_numbers_of_channels_are_adapted_and_other_strides_left_out():
    module = Imitation((8, 16, 32), (8, 16, 32), {16: 16, 32: 24, 64: 7})
    maps = [torch.rand(2, channels, 4, 4) for channels in (8, 16, 32)]
    found = module(maps)
    assert list(found) == [16, 32]
    same, adapted = found.values()
    assert torch.equal(same, maps[1]) and adapted.shape == (2, 24, 4, 4)


@pytest.mark.parametrize('width', [0.25, 0.375])
def test_it_is_a_part_of_the_loss_against_the_teacher(train_set, teachers, tmp_path, width):
    args = train_set, tmp_path
    settings = {'teacher': teachers / str(width), 'lr': 1e-9, 'optimizer': 'sgd'}
    learner, without = learning(*args, imitation_gain=2.5, **settings), learning(*args, imitation_gain=0, **settings)
    assert list(learner.beside) == ['imitation'] and not without.beside
    images, targets = next(iter(learner.loader))
    learner.model.train()
    _, beside = learner.model(images.float() / 255)
    with torch.no_grad():
        network = Detector.from_pretrained(teachers / str(width))
        its = network.neck(network.backbone((images.float() / 255 - network.mean) / network.std))
    expected = 2.5 * imitation_loss(beside['imitation'], dict(zip(network.strides, its, strict=True)))
    more, less = (one._step(images, targets, 1)[-1].item() for one in (learner, without))
    assert expected > 0.5 and more - less == pytest.approx(expected.item(), rel=1e-3)


@pytest.mark.parametrize('width', [0.25, 0.375])
def test_an_epoch_goes_on_to_the_same_bits_and_nothing_of_it_is_saved(train_set, teachers, tmp_path, width):
    settings = {'teacher': teachers / str(width), 'auxiliary_gain': 0.5}
    whole = learning(train_set, tmp_path, **settings)
    before = {name: value.clone() for name, value in whole.beside['imitation'].state_dict().items()}
    assert len(before) == (0 if width == 0.25 else 6)
    whole.train_epoch(0)
    state = whole.state_dict()
    assert all(not torch.equal(value, before[name]) for name, value in whole.beside['imitation'].named_parameters())
    resumed = learning(train_set, tmp_path, weights=8, **settings)
    resumed.load_state_dict(copy.deepcopy(state), 1)
    for learner in (whole, resumed):
        learner.train_epoch(1)
    for one, other in zip(whole.detector.state_dict().values(), resumed.detector.state_dict().values(), strict=True):
        assert torch.equal(one, other)
    whole.kept.save_pretrained(tmp_path / 'saved')
    assert not any('imitation' in name for name in Detector.from_pretrained(tmp_path / 'saved').state_dict())
    if before:
        with pytest.raises(ValueError, match='imitation'):
            learning(train_set, tmp_path, **settings).load_state_dict(state | {'imitation': None}, 1)


def test_an_exported_teacher_has_no_maps(train_set, teachers, tmp_path):
    path = Detector.from_pretrained(teachers / '0.25').export(tmp_path / 'teacher.onnx')
    learner = learning(train_set, tmp_path, teacher=path)
    assert not learner.beside
    learner.train_epoch(0)
    assert Teacher(str(path), learner.detector.config, (8, 16, 32)).channels == {}
