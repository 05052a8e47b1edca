"""Two processes against one with both batches. This process is the first; the second runs this file."""

import copy
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from timm.layers import BatchNormAct2d
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

import mbv3zoo
from mbv3zoo import create_detector
from mbv3zoo.config.training import TrainConfig
from mbv3zoo.data.loader import Targets
from mbv3zoo.training.sync_norm import synchronise_norms
from mbv3zoo.training.yolov5_loss import YOLOv5Loss

CPU, CHANNELS = torch.device('cpu'), 5
TIMEOUT = timedelta(seconds=120)
# Pictures of each process.
SHARES = {'equal': (2, 2), 'unequal': (3, 1)}
NORMS = {
    'plain': lambda: nn.BatchNorm2d(CHANNELS, eps=1e-3, momentum=0.03),
    'no momentum': lambda: nn.BatchNorm2d(CHANNELS, momentum=None),
    'no affine': lambda: nn.BatchNorm2d(CHANNELS, affine=False),
    'no tracking': lambda: nn.BatchNorm2d(CHANNELS, track_running_stats=False),
    'activation': lambda: BatchNormAct2d(CHANNELS, act_layer='silu'),
    'without activation': lambda: BatchNormAct2d(CHANNELS, apply_act=False),
    'vectors': lambda: nn.BatchNorm1d(CHANNELS),
    'sequences': lambda: nn.BatchNorm1d(CHANNELS),
}
SHAPES = {'vectors': (4, CHANNELS), 'sequences': (4, CHANNELS, 6)}
BOXES = torch.tensor([[3.0, 4, 24, 33], [20.3, 20.2, 50.1, 51.7], [30.7, 9.1, 43.4, 28.2], [1.3, 2.9, 60.1, 63.2]])
# The last of the four pictures has none.
TARGETS = Targets(torch.tensor([0, 0, 1, 2]), torch.tensor([0, 1, 1, 0]), BOXES)


def make_norm(kind, dtype=torch.float64):
    norm = NORMS[kind]().to(dtype)
    if norm.affine:
        with torch.no_grad():
            norm.weight.copy_(torch.linspace(0.5, 2, CHANNELS))
            norm.bias.copy_(torch.linspace(-1, 1, CHANNELS))
    return norm


def draw(shape, seed):
    """Values far from zero, another mean and spread in each channel and picture. In double precision, for the sums."""
    x = torch.randn(shape, generator=torch.Generator().manual_seed(seed)).double()
    channels = torch.linspace(-20, 30, CHANNELS).double().view(1, -1, *[1] * (len(shape) - 2))
    pictures = torch.linspace(0.5, 3, shape[0]).double().view(-1, *[1] * (len(shape) - 1))
    return x * pictures + pictures + channels


def norm_course(norm, x, weights):
    """Two training steps: outputs, gradients and statistics after them."""
    found = {}
    for step in range(2):
        own = x[step].clone().requires_grad_()
        out = norm(own)
        (out * weights[step]).sum().backward()
        found |= {f'out {step}': out.detach(), f'x.grad {step}': own.grad}
    found |= {f'{name}.grad': parameter.grad for name, parameter in norm.named_parameters()}
    return found | {name: buffer.clone() for name, buffer in norm.named_buffers()}


def norm_case(kind, share, rank):
    """The norm's course in one process, or in one with all pictures where `rank` is None."""
    shape = SHAPES.get(kind, (4, CHANNELS, 6, 7))
    rows = slice(None) if rank is None else slice(sum(share[:rank]), sum(share[: rank + 1]))
    x, weights = ([draw(shape, seed)[rows] for seed in seeds] for seeds in ((0, 1), (2, 3)))
    norm = make_norm(kind)
    return norm_course(norm if rank is None else synchronise_norms(norm, CPU), x, weights)


def half_case(rank):
    """The bfloat16 activations of autocast, in more pixels than bfloat16 can count."""
    rows = slice(None) if rank is None else slice(2 * rank, 2 * rank + 2)
    x = draw((4, CHANNELS, 61, 67), 0)[rows].bfloat16()
    norm = make_norm('activation', torch.float32)
    out = (norm if rank is None else synchronise_norms(norm, CPU))(x)
    return {'out': out.detach(), 'running_mean': norm.running_mean, 'running_var': norm.running_var}


def make_detector():
    torch.manual_seed(0)
    # Double precision: what the deepest layers of a new network make of rounding errors hides no error of ours.
    return create_detector('mbv3_yolo_small_050', class_names=['cat', 'dog'], image_size=64, dtype=torch.float64)


