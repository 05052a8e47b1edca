"""Weights that are computed anew at each call are made permanent: copies, graphs and fused detectors have them."""

import math

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune, spectral_norm, weight_norm

import mbv3zoo
from mbv3zoo.export.live import open_live
from mbv3zoo.models.plain_weights import check_logits, make_plain, whole_copy


class Half(nn.Module):
    def forward(self, x):
        return x / 2


def conv(detector):
    return detector.head.convs[0]


def prune_conv(detector):
    prune.l1_unstructured(conv(detector), 'weight', 0.5)
    prune.random_unstructured(conv(detector), 'bias', 0.5)
    # Twice, as iterative pruning does.
    prune.ln_structured(detector.backbone.model.conv_stem, 'weight', 0.25, 2, 0)
    prune.random_unstructured(detector.backbone.model.conv_stem, 'weight', 0.5)


def parametrise_norm(detector):
    norm = detector.backbone.model.bn1
    parametrize.register_parametrization(norm, 'weight', Half())
    parametrize.register_parametrization(norm, 'running_mean', Half())


CHANGES = {
    'pruned': prune_conv,
    'weight norm': lambda detector: parametrizations.weight_norm(conv(detector)),
    'old weight norm': lambda detector: weight_norm(conv(detector)),
    'spectral norm': lambda detector: parametrizations.spectral_norm(conv(detector)),
    'old spectral norm': lambda detector: spectral_norm(conv(detector)),
    'parametrised norm': parametrise_norm,
    'two parametrisations': lambda detector: [
        parametrize.register_parametrization(conv(detector), 'weight', Half()) for _ in range(2)
    ],
}
PICTURES = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def detector():
    torch.manual_seed(0)
    return mbv3zoo.create_detector('mbv3_yolo_small_050', num_classes=2, image_size=64).eval()


@torch.no_grad()
def outputs(detector):
    return [level.clone() for level in detector(PICTURES)]


def same(found, expected, atol=0.0):
    assert all(torch.allclose(own, other, rtol=0, atol=atol) for own, other in zip(found, expected, strict=True))


@pytest.mark.parametrize('change', CHANGES.values(), ids=CHANGES)
def test_a_copy_and_a_fused_detector_compute_the_same(detector, change):
    plain, names = outputs(detector), detector.state_dict().keys()
    change(detector)
    expected, state = outputs(detector), {name: x.clone() for name, x in detector.state_dict().items()}
    assert not all(map(torch.equal, plain, expected)) or change in (
        CHANGES['weight norm'], CHANGES['old weight norm'],
    )  # fmt: skip
    detector.train()
    copied = make_plain(whole_copy(detector))
    assert copied.state_dict().keys() == names
    assert copied.training
    # The detector is as it was.
    assert all(torch.equal(x, state[name]) for name, x in detector.state_dict().items())
    detector.eval()
    same(outputs(detector), expected)
    same(outputs(copied.eval()), expected, 1e-6)
    same(outputs(detector.fuse()), expected, 1e-4)
    assert conv(detector)._forward_pre_hooks == {} and isinstance(conv(detector).weight, nn.Parameter)


@pytest.mark.parametrize('change', [prune_conv, CHANGES['weight norm']])
def test_a_runtime_has_the_weights_in_use(detector, change):
    change(detector)
    with torch.no_grad():
        expected = [level.permute(0, 1, 4, 2, 3).flatten(1, 2) for level in detector(PICTURES * 0 + 100 / 255)]
    maps = open_live(detector, 'eager').run((PICTURES * 0 + 100).byte().numpy())
    same(map(torch.from_numpy, maps), expected, 1e-4)


def test_predictions_in_a_runtime_are_those_of_a_pruned_detector(detector):
    prune_conv(detector)
    image = (PICTURES[0] * 255).byte()
    for _ in range(2):
        expected = detector.predict(image, score_thresh=0.001)
        found = detector.predict(image, score_thresh=0.001, runtime='eager')
        assert len(expected) > 5 and torch.allclose(found.boxes, expected.boxes, atol=1e-2)
        prune.random_unstructured(conv(detector), 'weight', 0.5)


def test_what_cannot_be_made_permanent_is_named(detector):
    layer = conv(detector)
    raw = nn.Parameter(layer.weight.detach())
    del layer.weight
    layer.register_parameter('raw', raw)
    layer.register_forward_pre_hook(lambda module, args: setattr(module, 'weight', module.raw * 2))
    outputs(detector)
    for use in (make_plain, lambda found: found.fuse(), lambda found: open_live(found, 'eager')):
        with pytest.raises(ValueError, match=r'^head.convs.0 has a weight that something computes anew .* first$'):
            use(detector)


@pytest.mark.parametrize('value', [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize('name', ['head.convs.0.weight', 'backbone.model.bn1.running_var'])
def test_weights_that_are_not_finite(detector, name, value):
    detector.state_dict()[name].view(-1)[-1] = value
    with pytest.raises(ValueError, match=f'^no graph can be made of the detector: NaN or infinity in 1 .*{name} '):
        open_live(detector, 'eager')


def test_logits_that_are_not_finite_though_the_weights_are(detector):
    with torch.no_grad():
        conv(detector).weight.fill_(3e38)
    check_logits([torch.zeros(3)])
    for use in (lambda found: check_logits(outputs(found)), lambda found: open_live(found, 'eager')):
        with pytest.raises(ValueError, match='^the detector itself gives logits that are NaN, infinite'):
            use(detector)
