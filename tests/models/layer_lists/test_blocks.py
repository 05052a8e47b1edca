import pytest
import torch
from torch import nn
from yolov5_yamls import official

import mbv3zoo
from mbv3zoo.config.layer_rows import LayerRow, LayerRows
from mbv3zoo.models.layer_lists import blocks
from mbv3zoo.models.layer_lists.blocks import block_names, build_block, find_block, register_block
from mbv3zoo.models.layer_lists.layer_graph import LayerGraph, MapShape


def built(name, channels, *args, repeats=1, depth=1.0, width=1.0, act='silu'):
    return build_block(find_block(name), channels, repeats, args, depth, width, act).eval()


@pytest.mark.parametrize(
    ('name', 'args', 'expected'),
    [
        ('Conv', (16,), (16, 8, 8)),
        ('Conv', (16, 3, 2), (16, 4, 4)),
        ('Conv', (16, 6, 2, 2), (16, 4, 4)),
        ('Conv', (16, 3, 1, None, 8, 2), (16, 8, 8)),
        ('DWConv', (16, 3, 2), (16, 4, 4)),
        ('GhostConv', (16, 3, 2), (16, 4, 4)),
        ('Bottleneck', (8,), (8, 8, 8)),
        ('GhostBottleneck', (16, 3, 2), (16, 4, 4)),
        ('C3', (16,), (16, 8, 8)),
        ('C3Ghost', (16, False), (16, 8, 8)),
        ('SPP', (16, [3, 5]), (16, 8, 8)),
        ('SPPF', (16, 5), (16, 8, 8)),
        ('Upsample', (None, 2, 'nearest'), (8, 16, 16)),
        ('nn.Upsample', (None, 2, 'bilinear'), (8, 16, 16)),
        ('nn.MaxPool2d', (2, 2, 0), (8, 4, 4)),
        ('nn.ZeroPad2d', ([0, 1, 0, 1],), (8, 9, 9)),
        ('nn.BatchNorm2d', (), (8, 8, 8)),
        ('nn.ConvTranspose2d', (16, 2, 2), (16, 16, 16)),
        ('SE', (), (8, 8, 8)),
        ('SE', (8, 4), (8, 8, 8)),
        ('ECA', (8,), (8, 8, 8)),
        ('CBAM', (8, 2), (8, 8, 8)),
        ('CoordAtt', (8,), (8, 8, 8)),
    ],
)
def test_every_block_of_the_table(name, args, expected):
    with torch.no_grad():
        assert built(name, 8, *args)(torch.rand(2, 8, 8, 8)).shape == (2, *expected)


def test_concat():
    maps = [torch.rand(1, 2, 3, 3), torch.rand(1, 4, 3, 3)]
    assert torch.equal(built('Concat', [2, 4], 1)(maps), torch.cat(maps, 1))


def test_attention_squeezes_as_told():
    assert built('SE', 128, 128, 2).fc1.out_channels == 64 and built('SE', 128, 128, 8).fc1.out_channels == 16
    assert built('SE', 128).fc1.out_channels == built('SE', 128, 128, 16).fc1.out_channels == 8


def test_widths_depths_and_repeats_are_scaled():
    assert built('Conv', 8, 64, width=0.25).conv.out_channels == 16
    assert len(built('C3', 8, 8, repeats=9, depth=0.33).blocks) == 3
    repeated = built('Bottleneck', 8, 8, repeats=4, depth=0.5)
    assert isinstance(repeated, nn.Sequential) and len(repeated) == 2
    assert not isinstance(built('Bottleneck', 8, 8, repeats=2, depth=0.1), nn.Sequential)


def test_the_activation_reaches_every_layer():
    for name in ('Conv', 'C3', 'C3Ghost', 'SPPF', 'GhostBottleneck'):
        acts = {type(m).__name__ for m in built(name, 8, 8, act='relu').modules() if 'SiLU' in type(m).__name__}
        assert not acts


class Scale(nn.Module):
    def __init__(self, *args, act='none'):
        super().__init__()
        self.args, self.act = args, act
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, x):
        return (sum(x) if isinstance(x, list) else x) * self.weight


@pytest.mark.parametrize(
    ('kind', 'args', 'expected'),
    [('none', (3,), (3,)), ('in', (3,), (8, 3)), ('in_out', (8, 3), (8, 8, 3))],
)
def test_a_block_of_ones_own_gets_what_it_asked_for(kind, args, expected):
    mbv3zoo.register_block('Scale', Scale, channels=kind)
    assert 'Scale' in block_names()
    block = built('Scale', 8, *args, act='relu')
    assert block.args == expected and block.act == 'relu'