def detector_case(rank):
    """Gradients and statistics of a step on two of the four pictures, or on all of them."""
    detector, processes = make_detector(), 1 if rank is None else 2
    images = torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(0)).double()
    targets = TARGETS
    if rank is not None:
        synchronise_norms(detector, CPU)
        images, own = images[2 * rank : 2 * rank + 2], TARGETS.image_index // 2 == rank
        targets = Targets(TARGETS.image_index[own] % 2, TARGETS.labels[own], BOXES[own])
    loss = YOLOv5Loss(detector.anchors.float(), detector.strides, 2, (64, 64), TrainConfig(loss='yolov5'), processes)
    detector.train()
    loss(detector(images), targets).total.backward()
    found = {f'{name}.grad': parameter.grad for name, parameter in detector.named_parameters()}
    return found | {name: buffer.clone() for name, buffer in detector.named_buffers() if 'running' in name}


def all_cases(rank):
    cases = {f'{kind}, {name}': norm_case(kind, share, rank) for kind in NORMS for name, share in SHARES.items()}
    return cases | {'half': half_case(rank), 'detector': detector_case(rank)}


def in_group(folder, rank):
    """Joins the two processes, through a file and the loopback device, and runs this one's part of every case."""
    dist.init_process_group('gloo', init_method=f'file://{folder}/store', rank=rank, world_size=2, timeout=TIMEOUT)
    try:
        return all_cases(rank)
    finally:
        dist.destroy_process_group()


@pytest.fixture(scope='module')
def found(tmp_path_factory):
    """What the two processes found, and one alone: {'one': cases, 'two': (cases, cases)}."""
    folder = tmp_path_factory.mktemp('group')
    root = str(Path(mbv3zoo.__file__).parents[1])
    environment = {**os.environ, 'PYTHONPATH': os.pathsep.join([root, os.environ.get('PYTHONPATH', '')])}
    command = [sys.executable, __file__, str(folder)]
    with open(folder / 'log', 'w') as log, subprocess.Popen(command, env=environment, stdout=log, stderr=log) as second:
        try:
            first = in_group(folder, 0)
            assert second.wait(120) == 0
        except Exception as error:
            raise AssertionError((folder / 'log').read_text()) from error
        finally:
            second.kill()
    return {'one': all_cases(None), 'two': (first, torch.load(folder / 'found.pt'))}


@pytest.mark.parametrize('share', SHARES)
@pytest.mark.parametrize('kind', NORMS)
def test_two_processes_norm_as_one(found, kind, share):
    one, (first, second) = found['one'][f'{kind}, {share}'], [cases[f'{kind}, {share}'] for cases in found['two']]
    assert one.keys() == first.keys() == second.keys()
    for name, expected in one.items():
        if name.startswith(('out', 'x.grad')):
            together = torch.cat([first[name], second[name]])
        elif name.endswith('.grad'):
            together = first[name] + second[name]
        else:
            together = first[name]
            assert torch.equal(first[name], second[name])
        torch.testing.assert_close(together, expected, rtol=1e-8, atol=1e-8)
    # Not what each would have found alone.
    if share == 'unequal':
        shape = SHAPES.get(kind, (4, CHANNELS, 6, 7))
        alone = make_norm(kind)(draw(shape, 0)[:3])
        assert (alone - first['out 0']).abs().max() > 0.05


def test_half_precision_keeps_its_type_and_the_statistics_are_exact(found):
    one, two = found['one']['half'], [cases['half'] for cases in found['two']]
    assert all(cases['out'].dtype == torch.bfloat16 for cases in (one, *two))
    torch.testing.assert_close(torch.cat([cases['out'] for cases in two]), one['out'], rtol=0.02, atol=0.02)
    for cases in two:
        for name in ('running_mean', 'running_var'):
            torch.testing.assert_close(cases[name], one[name], rtol=1e-4, atol=1e-4)


def test_two_processes_train_a_detector_as_one(found):
    one, (first, second) = found['one']['detector'], [cases['detector'] for cases in found['two']]
    assert one.keys() == first.keys() == second.keys() and len(one) > 300
    norms = 0
    for name, expected in one.items():
        if name.endswith('.grad'):
            # As DistributedDataParallel does.
            together = (first[name] + second[name]) / 2
        else:
            norms += 1
            together = first[name]
            assert torch.equal(first[name], second[name])
        # The loss is computed in single precision.
        torch.testing.assert_close(together, expected, rtol=1e-3, atol=1e-4 * expected.abs().max().item() + 1e-9)
    assert norms > 80
    # They saw other pictures.
    assert (first['head.convs.0.weight.grad'] - second['head.convs.0.weight.grad']).abs().max() > 1e-2


# In one process, where the sum over all is the own


@pytest.fixture
def alone(monkeypatch):
    calls = []
    monkeypatch.setattr(dist, 'all_reduce', calls.append)
    return calls


