import copy

import pytest
import torch
from timm.layers import BatchNormAct2d, StdConv2d
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from mbv3zoo.config.detector import DetectorConfig
from mbv3zoo.models.fuse import ChannelAffine, first_convolution, fuse_batch_norms
from mbv3zoo.models.network import DetectorNetwork


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


@torch.no_grad()
def randomise_norms(model):
    """Statistics away from 0 and 1, so that a wrong eps, order or missing norm shows in the numbers."""
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            module.running_mean.uniform_(-0.3, 0.3)
            module.running_var.uniform_(0.5, 1.5)
            if module.affine:
                module.weight.uniform_(0.7, 1.3)
                module.bias.uniform_(-0.3, 0.3)
    return model


def norms(model):
    return [module for module in model.modules() if isinstance(module, _BatchNorm)]


def affines(model):
    return [module for module in model.modules() if isinstance(module, ChannelAffine)]


@torch.no_grad()
def check_fused(model, x):
    """Fuses a small model in double precision, where only a mistake moves the numbers; returns it."""
    model = randomise_norms(model.double()).eval()
    x = x.double()
    before = model(x)
    fuse_batch_norms(model, torch.zeros_like(x))
    assert not norms(model)
    torch.testing.assert_close(model(x), before, rtol=1e-9, atol=1e-9)
    return model


BACKBONES = {
    'mbv3_yolo_small': {},
    'mbv3_yolo_large': {},
    'mbv3_yolo_small_minimal': {},
    'mbv3_yolo_small_exact_se': {},
    # TensorFlow's SAME padding.
    'mbv3_yolo_large_075': {},
    'resnet18': {},
    'resnet18d': {},
    # Norms before convolutions, and norms of concatenated maps.
    'densenet121': {'growth_rate': 8, 'block_config': (2, 2, 2, 2)},
    'efficientnet_b0': {},
    # A convolution's output goes to a norm and past it.
    'maxvit_pico_rw_256': {},
    # Weight-standardised convolutions without norms.
    'nf_regnet_b0': {},
    # LayerNorm, which stays.
    'convnext_atto': {},
}


@pytest.mark.parametrize('name', BACKBONES)
@torch.no_grad()
def test_no_batch_norm_is_left_and_logits_stay(name):
    config = DetectorConfig(backbone=name, backbone_args=BACKBONES[name], num_classes=3, image_size=64)
    network = randomise_norms(DetectorNetwork(config)).eval()
    images = torch.rand(2, 3, 64, 64)
    before, other = network(images), network(images.flip(-1))
    modules = len(norms(network))

    assert network.fuse() is network and network.fused
    # 26 of them are the neck's.
    assert modules >= 26 and not norms(network)
    assert not any('running' in key for key in network.state_dict())
    after = network(images)
    for x, y, z in zip(before, after, other, strict=True):
        # The second bound: little against what a logit owes to the picture, not only to the head's bias.
        moved = (x - y).abs().max()
        assert moved < 1e-4 and moved < 0.01 * (x - z.flip(-2)).abs().max()

    again = network.fuse()(images)
    assert all(torch.equal(x, y) for x, y in zip(after, again, strict=True))


def test_norms_without_a_convolution_become_affine():
    def fused(name, **backbone_args):
        config = DetectorConfig(backbone=name, backbone_args=backbone_args, num_classes=1, image_size=32)
        return DetectorNetwork(config).eval().fuse()

    assert not affines(fused('mbv3_yolo_small')) and not affines(fused('resnet18'))
    small = {'growth_rate': 8, 'block_config': (1, 1, 1, 1)}
    # Each dense layer's first norm (of a concatenation), the transitions' and the last.
    assert len(affines(fused('densenet121', **small).backbone)) == 4 + 3 + 1


def test_training_flags_and_dtype_stay():
    network = DetectorNetwork(DetectorConfig(backbone='mbv3_yolo_small', num_classes=1, image_size=32))
    network.backbone.eval()
    flags = {name: module.training for name, module in network.named_modules()}
    network.fuse()
    assert {name: module.training for name, module in network.named_modules() if name in flags} == {
        name: flag for name, flag in flags.items() if name in dict(network.named_modules())
    }
    assert network.training and not network.backbone.training

    half = DetectorNetwork(DetectorConfig(backbone='mbv3_yolo_small', num_classes=1, image_size=32))
    half.bfloat16().fuse()
    assert {p.dtype for p in half.parameters()} == {torch.bfloat16}