def test_depth_many_functions_and_replacing():
    register_block('Deep', Scale, depth=True)
    assert built('Deep', 8, 16, 'x', repeats=6, depth=0.5, width=0.5).args == (8, 8, 3, 'x')
    register_block('Sum', lambda channels: Scale(channels), channels='in', many=True)
    assert built('Sum', [8, 8]).args == ([8, 8],)
    register_block('Deep', nn.Identity, channels='none')
    assert isinstance(built('Deep', 8), nn.Identity)


def test_a_registered_block_in_a_graph():
    register_block('Sum', lambda channels: Scale(channels), channels='in', many=True)
    rows = LayerRows(rows=(LayerRow(sources=(0, 1), block='Sum'),), first=2, inputs=(0, 1), outputs=(2,))
    graph = LayerGraph(rows, [MapShape(4, 8, 8), MapShape(4, 8, 8)], 1.0, 1.0)
    first, second = torch.rand(1, 4, 8, 8), torch.rand(1, 4, 8, 8)
    torch.testing.assert_close(graph([first, second])[0], first + second)
    # What is built stays as it is when its name comes to mean something else, or nothing.
    register_block('Sum', nn.Identity, channels='none')
    torch.testing.assert_close(graph([first, second])[0], first + second)
    blocks._registered.clear()
    torch.testing.assert_close(graph([first, second])[0], first + second)


def test_names_are_kept_apart():
    for name in ('Conv', 'C3', 'Upsample', 'nn.Upsample', 'Detect', 'Segment'):
        with pytest.raises(ValueError, match=f'cannot register a block as {name!r}'):
            register_block(name, Scale)
    with pytest.raises(ValueError, match="channels is 'out', expected 'none', 'in', 'in_out'"):
        register_block('Scale', Scale, channels='out')
    with pytest.raises(ValueError, match="unknown block 'Cnv'; did you mean .*Conv"):
        find_block('Cnv')
    with pytest.raises(ValueError, match=r'the table has .*SPPF.*register_block'):
        find_block('Zyx')


def test_a_function_that_gives_no_module():
    register_block('Nothing', lambda in_channels, out_channels: None)
    with pytest.raises(TypeError, match='gives a NoneType, expected a torch.nn.Module'):
        built('Nothing', 8, 8)


@pytest.mark.parametrize('args', [(), ('a',), (None,), (True,), (-8,), (2.5,)])
def test_output_channels_must_be_there(args):
    with pytest.raises(TypeError, match='number of output channels'):
        built('Conv', 8, *args)


def test_a_detector_with_a_block_of_ones_own_is_saved_and_loaded(tmp_path):
    class Gate(nn.Module):
        def __init__(self, in_channels, out_channels, kernel_size, act='none'):
            super().__init__()
            assert act == 'relu'
            self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2)

        def forward(self, x):
            return self.conv(x).sigmoid()

    register_block('Gate', Gate)
    text = official('n', 2).replace('[-1, 3, C3, [128]]', '[-1, 1, Gate, [128, 3]]')
    text = text.replace('[-1, 1, Conv, [512, 1, 1]]', '[-1, 1, Gate, [512, 1]]')
    (tmp_path / 'my.yaml').write_text('activation: relu\n' + text, encoding='utf-8')
    detector = mbv3zoo.create_detector(tmp_path / 'my.yaml', image_size=64)
    # In the backbone and in the neck, at n's width.
    gates = [m.conv for m in detector.modules() if type(m) is Gate]
    assert [(gate.in_channels, gate.out_channels) for gate in gates] == [(32, 32), (256, 128)]
    images = torch.rand(2, 3, 64, 64)
    sum(level.square().mean() for level in detector(images)).backward()
    assert all(parameter.grad is not None for parameter in detector.parameters())

    detector.eval().save_pretrained(tmp_path / 'saved')
    loaded = mbv3zoo.Detector.from_pretrained(tmp_path / 'saved')
    with torch.no_grad():
        for own, expected in zip(loaded(images), detector(images), strict=True):
            assert torch.equal(own, expected)

    # Somebody else, who has not registered it, is told what to do.
    blocks._registered.clear()
    with pytest.raises(ValueError, match=r"row 2 \(Gate.* unknown block 'Gate'.*mbv3zoo.register_block"):
        mbv3zoo.Detector.from_pretrained(tmp_path / 'saved')
