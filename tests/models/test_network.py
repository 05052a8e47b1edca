import ast
import copy
import inspect
import textwrap
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from dense_nms import postprocess
from PIL import Image

from mbv3zoo.config.detector import DetectorConfig
from mbv3zoo.models.network import DetectorNetwork
from mbv3zoo.models.postprocess.dense import decode

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def build(backbone='mbv3_yolo_small', **settings):
    torch.manual_seed(0)
    return DetectorNetwork(DetectorConfig(backbone=backbone, **{'num_classes': 4, 'image_size': 64, **settings})).eval()


@torch.no_grad()
def calibrated(network):
    """Sets the BatchNorms' statistics, as training would: without them little of a picture reaches the logits."""
    norms = [module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    network.train()(torch.rand(4, network.config.in_chans, 64, 64))
    return network.eval()


@pytest.fixture(scope='module')
def network():
    return calibrated(build())


@pytest.mark.parametrize(
    ('backbone', 'statistics'), [('mbv3_yolo_small', IMAGENET), ('mbv3_yolo_large', HALF), ('resnet18', IMAGENET)]
)
@torch.no_grad()
def test_normalises_its_input_as_its_backbone_wants(backbone, statistics):
    network = calibrated(build(backbone))
    mean, std = statistics
    assert network.config.mean == mean and network.config.std == std
    images = torch.rand(2, 3, 64, 64)
    by_hand = torch.stack([(images[:, i] - mean[i]) / std[i] for i in range(3)], 1)
    bare = build(backbone, mean=(0, 0, 0), std=(1, 1, 1))
    bare.load_state_dict(network.state_dict())
    for x, y, z in zip(network(images), bare(by_hand), bare(images), strict=True):
        torch.testing.assert_close(x, y, rtol=1e-3, atol=1e-4)
        assert (x - z).abs().max() > 0.1


@torch.no_grad()
def test_backbone_neck_and_head_in_a_row():
    network = build(mean=(0, 0, 0), std=(1, 1, 1))
    images = torch.rand(1, 3, 64, 64)
    expected = network.head(network.neck(network.backbone(images)))
    assert all(torch.equal(x, y) for x, y in zip(network(images), expected, strict=True))


def test_statistics_of_the_config_win_and_move_with_the_network(network):
    ours = build(mean=(0.1, 0.2, 0.3), std=(1, 2, 3))
    assert ours.mean.flatten().tolist() == pytest.approx([0.1, 0.2, 0.3]) and ours.std.shape == (1, 3, 1, 1)
    assert ours.config.mean == (0.1, 0.2, 0.3)
    double = copy.deepcopy(network).double()
    assert double.mean.dtype == double.std.dtype == double.anchors.dtype == torch.float64
    # The config holds them, so the state dict does not: a file of weights cannot contradict its config.
    assert not {'mean', 'std', 'anchors'} & network.state_dict().keys()


@pytest.mark.parametrize(('in_chans', 'mean'), [(1, [0.449]), (4, [0.485, 0.456, 0.406, 0.485])])
@torch.no_grad()
def test_other_numbers_of_channels(in_chans, mean):
    network = build(in_chans=in_chans)
    assert network.config.mean == pytest.approx(mean) and len(network.config.std) == in_chans
    assert network(torch.rand(1, in_chans, 64, 64))[0].shape == (1, 3, 8, 8, 9)
    with pytest.raises(ValueError, match=rf'\[batch, {in_chans}, height, width\], given \[1, 3, 64, 64\]'):
        network(torch.rand(1, 3, 64, 64))


@pytest.mark.parametrize('size', [(64, 64), (32, 32), (96, 32), (32, 160)])
@pytest.mark.parametrize('batch', [0, 1, 3])
@torch.no_grad()
def test_shapes(network, size, batch):
    """Any multiple of 32, also other than the config's; no pictures give logits of no pictures."""
    logits = network(torch.rand(batch, 3, *size))
    assert isinstance(logits, list)
    assert [tuple(x.shape) for x in logits] == [(batch, 3, size[0] // s, size[1] // s, 9) for s in (8, 16, 32)]
    kept = network.postprocess(logits)
    assert len(kept) == batch


@torch.no_grad()
def test_shapes_with_other_anchors_and_classes():
    network = build(num_classes=1, anchors=[[[10, 10]], [[50, 50]], [[200, 100]]])
    assert [tuple(x.shape) for x in network(torch.rand(1, 3, 64, 64))] == [
        (1, 1, 8, 8, 6),
        (1, 1, 4, 4, 6),
        (1, 1, 2, 2, 6),
    ]
    assert network.anchors.tolist() == [[[10, 10]], [[50, 50]], [[200, 100]]]


@pytest.mark.parametrize(
    ('images', 'words'),
    [
        (torch.rand(3, 64, 64), 'given [3, 64, 64]; predict() takes single images'),
        (torch.rand(1, 1, 64, 64), 'given [1, 1, 64, 64]'),
        (torch.rand(1, 64, 64, 3), 'given [1, 64, 64, 3]'),
        (torch.zeros(1, 3, 64, 64, dtype=torch.uint8), 'divide by 255'),
        (torch.zeros(1, 3, 64, 64, dtype=torch.int64), 'torch.int64'),
        ('a.jpg', "[batch, 3, height, width] in 0..1, given 'a.jpg'; predict() takes files"),
        (Path('a.jpg'), "PosixPath('a.jpg'); predict() takes files"),
        (Image.new('RGB', (64, 64)), 'given Image; predict() takes files, PIL images and arrays'),
        (np.zeros((64, 64, 3), np.uint8), 'given ndarray; predict() takes'),
        (['a.jpg', 'b.jpg'], 'given list; predict() takes'),
        (None, 'given NoneType; predict() takes'),
        (torch.rand(1, 3, 65, 64), 'given 65 x 64; pad to 96 x 64, or call predict() with image_size=(96, 64)'),
        (torch.rand(1, 3, 100, 20), 'given 100 x 20; pad to 128 x 32'),
        (torch.rand(1, 3, 0, 64), 'given 0 x 64; pad to 32 x 64'),
        (torch.rand(2, 3, 0, 0), 'given 0 x 0; pad to 32 x 32'),
    ],
)
def test_wrong_images_are_refused(network, images, words):
    with pytest.raises(ValueError) as caught:
        network(images)
    assert words in str(caught.value)


# The neck by the formula in test_neck.py, for these channels, at depth 0.33 and width 0.25; the head has
# sum(P) + 3 weights and biases for each of its 3 * (5 + K) outputs.
@pytest.mark.parametrize(
    ('backbone', 'timm_name', 'neck'),
    [
        ('mbv3_yolo_small', 'mobilenetv3_small_100', 1_159_872),
        ('mbv3_yolo_large', 'mobilenetv3_large_100', 1_660_992),
        ('resnet18', 'resnet18', 1_125_504),
    ],
)
@pytest.mark.parametrize('num_classes', [1, 80])
def test_parameters_by_formula(backbone, timm_name, neck, num_classes):
    with torch.device('meta'):
        network = build(backbone, num_classes=num_classes)
    features = timm.create_model(timm_name, features_only=True, device='meta')
    head = (64 + 128 + 256 + 3) * 3 * (5 + num_classes)
    assert sum(p.numel() for p in network.parameters()) == sum(p.numel() for p in features.parameters()) + neck + head


@torch.no_grad()
def test_postprocess_is_decode_then_suppression(network):
    logits = [x.clone() for x in network(torch.rand(2, 3, 64, 64))]
    for x in logits:
        x[..., 4:] += 4
    options = {'score_thresh': 0.3, 'iou_thresh': 0.6, 'multi_label': True, 'max_detections': 7}
    expected = postprocess(*decode(logits, torch.tensor(network.config.anchors), (8, 16, 32)), **options)
    found = network.postprocess(logits, **options)
    assert len(found) == 2 and all(len(kept.scores) == 7 for kept in found)
    assert all(torch.equal(x, y) for a, b in zip(found, expected, strict=True) for x, y in zip(a, b, strict=True))
    # Half-precision logits are decoded in full precision: near the right edge whole pixels lie between two halves.
    half = network.postprocess([x.half() for x in logits], **options)
    full = network.postprocess([x.half().float() for x in logits], **options)
    assert all(torch.equal(x, y) for a, b in zip(half, full, strict=True) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize('backbone', ['mbv3_yolo_small', 'test_vit', 'resnet18'])
def test_everything_is_trained(network, backbone):
    training = (copy.deepcopy(network) if backbone == network.config.backbone else build(backbone)).train()
    sum(x.square().sum() for x in training(torch.rand(2, 3, 64, 64))).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in training.parameters())


# Sizes


def test_a_backbone_built_for_one_size_says_so():
    network = build('test_vit_relpos', image_size=(64, 96))
    assert [tuple(x.shape[2:4]) for x in network(torch.rand(1, 3, 64, 96))] == [(8, 12), (4, 6), (2, 3)]
    with pytest.raises(ValueError, match=r"'test_vit_relpos'.*64 x 96.*96 x 64.*image_size=\(96, 64\)") as caught:
        network(torch.rand(1, 3, 96, 64))
    assert '\n' not in str(caught.value) and caught.value.__cause__ is not None


def test_a_backbone_that_cannot_be_built_for_a_size_names_those_it_takes():
    with pytest.raises(ValueError, match=r"'nest_tiny'.*64 x 96.*squares.*takes all") as caught:
        build('nest_tiny', image_size=(64, 96))
    assert '\n' not in str(caught.value)


def test_a_backbone_of_a_single_size_names_it():
    """Efficientformer's attention is for 224 x 224 only."""
    network = build('efficientformer_l1', image_size=320)
    with pytest.raises(ValueError, match=r"'efficientformer_l1'.*320 x 320.*224 x 224.*image_size=224"):
        network.to('meta')(torch.empty(1, 3, 320, 320, device='meta'))


@pytest.mark.parametrize('kind', [RuntimeError, ValueError, AssertionError, torch.OutOfMemoryError])
def test_other_errors_pass_as_they_are(kind):
    network = build()
    cause = kind('not the size')

    def fail(*args):
        raise cause

    network.backbone.register_forward_pre_hook(fail)
    with pytest.raises(kind) as caught:
        network(torch.rand(1, 3, 64, 64))
    assert caught.value is cause


def test_other_errors_at_construction_pass_as_they_are():
    with pytest.raises(ValueError, match="'xyzzy'") as caught:
        build(backbone_args={'xyzzy': 1})
    assert 'does not take pictures' not in str(caught.value)


# Frozen parts


def test_frozen_stages_and_norms():
    network = build('resnet18')
    assert network.freeze_backbone(1) is network and network.freeze_norm() is network
    frozen = {n for n, p in network.named_parameters() if not p.requires_grad}
    model = 'backbone.model.'
    stem_and_first = {n for n in frozen if n.startswith((f'{model}conv1', f'{model}bn1', f'{model}layer1'))}
    assert len(stem_and_first) == 15
    assert all(('bn' in n or 'downsample.1' in n) and n.startswith(model) for n in frozen - stem_and_first)
    assert f'{model}layer4.1.bn2.weight' in frozen and f'{model}layer2.0.conv1.weight' not in frozen
    statistics = {n: t.clone() for n, t in network.state_dict().items()}
    network.train()
    assert network.training and network.neck.training
    logits = network(torch.rand(2, 3, 64, 64))
    sum(x.square().sum() for x in logits).backward()
    assert all((p.grad is None) == (n in frozen) for n, p in network.named_parameters())
    moved = {n for n, t in network.state_dict().items() if not torch.equal(t, statistics[n])}
    # The neck's statistics move; the backbone's do not.
    assert moved and not any(n.startswith('backbone.') for n in moved)


def test_more_frozen_stages_than_there_are():
    network = build('resnet18')
    for stages in (5, -1):
        with pytest.raises(ValueError, match=rf"0\.\.4.*'resnet18'.*{stages}"):
            network.freeze_backbone(stages)
    network.freeze_backbone(0)
    assert all(p.requires_grad for p in network.parameters())


def test_checkpointed_gradients_of_a_partly_frozen_network():
    """The frozen layers' outputs need no gradient; the layers behind them do all the same."""
    network = build('test_vit').freeze_backbone(2)
    images = torch.rand(2, 3, 64, 64)

    def gradients():
        network.zero_grad()
        sum(x.square().mean() for x in network(images)).backward()
        return {n: p.grad.clone() for n, p in network.named_parameters() if p.grad is not None}

    plain = gradients()
    assert network.set_grad_checkpointing() is network
    again = gradients()
    assert plain.keys() == again.keys() and any('blocks.2' in n for n in plain)
    for name, gradient in plain.items():
        torch.testing.assert_close(again[name], gradient, rtol=1e-4, atol=1e-6)


def test_no_weight_decay_and_groups_by_the_networks_names():
    network = build('test_vit')
    exempt = {'backbone.model.model.cls_token', 'backbone.model.model.pos_embed'}
    assert network.no_weight_decay() == exempt <= dict(network.named_parameters()).keys()
    match = network.group_matcher(coarse=True)
    assert match('backbone.model.model.pos_embed') == (0,) and match('backbone.model.model.blocks.5.norm1.bias') == (6,)
    assert match('head.convs.0.weight') == match('backbone.levels.0.0.weight') == (float('inf'),)


# Other anchors

OTHER = (((5.0, 6.5), (9.0, 7.0), (8.0, 20.0)), ((20.0, 25.0), (31.5, 30.0), (25.0, 60.0)), ((70.0, 64.0),) * 3)


@torch.no_grad()
def test_set_anchors_moves_what_the_logits_mean(network):
    ours = copy.deepcopy(network)
    images = torch.rand(1, 3, 64, 64)
    before = ours(images)
    assert ours.set_anchors(OTHER) is ours
    assert ours.config.anchors == OTHER and ours.anchors.tolist() == torch.tensor(OTHER).tolist()
    assert ours.config.model_copy(update={'anchors': network.config.anchors}) == network.config
    # The weights stay; the boxes are those of a network built with these anchors.
    logits = ours(images)
    assert all(torch.equal(x, y) for x, y in zip(logits, before, strict=True))
    built = build(anchors=OTHER)
    built.load_state_dict(ours.state_dict())
    found, expected, old = (n.postprocess(logits, score_thresh=0)[0] for n in (ours, built, network))
    assert len(found.boxes) and torch.equal(found.boxes, expected.boxes) and torch.equal(found.scores, expected.scores)
    assert not torch.equal(found.boxes, old.boxes)
    # The config alone rebuilds it, and the state dict does not know of them.
    assert build().state_dict().keys() == ours.state_dict().keys()
    assert DetectorNetwork(ours.config).anchors.equal(ours.anchors)


def test_set_anchors_keeps_type_and_device(network):
    double = copy.deepcopy(network).double()
    assert double.set_anchors(OTHER).anchors.dtype == torch.float64
    assert double.float().anchors.dtype == torch.float32
    assert double.set_anchors([[list(pair) for pair in level] for level in OTHER]).config.anchors == OTHER


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float64])
def test_a_cast_and_back_leaves_what_the_config_holds(network, dtype):
    ours = copy.deepcopy(network).set_anchors([[(10.3, 13.1)] * 3, [(30.7, 61.3)] * 3, [(116.1, 90.9)] * 3])
    kept = {name: getattr(ours, name).clone() for name in ('mean', 'std', 'anchors')}
    cast = ours.to(dtype)
    assert all(getattr(cast, name).dtype == dtype for name in kept)
    assert all(torch.equal(getattr(cast.float(), name), tensor) for name, tensor in kept.items())
    # Also where there was no storage at all.
    empty = DetectorNetwork(ours.config, device='meta').to_empty(device='cpu')
    assert all(torch.equal(getattr(empty, name), tensor) for name, tensor in kept.items())
    # What somebody has changed by hand is theirs.
    ours.mean.add_(0.25)
    changed = ours.mean.clone()
    assert torch.equal(ours.double().float().mean, changed)


@pytest.mark.parametrize(
    ('anchors', 'words'),
    [
        ([level[:2] for level in OTHER], ['3 anchors', 'given 2']),
        ([[*level, (9, 9)] for level in OTHER], ['3 anchors', 'given 4']),
        (OTHER[:2], ['anchors', '[3, 3]']),
        ((*OTHER[:2], OTHER[2][:2]), ['anchors', '[3, 3, 2]']),
        ((*OTHER[:2], ((70, 64), (70, 0), (70, 64))), ['anchors', '0']),
        ((*OTHER[:2], ((70, 64), (70, -3), (70, 64))), ['anchors', '-3']),
        ((*OTHER[:2], ((70, 64), (70, float('nan')), (70, 64))), ['anchors', 'nan']),
        ([], ['anchors', '[]']),
        (None, ['anchors']),
    ],
)
def test_set_anchors_refuses_others(network, anchors, words):
    ours = copy.deepcopy(network)
    with pytest.raises(ValueError) as caught:
        ours.set_anchors(anchors)
    assert all(word in str(caught.value) for word in words)
    assert ours.config == network.config and torch.equal(ours.anchors, network.anchors)


def test_config_is_kept_and_not_changed():
    config = DetectorConfig(backbone='mbv3_yolo_small', num_classes=2, image_size=64)
    network = DetectorNetwork(config)
    assert config.mean is None
    assert network.config.model_copy(update={'mean': None, 'std': None}) == config
    # The config alone rebuilds the network.
    again = DetectorNetwork(network.config)
    again.load_state_dict(network.state_dict())
    assert again.config == network.config


def test_backbone_args_reach_the_backbone_and_build_args_are_not_kept():
    config = DetectorConfig(backbone='resnet18', backbone_args={'act_layer': 'gelu'}, num_classes=1, image_size=64)
    network = DetectorNetwork(config, dtype=torch.float64)
    assert not any(isinstance(m, torch.nn.ReLU) for m in network.backbone.modules())
    assert next(network.backbone.parameters()).dtype == torch.float64
    assert network.config.backbone_args == {'act_layer': 'gelu'}


# The forward pass


def test_forward_is_read_aloud_and_is_what_it_says():
    """Check, then head(neck(backbone(normalise(images))))."""
    body = ast.parse(textwrap.dedent(inspect.getsource(DetectorNetwork.forward))).body[0].body[1:]
    assert [ast.unparse(line) for line in body] == [
        'self._check(images)',
        'return self.head(self.neck(self.backbone(self._normalise(images))))',
    ]
