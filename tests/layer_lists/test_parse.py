import pytest
import torch
import yaml
from detector_logits import logits_of
from yolov5_yamls import P2, P6, official, patched

import mbv3zoo
from mbv3zoo.config.detector import DEFAULT_ANCHORS
from mbv3zoo.detector import Detector
from mbv3zoo.layer_lists.parse import parse_layer_list, to_config
from mbv3zoo.models.layer_lists.blocks import block_names
from mbv3zoo.zoo.configs import load_config


@pytest.fixture
def build(tmp_path):
    """A function from a file's text to its detector, without storage unless asked otherwise."""

    def from_text(text, **settings):
        (tmp_path / 'my.yaml').write_text(text, encoding='utf-8')
        return mbv3zoo.create_detector(tmp_path / 'my.yaml', **{'device': 'meta', **settings})

    return from_text


def parameters(detector):
    return sum(parameter.numel() for parameter in detector.parameters())


@pytest.mark.parametrize(
    ('size', 'expected'), [('n', 1872157), ('s', 7235389), ('m', 21190557), ('l', 46563709), ('x', 86749405)]
)
def test_the_official_sizes(build, size, expected):
    detector = build(official(size))
    # What YOLOv5 publishes of them.
    assert parameters(detector) == expected
    config = detector.config
    assert config.backbone == f'cspdarknet_v6_{size}' and config.neck == 'pan' and detector.strides == (8, 16, 32)
    assert config.anchors == DEFAULT_ANCHORS and config.num_classes == 80 and config.image_size == (640, 640)
    # YOLOv5 takes pictures in 0..1 as they are.
    assert config.mean == (0, 0, 0) and config.std == (1, 1, 1)