def test_fused_in_inference_mode_and_on_the_meta_device():
    config = DetectorConfig(backbone='mbv3_yolo_small', num_classes=1, image_size=32)
    network = randomise_norms(DetectorNetwork(config)).eval()
    images = torch.rand(1, 3, 32, 32)
    with torch.inference_mode():
        before = network(images)
        after = network.fuse()(images)
    assert all((x - y).abs().max() < 1e-4 for x, y in zip(before, after, strict=True))
    with torch.device('meta'):
        network = DetectorNetwork(config)
        # `fuse` itself needs weights.
        fuse_batch_norms(network, torch.zeros(1, 3, 32, 32))
    assert not norms(network)


def test_a_copy_of_a_fused_network_is_independent():
    config = DetectorConfig(backbone='mbv3_yolo_small', num_classes=1, image_size=32)
    network = DetectorNetwork(config).eval().fuse()
    clone = copy.deepcopy(network)
    images = torch.rand(1, 3, 32, 32)
    assert all(torch.equal(x, y) for x, y in zip(network(images), clone(images), strict=True))


@pytest.mark.parametrize('conv', [{}, {'bias': True}, {'groups': 2}, {'stride': 2, 'padding': 1, 'dilation': 2}])
@pytest.mark.parametrize('norm', [{}, {'eps': 0.1}, {'affine': False}])
def test_conv_then_norm(conv, norm):
    model = nn.Sequential(nn.Conv2d(4, 6, 3, **{'bias': False, **conv}), nn.BatchNorm2d(6, **norm))
    fused = check_fused(model, torch.randn(2, 4, 9, 9))
    assert isinstance(fused[1], nn.Identity) and fused[0].bias is not None


def test_activation_of_a_norm_stays():
    model = nn.Sequential(nn.Conv2d(4, 6, 1), BatchNormAct2d(6, act_layer=nn.Tanh), BatchNormAct2d(6))
    fused = check_fused(model, torch.randn(2, 4, 5, 5))
    assert isinstance(fused[1], nn.Tanh)
    assert [type(module) for module in fused[2]] == [ChannelAffine, nn.ReLU]


class Between(nn.Module):
    """conv -> `between` -> norm."""

    def __init__(self, between):
        super().__init__()
        self.conv, self.between, self.norm = nn.Conv2d(4, 4, 1), between, nn.BatchNorm2d(4)

    def forward(self, x):
        return self.norm(self.between(self.conv(x)))


@pytest.mark.parametrize(
    'between',
    [
        nn.ReLU(),
        # The tensor that the norm takes is then the very one that the convolution gave.
        nn.ReLU(inplace=True),
        nn.Dropout(),
        nn.MaxPool2d(3, 2),
    ],
)
def test_something_between(between):
    fused = check_fused(Between(between), torch.randn(2, 4, 5, 5))
    # In eval mode dropout hands its input on, so there the norm may be folded.
    assert isinstance(fused.norm, ChannelAffine if not isinstance(between, nn.Dropout) else nn.Module)


class AlsoUsed(nn.Module):
    """The convolution's output goes to the norm and past it."""

    def __init__(self, past):
        super().__init__()
        self.conv, self.norm, self.past = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4), past

    def forward(self, x):
        y = self.conv(x)
        return self.norm(y) + self.past(y)


@pytest.mark.parametrize('past', [nn.Identity(), nn.ReLU(), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 1)])
def test_an_output_that_is_used_elsewhere_is_not_changed(past):
    assert isinstance(check_fused(AlsoUsed(past), torch.randn(2, 4, 5, 5)).norm, ChannelAffine)


class Shared(nn.Module):
    """One module in two places."""

    def __init__(self, share_conv, share_norm):
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(4, 4, 1) for _ in range(2))
        self.norms = nn.ModuleList(nn.BatchNorm2d(4) for _ in range(2))
        if share_conv:
            self.convs[1] = self.convs[0]
        if share_norm:
            self.norms[1] = self.norms[0]

    def forward(self, x):
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = norm(conv(x))
        return x


