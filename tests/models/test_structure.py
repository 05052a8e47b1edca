"""A network that is not what its config builds is told, and one that is passes."""

import copy

import pytest
import timm
import torch
from timm.layers import BatchNormAct2d, freeze_batch_norm_2d
from torch import nn
from torch.nn.utils import parametrizations, prune, weight_norm

import mbv3zoo
from mbv3zoo.models.structure import check_built, describe, difference


@pytest.fixture(scope='module')
def built():
    return mbv3zoo.create_detector('mbv3_yolo_small_050', num_classes=2, image_size=64)


@pytest.fixture
def small(built):
    return copy.deepcopy(built)


def first_silu(detector):
    return next(name for name, module in detector.named_modules() if isinstance(module, nn.SiLU))


def prune_a_layer(detector):
    prune.l1_unstructured(detector.head.convs[0], 'weight', 0.5)


def norm_weights(detector):
    weight_norm(detector.head.convs[1], 'weight')


def parametrize(detector):
    parametrizations.weight_norm(detector.head.convs[1], 'weight')


def swap_an_activation(detector):
    detector.set_submodule(first_silu(detector), nn.ReLU())


def set_eps(detector):
    detector.backbone.model.bn1.eps = 1e-3


def set_a_stride(detector):
    detector.backbone.model.conv_stem.stride = (1, 1)


def remove_a_layer(detector):
    detector.backbone.model.blocks[2][1] = nn.Identity()


def add_a_parameter(detector):
    detector.head.scale = nn.Parameter(torch.ones(1))


def add_a_layer(detector):
    detector.neck.extra = nn.Conv2d(1, 1, 1)


def drop_a_bias(detector):
    detector.head.convs[0].bias = None


def own_forward(detector):
    detector.head.forward = lambda maps: maps


def compile_a_part(detector):
    detector.neck = torch.compile(detector.neck)


def resize_a_layer(detector):
    detector.head.convs[0] = nn.Conv2d(detector.head.convs[0].in_channels, 7, 1)


def other_anchors_in_the_config(detector):
    anchors = tuple(tuple((w * 2, h) for w, h in level) for level in detector.config.anchors)
    detector.config = detector.config.model_copy(update={'anchors': anchors})


def other_classes_in_the_config(detector):
    detector.config = mbv3zoo.DetectorConfig.parse(
        detector.config.model_dump() | {'class_names': ['a', 'b', 'c'], 'num_classes': 3}
    )


def synchronise_norms_without_their_activation(detector):
    # timm has a function of its own that keeps it.
    nn.SyncBatchNorm.convert_sync_batchnorm(detector)


def other_normalisation(detector):
    detector.mean.add_(0.1)


CHANGES = {
    prune_a_layer: r'head\.convs\.0 has weight_orig, which is not in the config',
    norm_weights: r'head\.convs\.1 has weight_g',
    parametrize: r'head\.convs\.1 is ParametrizedConv2d, expected Conv2d',
    swap_an_activation: r'is ReLU, expected SiLU',
    set_eps: r'backbone\.model\.bn1 has eps 0\.001, expected 1e-05',
    set_a_stride: r'conv_stem has stride \(1, 1\), expected \(2, 2\)',
    remove_a_layer: r'backbone\.model\.blocks\.2\.1 is Identity',
    add_a_parameter: r'head has scale, which is not in the config',
    add_a_layer: r'neck\.extra \(Conv2d\), which is not in the config',
    drop_a_bias: r'head\.convs\.0 has bias None, expected \[21\]',
    own_forward: r'head has a forward of its own',
    compile_a_part: r'neck is OptimizedModule',
    resize_a_layer: r'head\.convs\.0 has .*7',
    other_anchors_in_the_config: r"the buffer 'anchors'.*use set_anchors\(\)",
    other_classes_in_the_config: r'head has num_outputs 7, expected 8',
    synchronise_norms_without_their_activation: r'is SyncBatchNorm, expected BatchNormAct2d',
    other_normalisation: r"the buffer 'mean'.*build it with mean=",
}


