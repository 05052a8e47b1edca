import numpy as np
import pytest
import torch
import yaml
from detector_logits import logits_of
from yolov5_yamls import ANCHORS, P2, P6, official, patched

from mbv3zoo.config.detector import DEFAULT_ANCHORS
from mbv3zoo.detector import Detector
from mbv3zoo.layer_lists.parse import parse_layer_list
from mbv3zoo.layer_lists.to_config import to_config


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


REVERSED = """anchors:
  - [116,90, 156,198, 373,326]
  - [30,61, 62,45, 59,119]
  - [10,13, 16,30, 33,23]
"""
P6_ANCHORS = P6[P6.index('anchors') : P6.index('backbone')]
P6_REVERSED = '\n'.join(['anchors:', *reversed(P6_ANCHORS.splitlines()[1:])]) + '\n'
IN_DETECT = '[[116,90, 156,198, 373,326], [30,61, 62,45, 59,119], [10,13, 16,30, 33,23]]'


@pytest.mark.parametrize(
    ('text', 'change'),
    [
        (official('n'), (ANCHORS, REVERSED)),
        (official('n'), ('Detect, [nc, anchors]', f'Detect, [nc, {IN_DETECT}]')),
        (patched(), (ANCHORS, REVERSED)),
        (P6, (P6_ANCHORS, P6_REVERSED)),
    ],
    ids=['official', 'in Detect', 'patched', 'P6'],
)
def test_anchors_of_the_coarsest_stride_first(build, text, change, caplog):
    expected = build(text).config
    assert not caplog.records and change[0] in text
    assert build(text.replace(*change)).config == expected
    (said,) = [record.message for record in caplog.records]
    assert 'my.yaml: its anchors' in said and 'in reverse order, as YOLOv5 does' in said


def test_an_image_size_that_does_is_named(build):
    detector = build(P6, device='cpu').eval()
    with pytest.raises(ValueError, match=r'image_size is \(96, 96\), .* multiples of 64; give \(128, 128\)'):
        detector.predict(np.zeros((90, 90, 3), np.uint8), image_size=96)
    detector.predict(np.zeros((90, 90, 3), np.uint8), image_size=128)


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        (('[nc, anchors]', '[3, anchors]'), 'nc is 80, and Detect has 3 classes'),
        (('[[17, 20, 23], 1, Detect', '[[17, 20, 23], 2, Detect'), r'row 24 \(Detect\): number must be 1, given 2'),
        (('[[17, 20, 23], 1', '[[23, 20, 17], 1'), r'strides \[32, 16, 8\]; expected each once, finest first; reorder'),
        (('[[17, 20, 23], 1', '[[17, 20, 20], 1'), r'strides \[8, 16, 16\]; expected each once'),
        ((ANCHORS, 'anchors: [[10,13], [116,90]]\n'), 'anchors must hold 3 lists of equal length'),
    ],
)
def test_a_detect_row_that_does_not_fit(build, change, words):
    assert change[0] in official()
    with pytest.raises(ValueError, match=f'my.yaml: .*{words}'):
        build(official().replace(*change))


def test_a_list_of_two_levels_with_the_coarsest_first(build, caplog):
    text = official().replace(ANCHORS, 'anchors: [[60,40], [12,12]]\n').replace('[[17, 20, 23], 1', '[[20, 23], 1')
    detector = build(text)
    assert detector.strides == (16, 32) and detector.config.anchors == (((12, 12),), ((60, 40),))
    assert 'in reverse order' in caplog.text
