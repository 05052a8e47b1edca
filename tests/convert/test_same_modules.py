import pytest
import torch
from detector_logits import assert_same, logits_of
from torch import nn
from yolov5_tree import OFFICIAL_LAYERS, PATCHED_LAYERS, PATCHED_SMALL_LAYERS, UPSAMPLE, yolov5_checkpoint

from mbv3zoo.convert.convert import load_yolov5


def test_an_activation_that_only_the_code_knows(tmp_path):
    """Trees set Conv's default activation in the code, and the layer list says nothing of it."""

    def relu(model):
        for module in model.modules():
            if isinstance(getattr(module, 'act', None), nn.SiLU):
                module.act = nn.LeakyReLU(0.1)

    yolov5_checkpoint(tmp_path / 'best.pt', OFFICIAL_LAYERS, change=relu)
    detector = load_yolov5(tmp_path / 'best.pt').detector
    assert detector.config.activation == 'nn.LeakyReLU(0.1)'
    yolov5_checkpoint(tmp_path / 'said.pt', {**OFFICIAL_LAYERS, 'activation': 'nn.LeakyReLU(0.1)'}, change=relu)
    assert_same(logits_of(detector), logits_of(load_yolov5(tmp_path / 'said.pt').detector))

    def mixed(model):
        model.model[0].act = nn.ReLU()

    yolov5_checkpoint(tmp_path / 'mixed.pt', OFFICIAL_LAYERS, change=mixed)
    with pytest.raises(ValueError, match=r'mixed.pt: .*several activations, nn.ReLU\(\), nn.SiLU\(\)'):
        load_yolov5(tmp_path / 'mixed.pt')


def _pool(model):
    model.model[9].m = nn.MaxPool2d(3, 1, 1)


def _no_shortcut(model):
    for block in model.model[2].m:
        block.add = False


def _bilinear(model):
    model.model[11].mode = 'bilinear'


def _stride(model):
    model.model[1].conv.stride = (1, 1)


def _swish(model):
    model.model[0].model[0].activation = nn.SiLU()


def _network_stride(model):
    model.model[0].model[0].conv.stride = (1, 1)


@pytest.mark.parametrize(
    ('layers', 'change', 'words'),
    [
        (OFFICIAL_LAYERS, _pool, r'row 9 \(SPPF\): a MaxPool2d of it has .*\(3, 3\).* says .*\(5, 5\)'),
        (
            OFFICIAL_LAYERS,
            _no_shortcut,
            r'row 2 \(C3\): its bottlenecks add their input: \[False\], by the list \[True\]',
        ),
        (OFFICIAL_LAYERS, _bilinear, r'row 11 \(nn.Upsample\): a Upsample of it has .*bilinear.* says .*nearest'),
        (OFFICIAL_LAYERS, _stride, r'row 1 \(Conv\): a Conv2d of it has .*\(1, 1\)'),
        (PATCHED_LAYERS, _swish, 'the activations of its network are not those'),
        (PATCHED_LAYERS, _network_stride, 'the network: a Conv2d of it has'),
    ],
)
def test_modules_that_are_not_what_the_layer_list_says(tmp_path, layers, change, words):
    yolov5_checkpoint(tmp_path / 'best.pt', layers, change=change)
    with pytest.raises(ValueError, match=f'best.pt: {words}'):
        load_yolov5(tmp_path / 'best.pt')


# A few layers of each kind.
TINY = {
    'nc': 2,
    'depth_multiple': 0.33,
    'width_multiple': 0.25,
    'anchors': [[10, 13, 16, 30], [59, 119, 116, 90]],
    'backbone': [
        [-1, 1, 'Conv', [32, 6, 2, 2]],
        [-1, 1, 'Conv', [32, 3, 2]],
        [-1, 1, 'Conv', [64, 3, 2]],
        [-1, 3, 'C3', [64]],
        [-1, 1, 'Conv', [64, 3, 2]],
        [-1, 1, 'SPPF', [64, 5]],
    ],
    'head': [
        [-1, 1, 'Conv', [64, 1, 1]],
        UPSAMPLE,
        [[-1, 3], 1, 'Concat', [1]],
        [-1, 1, 'C3', [64, False]],
        [[9, 6], 1, 'Detect', ['nc', 'anchors']],
    ],
}


def _of_all(make):
    """Gives every convolution another activation."""

    def change(model):
        for module in model.modules():
            if hasattr(module, 'act'):
                module.act = make()

    return change


def _set(name, **values):
    """Sets attributes of one module."""

    def change(model):
        for key, value in values.items():
            setattr(model.get_submodule(f'model.{name}'), key, value)

    return change


def _no_modules(model):
    for module in model.modules():
        if hasattr(module, 'act'):
            del module.act


def _listed(row, block):
    def change(model):
        part, number = ('backbone', row) if row < 6 else ('head', row - 6)
        rows = [list(one) for one in model.yaml[part]]
        rows[number][2] = block
        model.yaml[part] = rows

    return change


