import json

import torch
from torch import nn

from mbv3zoo.config.detector import DetectorConfig
from mbv3zoo.config.license_record import LicenseRecord
from mbv3zoo.create import create_detector
from mbv3zoo.info.describe import Cost, cost, describe
from mbv3zoo.info.exported import describe_exported


def operations_by_hand(detector, height, width):
    """Two for each multiply-add of each convolution and linear layer, from the shapes that pass through."""
    total = 0

    def add(module, args, output):
        nonlocal total
        if isinstance(module, nn.Conv2d):
            inputs = module.in_channels // module.groups * module.kernel_size[0] * module.kernel_size[1]
        else:
            inputs = module.in_features
        total += 2 * output.numel() * inputs

    for module in detector.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            module.register_forward_hook(add)
    with torch.no_grad():
        detector.eval()(torch.zeros(1, detector.config.in_chans, height, width))
    return total


def test_cost():
    for name in ('mbv3_yolo_small', 'resnet18'):
        detector = create_detector(name, num_classes=3, image_size=(64, 96))
        parameters = sum(parameter.numel() for parameter in detector.parameters())
        expected = Cost(parameters, operations_by_hand(detector, 64, 96))
        assert cost(name, num_classes=3, image_size=(64, 96)) == cost(detector.config) == expected


def test_cost_grows_with_the_picture_but_parameters_do_not():
    small, large = (cost('mbv3_yolo_small', num_classes=3, image_size=size) for size in (64, 128))
    assert small.parameters == large.parameters
    # Not quite four times: squeeze-and-excite works on one value a channel.
    assert 3.5 * small.operations < large.operations < 4 * small.operations


def table(name):
    rows = (line.strip().split('  ', 1) for line in describe(name).splitlines())
    return {key: value.strip() for key, value in rows}


def test_describe():
    config = DetectorConfig(backbone='mbv3_yolo_large', class_names=['cat', 'dog'], image_size=(64, 96))
    parameters, operations = cost(config)
    rows = table(config)
    assert rows['backbone'] == 'mbv3_yolo_large' and rows['classes'] == '2: cat, dog'
    assert rows['channels'] == '[40, 112, 960] at strides [8, 16, 32]' and rows['image size'] == '64 x 96'
    assert rows['neck'] == 'PAN, to [64, 128, 256], depth 0.33, width 0.25'
    assert rows['head'] == 'plain, 3 anchors a cell'
    assert rows['mean, std'] == '[0.5, 0.5, 0.5], [0.5, 0.5, 0.5]'
    assert rows['parameters'] == f'{parameters / 1e6:.2f} M'
    assert rows['operations'] == f'{operations / 1e9:.2f} GFLOPs'


def test_describe_cuts_many_classes_short():
    text = describe('mbv3_yolo_small')
    assert '80: 0, 1, 2' in text and '19, ...' in text and ' 20' not in text


def test_cost_in_half_precision():
    assert cost('resnet18', image_size=64, dtype=torch.float16) == cost('resnet18', image_size=64)


def test_describe_says_what_the_backbone_takes_unless_arguments_may_change_it():
    assert table(DetectorConfig(backbone='test_vit', image_size=64))['sizes'] == 'any'
    other = DetectorConfig(backbone='test_vit', image_size=64, backbone_args={'dynamic_img_size': False})
    assert 'sizes' not in table(other)


def test_describe_tells_the_licences_of_what_pretrained_loads():
    rows = table(DetectorConfig(backbone='convnextv2_atto', image_size=64))
    assert rows['licence'] == 'cc-by-nc-4.0 (the weights as a whole)'
    assert rows['code'] == 'apache-2.0, mbv3zoo' and rows['data'] == 'unknown, not recorded'
    assert rows['backbone weights'] == 'cc-by-nc-4.0, timm/convnextv2_atto.fcmae_ft_in1k'
    assert rows['imported weights'] == 'none'
    assert table('mbv3_yolo_small')['licence'] == 'apache-2.0 (the weights as a whole)'
    assert table('res2net50_26w_4s')['licence'] == 'unknown (the weights as a whole)'


def test_describe_tells_the_licences_that_a_config_records():
    licenses = {'backbone': 'mit', 'imported': {'license': 'agpl-3.0', 'source': 'yolov5n'}, 'data': ['mit', 'cc0-1.0']}
    text = describe(DetectorConfig(backbone='convnextv2_atto', image_size=64, licenses=licenses))
    lines = [' '.join(line.split()) for line in text.splitlines()]
    assert lines[-6:] == [
        'licence agpl-3.0 (the weights as a whole)',
        'code apache-2.0, mbv3zoo',
        'backbone weights mit',
        'imported weights agpl-3.0, yolov5n',
        'data mit',
        'data cc0-1.0',
    ]


def test_describe_tells_the_licences_of_saved_weights(tmp_path):
    config = DetectorConfig(backbone='mbv3_yolo_small', num_classes=1, image_size=32)
    detector = create_detector(config)
    licenses = LicenseRecord(backbone='mit', imported='none', data={'license': 'cc-by-nc-4.0', 'source': 'team/cats'})
    detector.config = detector.config.model_copy(update={'licenses': licenses})
    detector.save_pretrained(tmp_path)
    rows = table(tmp_path)
    assert rows['licence'] == 'cc-by-nc-4.0 (the weights as a whole)'
    assert rows['backbone weights'] == 'mit' and rows['data'] == 'cc-by-nc-4.0, team/cats'


def test_describe_tells_the_licence_that_a_timm_repository_gives(tmp_path):
    config = {'architecture': 'resnet18', 'pretrained_cfg': {'license': 'cc-by-nc-4.0', 'num_classes': 10}}
    (tmp_path / 'config.json').write_text(json.dumps(config))
    assert table(f'local-dir:{tmp_path}')['backbone weights'] == f'cc-by-nc-4.0, {tmp_path}'


def test_describe_takes_an_exported_file(exported):
    path = exported('onnx')
    assert describe(path) == describe_exported(path)
