import pytest
import torch
import yaml
from detector_logits import logits_of
from yolov5_yamls import P6, official, patched

import mbv3zoo
from mbv3zoo.config.detector import DEFAULT_ANCHORS
from mbv3zoo.layer_lists.parse import parse_layer_list
from mbv3zoo.models.layer_lists.blocks import block_names
from mbv3zoo.zoo.configs import load_config


def test_a_network_takes_arguments_for_timm(build):
    detector = build(patched('resnet18', '[{output_stride: 32, act_layer: gelu}]'))
    assert detector.config.backbone_args == {'output_stride': 32, 'act_layer': 'gelu'}
    assert any(type(module).__name__ == 'GELU' for module in detector.backbone.modules())


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
        ('nc: 3', 'nc: 3\nactivation: []', ['activation', 'expected a string']),
        ('nc: 3', 'nc: 3\nactivation: false', ['activation', 'expected a string']),
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
        with pytest.raises(ValueError, match=r'my.yaml: row 0 \(resnet18\) sets .* which a config file may not set'):
            build(patched('resnet18', args))


def test_rows_of_too_many_parameters_are_told_before_they_take_memory(build):
    with pytest.raises(ValueError, match=r'my.yaml: row 1 \(Conv, .*parameters of the rows up to it, expected at most'):
        build(edited('[-1, 1, Conv, [128, 3, 2]]', '[-1, 1, Conv, [128, 9999, 2]]'), device='cpu')


def test_an_empty_key_is_a_missing_one(build):
    text = official('n', 3)
    start, end = text.index('anchors:'), text.index('backbone:')
    assert build(text[:start] + 'anchors:\n' + text[end:]).config.anchors == DEFAULT_ANCHORS