def test_rows_with_a_name_compute_the_same_as_rows():
    """The same weights in the registered backbone and PAN, and in rows."""
    layers = parse_layer_list(yaml.safe_load(official('n', 3)), 'my.yaml')
    torch.manual_seed(0)
    named, rows = (Detector(to_config(layers, 'my.yaml', named)).eval() for named in (True, False))
    assert named.config.neck == 'pan' and rows.config.backbone == 'yolov5_layers'
    assert parameters(named) == parameters(rows)
    own = rows.backbone.model.model.graph.layers
    stages = named.backbone.model
    with torch.no_grad():
        own['0'].load_state_dict(stages['stem_conv1'].state_dict())
        for i in range(4):
            stage = stages[f'stages_{i}']
            own[str(2 * i + 1)].load_state_dict(stage.conv_down.state_dict())
            c3 = own[str(2 * i + 2)]
            half = c3.conv1.conv.out_channels
            for tensor, first, second in zip(
                stage.conv_exp.state_dict().values(),
                c3.conv1.state_dict().values(),
                c3.conv2.state_dict().values(),
                strict=True,
            ):
                if tensor.dim():
                    first.copy_(tensor[:half])
                    second.copy_(tensor[half:])
            c3.conv3.load_state_dict(stage.conv_transition.state_dict())
            for j, block in enumerate(c3.blocks):
                block.conv1.load_state_dict(stage.blocks[j].conv1.state_dict())
                block.conv2.load_state_dict(stage.blocks[j].conv2.state_dict())
        own['9'].load_state_dict(named.neck.sppf.state_dict())
        pan = {10: 'lateral5', 13: 'top_down4', 14: 'lateral4', 17: 'top_down3', 18: 'down3', 20: 'bottom_up4'}
        for number, name in (pan | {21: 'down4', 23: 'bottom_up5'}).items():
            rows.neck.layers[str(number)].load_state_dict(getattr(named.neck, name).state_dict())
        rows.head.load_state_dict(named.head.state_dict())
    for first, second in zip(logits_of(named), logits_of(rows), strict=True):
        torch.testing.assert_close(first, second, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ('text', 'strides', 'backbone', 'expected'),
    [
        (P2, (4, 8, 16, 32), 'cspdarknet_v6_n', None),
        (P6, (8, 16, 32, 64), 'yolov5_layers', 3246940),
        (patched(), (8, 16, 32), 'mbv3_yolo_large', None),
        (patched('MobileNetV3Small'), (8, 16, 32), 'mbv3_yolo_small', None),
        (patched('resnet18.a1_in1k'), (8, 16, 32), 'resnet18.a1_in1k', None),
        (patched('vit_tiny_patch16_224'), (8, 16, 32), 'vit_tiny_patch16_224', None),
    ],
    ids=['P2', 'P6', 'patched', 'small', 'resnet18', 'vit'],
)
def test_other_files(build, text, strides, backbone, expected):
    detector = build(text)
    assert detector.strides == strides and detector.config.backbone == backbone
    assert len(detector.config.anchors) == len(strides) and detector.head.num_anchors == 3
    assert expected in (None, parameters(detector))
    logits = detector(torch.empty(2, 3, 640, 640, device='meta'))
    assert [tuple(level.shape) for level in logits] == [(2, 3, 640 // s, 640 // s, 85) for s in strides]


def test_both_wirings(build):
    as_written, as_official = build(patched(lateral=5)), build(patched(lateral=6))
    # As such files are written, the last C3 sees the SPPF's 256 channels and not the 128 of the 1x1 convolution.
    c3 = as_written.neck.layers['19']
    assert c3.conv1.conv.in_channels == 128 + 256
    assert as_official.config.neck == 'pan' and as_official.neck.bottom_up5.conv1.conv.in_channels == 128 + 128
    assert parameters(as_written) - parameters(as_official) == 2 * 128 * 128


def test_a_network_takes_arguments_for_timm(build):
    detector = build(patched('resnet18', '[{output_stride: 32, act_layer: gelu}]'))
    assert detector.config.backbone_args == {'output_stride': 32, 'act_layer': 'gelu'}
    assert any(type(module).__name__ == 'GELU' for module in detector.backbone.modules())


def test_settings_come_before_the_file(build):
    names = ['a', 'b']
    detector = build(official('n'), class_names=names, image_size=320, width_multiple=0.5, in_chans=1)
    config = detector.config
    assert config.class_names == ('a', 'b') and config.image_size == (320, 320) and config.in_chans == 1
    # n's depth and s's width are s.
    assert config.backbone == 'cspdarknet_v6_s' and detector.neck.out_channels == [128, 256, 512]
    other = build(official('n'), depth_multiple=0.7)
    assert other.config.backbone == 'yolov5_layers'
    assert len(other.backbone.model.model.graph.layers['6'].blocks) == round(9 * 0.7)
    assert len(other.neck.layers['13'].blocks) == 2


def edited(old, new, text=None):
    text = text or official('n', 3)
    assert old in text
    return text.replace(old, new, 1)


@pytest.mark.parametrize(
    ('old', 'new'),
    [
        ('[-1, 3, C3, [128]]', '[-1, 3, C3Ghost, [128]]'),
        ('[-1, 1, Conv, [256, 3, 2]],  # 3', '[-1, 1, DWConv, [256, 3, 2]],  # 3'),
        ('[-1, 1, Conv, [256, 3, 2]],  # 3', '[-1, 1, GhostConv, [256, 3, 2]],  # 3'),
        ('[-1, 6, C3, [256]]', '[-1, 6, Bottleneck, [256]]'),
        ('[-1, 1, SPPF, [1024, 5]]', '[-1, 1, SPP, [1024, [5, 9, 13]]]'),
        ('[-1, 1, SPPF, [1024, 5]]', '[-1, 1, SPPF, [1024, 3]]'),
        ('[-1, 6, C3, [256]]', '[-1, 2, C3, [192]]'),
        ("nn.Upsample, [None, 2, 'nearest']", "Upsample, [None, 2, 'bilinear']"),
        ('[-1, 3, C3, [512, False]],  # 13', '[-1, 3, C3, [512, False, 2, 0.25]],  # 13'),
        ('[-1, 1, Conv, [256, 1, 1]]', '[-1, 1, Conv, [256, 1, 1, None, 1, 1, False]]'),
        ('[[-1, 4], 1, Concat, [1]]', '[[-1, 4, -1], 1, Concat, [1]]'),
        ('[17, 20, 23]', '[4, 20, 23]'),
    ],
)
def test_edited_files(build, old, new):
    detector = build(edited(old, new), device='cpu')
    assert detector.strides == (8, 16, 32)
    logits = detector(torch.rand(2, 3, 64, 64))
    sum(level.sum() for level in logits).backward()
    # Where Detect takes row 4, what led to row 17 is still needed for the rows behind it.
    assert all(parameter.grad is not None for parameter in detector.parameters())


@pytest.mark.parametrize('attention', ['SE, [256]', 'CBAM, []', 'ECA, [256]', 'CoordAtt, [256, 32]', 'SE, [256, 8]'])
@pytest.mark.parametrize('place', ['backbone', 'head'])
def test_attention_dropped_in(build, attention, place):
    """A row more shifts all numbers behind it, as it does in YOLOv5."""
    data = yaml.safe_load(official('n', 3))
    name, args = attention.split(', ', 1)
    row = [-1, 1, name, yaml.safe_load(args)]

    def shifted(rows, after):
        for source, *rest in rows:
            many = source if isinstance(source, list) else [source]
            moved = [s + 1 if s >= after else s for s in many]
            yield [moved if isinstance(source, list) else moved[0], *rest]

    if place == 'backbone':
        # After the C3 of stride 8, which the neck then takes with attention.
        data['backbone'] = [*data['backbone'][:5], row, *shifted(data['backbone'][5:], 5)]
        data['head'] = list(shifted(data['head'], 4))
    else:
        data['head'] = [*data['head'][:8], row, *shifted(data['head'][8:], 17)]
    detector = build(yaml.safe_dump(data), device='cpu')
    added = 5 if place == 'backbone' else 18
    graph = detector.backbone.model.model.graph if place == 'backbone' else detector.neck
    assert graph.rows.rows[added - graph.rows.first].block == name
    assert detector.strides == (8, 16, 32)
    assert all(torch.isfinite(level).all() for level in logits_of(detector))


def test_an_activation_for_all_layers(build):
    detector = build('activation: nn.LeakyReLU(0.1)\n' + official('n', 3))
    acts = {type(module).__name__ for module in detector.modules()}
    assert 'LeakyReLU' in acts and 'SiLU' not in acts
    slopes = {module.negative_slope for module in detector.modules() if isinstance(module, torch.nn.LeakyReLU)}
    assert slopes == {0.1}
    assert build('activation: nn.SiLU()\n' + official('n', 3)).config.backbone == 'cspdarknet_v6_n'


def test_saved_and_loaded_again(build, tmp_path):
    for i, text in enumerate((P6, patched(), 'activation: nn.LeakyReLU(0.1)\n' + official('n', 3))):
        detector = build(text, device='cpu', num_classes=2, image_size=64).eval()
        detector.save_pretrained(tmp_path / str(i))
        loaded = mbv3zoo.Detector.from_pretrained(tmp_path / str(i))
        assert loaded.config == detector.config
        expected = logits_of(detector)
        for first, second in zip(expected, logits_of(loaded), strict=True):
            assert torch.equal(first, second)
        for first, second in zip(expected, logits_of(loaded.fuse()), strict=True):
            torch.testing.assert_close(first, second, rtol=0, atol=1e-4)


def test_frozen_and_grouped_like_any_other(build):
    detector = build(P6).freeze_backbone(3)
    frozen = {name.split('.')[5] for name, p in detector.backbone.named_parameters('x') if not p.requires_grad}
    learning = {name.split('.')[5] for name, p in detector.backbone.named_parameters('x') if p.requires_grad}
    assert frozen == {'0', '1', '2', '3'} and not frozen & learning
    matcher = detector.group_matcher()
    order = [matcher(f'backbone.model.model.graph.layers.{n}.conv.weight')[0] for n in (0, 1, 3, 5)]
    assert order == sorted(order) and len(set(order)) == 4


@pytest.mark.parametrize(
    ('old', 'new', 'words'),
    [
        ('[[-1, 6], 1,', '[[-1, 4], 1,', ['row 12 (Concat)', 'row 11 (128 x 40 x 40)', 'row 4 (64 x 80 x 80)']),
        ('[-1, 1, SPPF, [1024, 5]]', '[-1, 1, SPFF, [1024, 5]]', ['row 9 (SPFF', "unknown block 'SPFF'", 'SPPF, SPP?']),
        ('[-1, 1, Conv, [512, 1, 1]]', '[-1, 1, Conv, []]', ['row 10 (Conv', 'number of output channels']),
        ('[-1, 1, Conv, [512, 1, 1]]', "[-1, 1, Conv, ['a']]", ['row 10 (Conv', 'number of output channels']),
        ('[-1, 3, C3, [512, False]],  # 13', '[-1, 3, C3, [512, 1, 2, 3, 4, 5]],', ['row 13 (C3', '256 x 40 x 40']),
        ('[[-1, 6], 1,', '[[-1, 40], 1,', ['row 12 (Concat)', 'row 40, which gives no map']),
        ('[[-1, 6], 1,', '[[-1, 12], 1,', ['row 12 (Concat)', 'row 12, which gives no map']),
        ('[-1, 1, Conv, [256, 1, 1]]', '[[-1, 6], 1, Conv, [256, 1, 1]]', ['row 14 (Conv', 'takes one map, given 2']),
        ('[17, 20, 23]', '[23, 20, 17]', ['[32, 16, 8]', 'each once, finest first']),
        ('[17, 20, 23]', '[17, 20, 20]', ['[8, 16, 16]', 'each once']),
        ('[17, 20, 23]', '[17, 20]', ['anchors must hold 2 lists']),
        ('Detect, [nc, anchors]', 'Segment, [nc, anchors, 32, 256]', ['Segment', 'not supported']),
        ('[-1, 1, SPPF, [1024, 5]]', '[[4, 6, 8], 1, Detect, [nc, anchors]]', ['row 9 (Detect) must be the last row']),
        (
            '[-1, 1, Conv, [128, 3, 2]]',
            '[-1, 1, Conv, [128, [1, 3], 2]]',
            ['row 1 (Conv', 'one whole number', '[1, 3]'],
        ),
        (
            '[-1, 1, Conv, [128, 3, 2]]',
            '[-1, 1, Conv, [128, 3, 3]]',
            ['row 4 gives a map of', 'whole number of pixels'],
        ),
        ('Detect, [nc, anchors]', 'Conv, [64]', ['last row must be Detect, given Conv']),
        ('Detect, [nc, anchors]', 'Detect, [nc, anchors, 1]', ['Detect takes [nc, anchors]']),
        ('[-1, 3, C3, [128]]', '[-1, 3, C3]', ['row 2 must be [from, number, module, args]']),
        ('[-1, 3, C3, [128]]', '[x, 3, C3, [128]]', ['row 2 (C3)', "given 'x'"]),
        ('[-1, 3, C3, [128]]', '[-1, 0, C3, [128]]', ['row 2 (C3)', 'number must be 1 or more']),
        ('[-1, 3, C3, [128]]', '[-1, 3, C3, 128]', ['row 2 (C3)', 'args must be a list']),
        ('[-1, 3, C3, [128]]', '[-9, 3, C3, [128]]', ['row 2 (C3)', 'before the picture']),
        ('[-1, 3, C3, [128]]', '[-1, 3, C3, [nc*2]]', ['row 2 (C3)', "'nc*2'", 'not a plain value']),
        ('[-1, 3, C3, [128]]', '[-1, 3, C3, [99999]]', ['row 2 (C3)', 'at most 16384']),
        ('nc: 3', 'nc: many', ['num_classes', "'many'"]),
        ('nc: 3\n', '', ["needs 'nc'"]),
        ('nc: 3', 'nc: 3\nscales: {}', ['YOLOv8']),
        ('nc: 3', 'nc: 3\nflip: 1', ['unknown key flip', 'depth_multiple']),
        ('nc: 3', 'nc: 3\nactivation: []', ['activation', 'valid string']),
        ('nc: 3', 'nc: 3\nactivation: false', ['activation', 'valid string']),
        ('nc: 3', 'nc: 3\nactivation: nn.Sily()', ['nn.Sily()', 'nn.LeakyReLU(0.1)']),
        ('[10,13, 16,30, 33,23]', '[10,13, 16,30, 33]', ['anchors', 'width, height']),
        ('depth_multiple: 0.33', 'depth_multiple: deep', ['depth_multiple', "'deep'"]),
    ],
)
def test_mistakes_name_the_file_and_the_row(build, old, new, words):
    with pytest.raises(ValueError) as caught:
        build(edited(old, new))
    message = str(caught.value)
    assert all(word in message for word in ['my.yaml', *words]), message


def test_more_mistakes(build):
    with pytest.raises(ValueError, match=r'row 12 \(Concat\).* from row 13, which gives no map'):
        build(patched().replace('[[-1, 2], 1', '[[-1, 13], 1'))
    with pytest.raises(ValueError, match='row 0 .* whole network: its args must be'):
        build(patched('resnet18', '[3]'))
    with pytest.raises(ValueError, match=r'Row 0 \(MobileNetV9\) counts as one row; a whole network is a timm model'):
        build(patched('MobileNetV9'))
    with pytest.raises(ValueError, match=r'image_size must be multiples of 64|multiples of the coarsest stride'):
        build(P6, image_size=416)


ATTACK = "__import__('os').system('touch hit')"


@pytest.mark.parametrize('attack', [ATTACK, 'os.system("touch hit")', '(lambda: 1)()', '[].__class__', 'exit()'])
@pytest.mark.parametrize(
    'place', ['nc: {}', 'from', 'number', 'module', 'args', 'activation: {}', 'depth_multiple: {}', 'anchors: {}']
)
def test_nothing_is_evaluated(build, tmp_path, monkeypatch, attack, place):
    monkeypatch.chdir(tmp_path)
    data = yaml.safe_load(official('n', 3))
    if ':' in place:
        data[place.partition(':')[0]] = attack
    else:
        index = ['from', 'number', 'module', 'args'].index(place)
        data['backbone'][2][index] = [attack] if place == 'args' else attack
    with pytest.raises(ValueError, match='my.yaml'):
        build(yaml.safe_dump(data))
    assert [path.name for path in tmp_path.iterdir()] == ['my.yaml']


def test_a_file_may_hold_every_kind_of_plain_value(tmp_path):
    data = yaml.safe_load(official('n', 3))
    data['head'][1][3] = ['None', '2', "'nearest'"]
    parsed = parse_layer_list(data, 'my.yaml')
    assert parsed.rows[11].args == (None, 2, 'nearest')
    (tmp_path / 'my.yaml').write_text(yaml.safe_dump(data), encoding='utf-8')
    assert load_config(tmp_path / 'my.yaml').neck == 'pan'


def test_the_table_of_blocks():
    wanted = 'Conv DWConv Bottleneck C3 C3Ghost GhostConv SPP SPPF Concat Upsample nn.Upsample'
    assert set(wanted.split()) <= set(block_names())


def test_a_file_has_no_say_in_where_weights_come_from(build):
    for args in (
        '[{checkpoint_path: /tmp/a.pth}]',
        '[{pretrained: true}]',
        '[{out_indices: [1]}]',
        '[{name: a}]',
        '[{image_size: 64}]',
    ):
        with pytest.raises(ValueError, match=r'my.yaml: row 0 \(resnet18\) sets .* which it has no say in'):
            build(patched('resnet18', args))


def test_rows_of_too_many_parameters_are_told_before_they_take_memory(build):
    with pytest.raises(ValueError, match=r'my.yaml: row 1 \(Conv, .*parameters of the rows up to it, expected at most'):
        build(edited('[-1, 1, Conv, [128, 3, 2]]', '[-1, 1, Conv, [128, 9999, 2]]'), device='cpu')


def test_an_empty_key_is_a_missing_one(build):
    text = official('n', 3)
    start, end = text.index('anchors:'), text.index('backbone:')
    assert build(text[:start] + 'anchors:\n' + text[end:]).config.anchors == DEFAULT_ANCHORS