@pytest.mark.parametrize('change', CHANGES, ids=lambda change: change.__name__)
def test_what_its_config_does_not_build_is_refused(small, change):
    change(small)
    with pytest.raises(ValueError, match=CHANGES[change]) as told:
        check_built(small)
    assert '\n' not in str(told.value)


def rename_classes(detector):
    detector.config = detector.config.model_copy(update={'class_names': ('x', 'y')})


def train(detector):
    detector.train().set_grad_checkpointing()
    detector.freeze_norm().freeze_backbone(1)
    detector(torch.rand(2, 3, 64, 64))[0].mean().backward()
    torch.optim.AdamW(detector.parameters()).step()


def set_momentum(detector):
    for module in detector.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.03


def prune_for_good(detector):
    conv = detector.head.convs[0]
    prune.l1_unstructured(conv, 'weight', 0.5)
    prune.remove(conv, 'weight')


@pytest.mark.parametrize(
    'change',
    [
        rename_classes, train, set_momentum, prune_for_good,
        lambda detector: freeze_batch_norm_2d(detector),
        lambda detector: timm.layers.convert_sync_batchnorm(detector),
        lambda detector: detector.half(), lambda detector: detector.double(),
        lambda detector: detector.to(memory_format=torch.channels_last),
        lambda detector: detector.compile(),
        lambda detector: detector.head.register_forward_hook(lambda *args: None),
        lambda detector: detector.set_anchors([[[9, 9]] * 3] * 3),
    ],
)  # fmt: skip
def test_what_its_config_builds_passes(small, change):
    change(small)
    check_built(small)


def test_a_neck_of_a_layer_list_passes_with_another_image_size():
    rows = {'rows': [{'sources': [1], 'block': 'Conv', 'args': [8]}], 'first': 2, 'inputs': [0, 1], 'outputs': [0, 2]}
    detector = mbv3zoo.create_detector(
        'test_resnet', num_classes=1, image_size=64, neck={**rows, 'strides': [8, 16]}, anchors=1, width_multiple=1
    )
    detector.config = detector.config.model_copy(update={'image_size': (96, 64)})
    check_built(detector)


@pytest.mark.parametrize(
    'name', ['resnet18', 'convit_tiny', 'levit_128s', 'swin_tiny_patch4_window7_224', 'mbv3_yolo_small.synth']
)
def test_other_backbones_pass_after_they_have_run(name):
    detector = mbv3zoo.create_detector(name, num_classes=2).eval()
    with torch.no_grad():
        detector(torch.rand(1, 3, *detector.config.image_size))
    check_built(detector)


def test_norms_that_apply_an_activation_may_be_frozen():
    detector = mbv3zoo.create_detector('cspresnet50', num_classes=2, image_size=64)
    assert any(isinstance(module, BatchNormAct2d) for module in detector.modules())
    detector.backbone.model = freeze_batch_norm_2d(detector.backbone.model)
    check_built(detector)


def test_a_class_that_is_derived_from_the_detector_passes(small):
    class Mine(mbv3zoo.Detector):
        pass

    small.__class__ = Mine
    check_built(small)


def test_functions_in_settings_are_told_apart_by_what_they_hold():
    def scaled(factor):
        module = nn.Identity()
        module.scale = lambda x: x * factor
        return describe(module)

    assert scaled(2) == scaled(2) != scaled(3)


def test_a_description_stays_when_lists_change_in_place():
    module = nn.Identity()
    module.sizes = [1, {'a': [2]}]
    before = describe(module)
    assert before == describe(copy.deepcopy(module))
    module.sizes[1]['a'].append(3)
    assert before != describe(module)
    assert difference(describe(module), before).startswith("it has sizes ('list', 1, {")


def test_torchs_synchronised_norm_stands_for_that_of_any_number_of_dimensions():
    for norm in (nn.BatchNorm1d(3), nn.BatchNorm2d(3), nn.BatchNorm3d(3)):
        found = nn.SyncBatchNorm.convert_sync_batchnorm(copy.deepcopy(norm))
        assert difference(describe(found), describe(norm)) is None
        assert 'is LayerNorm' in difference(describe(nn.LayerNorm(3)), describe(norm))
