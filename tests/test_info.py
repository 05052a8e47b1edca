import torch
from torch import nn

from mbv3zoo.config import DetectorConfig
from mbv3zoo.detector import create_detector
from mbv3zoo.info import Cost, cost, describe


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


def test_describe():
    config = DetectorConfig(backbone='mbv3_yolo_large', class_names=['cat', 'dog'], image_size=(64, 96))
    text = describe(config)
    parameters, operations = cost(config)
    rows = dict(line.split('  ', 1) for line in text.splitlines())
    rows = {key.strip(): value.strip() for key, value in rows.items()}
    assert rows['backbone'] == 'mbv3_yolo_large' and rows['classes'] == '2: cat, dog'
    assert rows['channels'] == '[40, 112, 960] at strides [8, 16, 32]' and rows['image size'] == '64 x 96'
    assert rows['neck'] == '[64, 128, 256], depth 0.33, width 0.25'
    assert rows['mean, std'] == '[0.5, 0.5, 0.5], [0.5, 0.5, 0.5]'
    assert rows['parameters'] == f'{parameters / 1e6:.2f} M'
    assert rows['operations'] == f'{operations / 1e9:.2f} GFLOPs'


def test_describe_cuts_many_classes_short():
    text = describe('mbv3_yolo_small')
    assert '80: 0, 1, 2' in text and '19, ...' in text and ' 20' not in text


def test_cost_in_half_precision():
    assert cost('resnet18', image_size=64, dtype=torch.float16) == cost('resnet18', image_size=64)


def test_describe_says_what_the_backbone_takes_unless_arguments_may_change_it():
    assert 'sizes       any' in describe(DetectorConfig(backbone='test_vit', image_size=64))
    other = DetectorConfig(backbone='test_vit', image_size=64, backbone_args={'dynamic_img_size': False})
    assert 'sizes' not in describe(other)
    assert 'licence     apache-2.0' in describe(other)