@pytest.mark.parametrize('device', ['cpu', 'cuda'])
def test_converting_keeps_names_weights_and_what_is_computed(device):
    """The norms for GPUs compute on CPUs too, in evaluation mode."""
    detector = make_detector().eval()
    norms = sum(isinstance(module, _BatchNorm) for module in detector.modules())
    images = torch.rand(1, 3, 64, 64).double()
    names, expected = list(detector.state_dict()), detector(images)
    parameters = dict(detector.named_parameters())
    converted = synchronise_norms(detector, torch.device(device))
    assert converted is detector and set(detector.state_dict()) == set(names)
    assert all(parameters[name] is parameter for name, parameter in detector.named_parameters())
    kind = nn.SyncBatchNorm if device == 'cuda' else _BatchNorm
    assert sum(isinstance(module, kind) for module in detector.modules()) == norms > 40
    plain = (nn.BatchNorm2d, BatchNormAct2d)
    assert not any(type(module) in plain for module in detector.modules())
    assert all(torch.equal(x, y) for x, y in zip(detector(images), expected, strict=True))


def test_the_order_of_the_state_stays_and_it_loads_into_a_plain_detector(alone):
    """The moving average pairs the two by order."""
    plain = make_detector()
    for device in ('cpu', 'cuda'):
        converted = synchronise_norms(make_detector(), torch.device(device))
        assert list(converted.state_dict()) == list(plain.state_dict())
        plain.load_state_dict(converted.state_dict())


@pytest.mark.parametrize('device', ['cpu', 'cuda'])
def test_what_is_trained_by_several_processes_without_an_average_is_saved_as_a_plain_detector(device, tmp_path):
    detector = synchronise_norms(make_detector(), torch.device(device))
    loaded = mbv3zoo.Detector.from_pretrained(detector.save_pretrained(tmp_path / 'saved'))
    assert {type(module) for module in loaded.modules() if isinstance(module, _BatchNorm)} <= {
        nn.BatchNorm2d, BatchNormAct2d,
    }  # fmt: skip
    assert all(torch.equal(tensor, loaded.state_dict()[name]) for name, tensor in detector.state_dict().items())


def test_frozen_norms_stay_as_they_are(alone):
    torch.manual_seed(0)
    detector = create_detector('mbv3_yolo_small_050', num_classes=2, image_size=64, freeze_norm=True)
    reference = copy.deepcopy(detector)
    synchronise_norms(detector, CPU)
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        features = [network.train().backbone(images) for network in (detector, reference)]
    # Nothing was asked of other processes.
    assert alone == [] and all(torch.equal(x, y) for x, y in zip(*features, strict=True))
    before = {name: tensor.clone() for name, tensor in detector.state_dict().items()}
    with torch.no_grad():
        logits = [network.train()(images) for network in (detector, reference)]
    assert alone
    moved = {name for name, tensor in detector.state_dict().items() if not torch.equal(tensor, before[name])}
    assert moved and all(name.startswith('neck.') for name in moved)
    for x, y in zip(*logits, strict=True):
        torch.testing.assert_close(x, y, rtol=1e-3, atol=1e-3)
    for name, tensor in reference.state_dict().items():
        torch.testing.assert_close(detector.state_dict()[name], tensor, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('kind', NORMS)
def test_evaluation_mode_asks_no_other_process(alone, kind):
    plain, x = make_norm(kind).eval(), draw(SHAPES.get(kind, (4, CHANNELS, 6, 7)), 0)
    synchronised = synchronise_norms(copy.deepcopy(plain), CPU)
    assert type(synchronised) is not type(plain)
    assert torch.equal(synchronised(x), plain(x)) and alone == []
    for name, buffer in plain.named_buffers():
        assert torch.equal(dict(synchronised.named_buffers())[name], buffer)


def test_one_value_a_channel_is_no_error_where_others_have_more(alone):
    """Of a single process plain BatchNorm refuses it; the variance is then the own, 0."""
    norm = synchronise_norms(make_norm('plain'), CPU)
    out = norm(torch.full((1, CHANNELS, 1, 1), 7.0).double())
    torch.testing.assert_close(out.flatten(), norm.bias.detach())


def test_a_synchronised_detector_is_copied_and_fused(alone):
    detector = make_detector()
    detector(torch.rand(2, 3, 64, 64).double())
    synchronise_norms(detector, CPU)
    fused = copy.deepcopy(detector).eval().fuse()
    assert not any(isinstance(module, _BatchNorm) for module in fused.modules())
    images = torch.rand(1, 3, 64, 64).double()
    with torch.no_grad():
        for x, y in zip(fused(images), detector.eval()(images), strict=True):
            torch.testing.assert_close(x, y, rtol=1e-4, atol=1e-5)


if __name__ == '__main__':
    torch.save(in_group(sys.argv[1], 1), f'{sys.argv[1]}/found.pt')