def _own_activation(model):
    """A class that nobody else has."""
    model.model[2].act = type(model.model[2])(1, 1)
    del model.model[2].act.act


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        (_set('2', act=nn.Identity()), r'row 2 \(Conv\): its activations are none, where .* 1 SiLU'),
        (_of_all(nn.Identity), r'row 0 \(Conv\): its activations are none'),
        (_of_all(nn.Softplus), r'row 0 \(Conv\): it holds a Softplus'),
        (_no_modules, r'row 0 \(Conv\): its activations are none'),
        (_own_activation, r'row 2 \(Conv\): '),
        (_set('3', extra=nn.ReLU()), r'row 3 \(C3\): its activations are 1 ReLU, 5 SiLU'),
        (_set('3', norm=nn.InstanceNorm2d(8)), r'row 3 \(C3\): it holds a InstanceNorm2d'),
        (_set('5', pool=nn.AdaptiveAvgPool2d(1)), r'row 5 \(SPPF\): it holds a AdaptiveAvgPool2d'),
        (_set('0.conv', padding_mode='circular'), r'row 0 \(Conv\): a Conv2d of it has .*circular.* says .*zeros'),
        (_set('7', scale_factor=4.0), r'row 7 \(nn.Upsample\): a Upsample of it has .*4.0.* says .*2.0'),
        (_set('7', size=(80, 80)), r'row 7 \(nn.Upsample\): a Upsample of it has'),
        (_set('8', d=2), r'row 8 \(Concat\): it joins maps along dimension 2, by the list 1'),
        (_set('8', f=[-1, 2]), r'row 8 \(Concat\): it takes the rows \[7, 2\], by the list \[7, 3\]'),
        (_set('10', f=[6, 9]), r'row 10 \(Detect\): it takes the rows \[6, 9\], by the list \[9, 6\]'),
        (_set('10.m.0', stride=(2, 2)), r'row 10 \(Detect\): a Conv2d of it has'),
        (_listed(4, 'GhostConv'), r'row 4 \(GhostConv\): it is a Conv'),
        (_listed(9, 'C3Ghost'), r'row 9 \(C3Ghost\): it is a C3'),
        (_listed(9, 'BottleneckCSP'), "row 9 .*unknown block 'BottleneckCSP'"),
        (_listed(0, 'Focus'), 'its first layer, a Focus of 6 tensors, is no block that is known'),
        (_set('0.conv', bias=nn.Parameter(torch.zeros(8))), 'conv.bias is unknown'),
        (lambda model: model.yaml.update(ch=4), r'is \[8, 3, 6, 6\], expected \[8, 4, 6, 6\]'),
        (lambda model: model.yaml.update(depth_multiple=1.0), r'row 3 \(C3\): it holds 5 layers'),
    ],
)
def test_parts_that_do_not_say_the_same(tmp_path, change, words):
    yolov5_checkpoint(tmp_path / 'best.pt', TINY, change=change)
    with pytest.raises(ValueError, match=f'best.pt: .*{words}'):
        load_yolov5(tmp_path / 'best.pt')


@pytest.mark.parametrize(
    ('make', 'expected'),
    [
        (nn.Hardswish, 'nn.Hardswish()'),
        (lambda: nn.ELU(0.5), 'nn.ELU(0.5)'),
        (nn.GELU, 'nn.GELU()'),
        (lambda: nn.GELU(approximate='tanh'), "nn.GELU(approximate='tanh')"),
    ],
)
def test_activations_come_with_their_settings(tmp_path, make, expected):
    yolov5_checkpoint(tmp_path / 'best.pt', TINY, change=_of_all(make))
    config = load_yolov5(tmp_path / 'best.pt').detector.config
    assert config.activation == config.backbone_args['act_layer'] == expected


def test_what_makes_no_difference(tmp_path):
    def change(model):
        model.yaml.update(inplace=False, foo=1, activation='nn.ReLU()')
        model.yaml['head'] = [*model.yaml['head'][:-1], [[-1, -4], 1, 'Detect', ['nc', 'anchors']]]
        model.model[10].f = [-1, -4]
        model.model[3].drop = nn.Dropout2d(0.1)

    yolov5_checkpoint(tmp_path / 'plain.pt', TINY)
    yolov5_checkpoint(tmp_path / 'best.pt', TINY, change=change)
    first, second = (load_yolov5(tmp_path / name).detector for name in ('plain.pt', 'best.pt'))
    assert_same(logits_of(first), logits_of(second))


def test_a_network_without_activation_modules_is_told(tmp_path, caplog):
    def functions(model):
        for module in model.model[0].modules():
            for name in ('activation', 'act1', 'act2'):
                if isinstance(getattr(module, name, None), nn.Module):
                    delattr(module, name)

    yolov5_checkpoint(tmp_path / 'best.pt', PATCHED_SMALL_LAYERS, change=functions)
    load_yolov5(tmp_path / 'best.pt')
    assert 'activations of its network are no modules of torch' in caplog.text