@pytest.mark.parametrize(('share_conv', 'share_norm'), [(True, False), (False, True), (True, True)])
def test_shared_modules(share_conv, share_norm):
    fused = check_fused(Shared(share_conv, share_norm), torch.randn(2, 4, 5, 5))
    assert all(isinstance(norm, ChannelAffine) for norm in fused.norms)


def test_weight_standardised_convolution_is_left_alone():
    fused = check_fused(nn.Sequential(StdConv2d(4, 6, 3), nn.BatchNorm2d(6)), torch.randn(2, 4, 5, 5))
    assert isinstance(fused[1], ChannelAffine)


def test_norms_of_other_shapes():
    check_fused(nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6)), torch.randn(3, 4))
    check_fused(nn.Sequential(nn.Conv1d(4, 6, 3), nn.BatchNorm1d(6)), torch.randn(3, 4, 7))
    check_fused(nn.Sequential(nn.ConvTranspose2d(4, 6, 3), nn.BatchNorm2d(6)), torch.randn(3, 4, 7, 7))
    check_fused(nn.Sequential(nn.Conv2d(4, 6, 3), nn.SyncBatchNorm(6)), torch.randn(3, 4, 7, 7))


def test_a_norm_that_never_runs_goes_too():
    model = Between(nn.Identity())
    model.unused = nn.BatchNorm2d(7)
    assert isinstance(check_fused(model, torch.randn(1, 4, 3, 3)).unused, ChannelAffine)


def test_hooks_and_gradients_are_as_before():
    model = nn.Sequential(nn.Conv2d(4, 6, 1), nn.BatchNorm2d(6))
    model[0].weight.requires_grad_(False)
    fuse_batch_norms(model, torch.zeros(1, 4, 2, 2))
    assert not model[0].weight.requires_grad and not model[0]._forward_hooks
    with pytest.raises(RuntimeError):
        fuse_batch_norms(nn.Sequential(broken := nn.Conv2d(4, 6, 1), nn.BatchNorm2d(5)), torch.zeros(1, 4, 2, 2))
    assert not broken._forward_hooks


@pytest.mark.parametrize(
    ('model', 'found'),
    [
        (nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)), '0'),
        (nn.Sequential(nn.ReLU(), nn.Conv2d(3, 4, 3)), None),
        (nn.Sequential(nn.Conv2d(3, 6, 3, groups=3)), None),
        (nn.Sequential(StdConv2d(3, 4, 3)), None),
    ],
)
def test_first_convolution(model, found):
    conv = first_convolution(model, torch.zeros(1, 3, 8, 8))
    assert conv is (None if found is None else model.get_submodule(found))


def test_an_input_that_is_used_twice_has_no_first_convolution():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 1)

        def forward(self, x):
            return self.conv(x) + x

    assert first_convolution(Twice(), torch.zeros(1, 3, 8, 8)) is None


@pytest.mark.parametrize('place', [0, 1])
@pytest.mark.parametrize('what', ['hook', 'pre-hook', 'forward'])
def test_layers_with_hooks_are_not_folded(place, what):
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.ReLU())
    layer, before = model[place], copy.deepcopy(model.state_dict())
    if what == 'hook':
        layer.register_forward_hook(lambda module, inputs, output: output + 1)
    elif what == 'pre-hook':
        layer.register_forward_pre_hook(lambda module, inputs: (inputs[0] + 1,))
    else:
        forward = layer.forward
        layer.forward = lambda x: forward(x) + 1
    with pytest.raises(ValueError, match=f'^{place} .*has hooks or a forward of its own, which folding'):
        fuse_batch_norms(model, torch.rand(1, 3, 4, 4))
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_hooks_of_other_layers_stay():
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.ReLU()).eval()
    model[2].register_forward_hook(lambda module, inputs, output: output + 1)
    images = torch.rand(1, 3, 4, 4)
    expected = model(images)
    fuse_batch_norms(model, images)
    assert torch.allclose(model(images), expected, atol=1e-6) and not norms(model)
