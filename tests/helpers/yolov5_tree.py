"""Imitated YOLOv5 trees: checkpoints with the names, shapes and class names of the real ones, written by own code.

The modules have YOLOv5's attributes and no forward; their classes claim to come from `models.common` and
`models.yolo`, which exist only while torch.save runs.
"""

import copy
import math
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from reference_weights import reference_value
from torch import nn

ANCHORS = [[10, 13, 16, 30, 33, 23], [30, 61, 62, 45, 59, 119], [116, 90, 156, 198, 373, 326]]
MULTIPLES = {
    'n': {'depth_multiple': 0.33, 'width_multiple': 0.25},
    's': {'depth_multiple': 0.33, 'width_multiple': 0.50},
    'm': {'depth_multiple': 0.67, 'width_multiple': 0.75},
    'l': {'depth_multiple': 1.00, 'width_multiple': 1.00},
    'x': {'depth_multiple': 1.33, 'width_multiple': 1.25},
}
UPSAMPLE = [-1, 1, 'nn.Upsample', ['None', 2, 'nearest']]
OFFICIAL_LAYERS = {
    'nc': 80,
    **MULTIPLES['n'],
    'anchors': ANCHORS,
    'backbone': [
        [-1, 1, 'Conv', [64, 6, 2, 2]],
        [-1, 1, 'Conv', [128, 3, 2]],
        [-1, 3, 'C3', [128]],
        [-1, 1, 'Conv', [256, 3, 2]],
        [-1, 6, 'C3', [256]],
        [-1, 1, 'Conv', [512, 3, 2]],
        [-1, 9, 'C3', [512]],
        [-1, 1, 'Conv', [1024, 3, 2]],
        [-1, 3, 'C3', [1024]],
        [-1, 1, 'SPPF', [1024, 5]],
    ],
    'head': [
        [-1, 1, 'Conv', [512, 1, 1]],
        UPSAMPLE,
        [[-1, 6], 1, 'Concat', [1]],
        [-1, 3, 'C3', [512, False]],
        [-1, 1, 'Conv', [256, 1, 1]],
        UPSAMPLE,
        [[-1, 4], 1, 'Concat', [1]],
        [-1, 3, 'C3', [256, False]],
        [-1, 1, 'Conv', [256, 3, 2]],
        [[-1, 14], 1, 'Concat', [1]],
        [-1, 3, 'C3', [512, False]],
        [-1, 1, 'Conv', [512, 3, 2]],
        [[-1, 10], 1, 'Concat', [1]],
        [-1, 3, 'C3', [1024, False]],
        [[17, 20, 23], 1, 'Detect', ['nc', 'anchors']],
    ],
}
# One row stands for the feature maps 0..4, so the numbering goes on at 5; the last Concat takes the SPPF's output.
PATCHED_LAYERS = {
    'nc': 80,
    **MULTIPLES['n'],
    'anchors': ANCHORS,
    'backbone': [[-1, 1, 'MobileNetV3', []], [-1, 1, 'SPPF', [1024, 5]]],
    'head': [
        [-1, 1, 'Conv', [512, 1, 1]],
        [-1, 1, 'nn.Upsample', [None, 2, 'nearest']],
        [[-1, 3], 1, 'Concat', [1]],
        [-1, 3, 'C3', [512, False]],
        [-1, 1, 'Conv', [256, 1, 1]],
        [-1, 1, 'nn.Upsample', [None, 2, 'nearest']],
        [[-1, 2], 1, 'Concat', [1]],
        [-1, 3, 'C3', [256, False]],
        [-1, 1, 'Conv', [256, 3, 2]],
        [[-1, 10], 1, 'Concat', [1]],
        [-1, 3, 'C3', [512, False]],
        [-1, 1, 'Conv', [512, 3, 2]],
        [[-1, 5], 1, 'Concat', [1]],
        [-1, 3, 'C3', [1024, False]],
        [[13, 16, 19], 1, 'Detect', ['nc', 'anchors']],
    ],
}
PATCHED_SMALL_LAYERS = PATCHED_LAYERS | {'backbone': [[-1, 1, 'MobileNetV3Small', []], [-1, 1, 'SPPF', [1024, 5]]]}
# A tree of a few layers, for what does not depend on the rest of them.
TINY_LAYERS = {
    'nc': 3,
    'depth_multiple': 1.0,
    'width_multiple': 0.25,
    'anchors': [[8, 9, 20, 30], [40, 30, 61.5, 119.25]],
    'backbone': [[-1, 1, 'Conv', [32, 3, 2]], [-1, 1, 'C3', [64]]],
    'head': [[[0, 1], 1, 'Detect', ['nc', 'anchors']]],
}

# Kernel, expanded channels, out channels, squeeze-and-excitation, activation, stride.
RE, HS = nn.ReLU, nn.Hardswish
LARGE = [
    (3, 16, 16, False, RE, 1),
    (3, 64, 24, False, RE, 2),
    (3, 72, 24, False, RE, 1),
    (5, 72, 40, True, RE, 2),
    (5, 120, 40, True, RE, 1),
    (5, 120, 40, True, RE, 1),
    (3, 240, 80, False, HS, 2),
    (3, 200, 80, False, HS, 1),
    (3, 184, 80, False, HS, 1),
    (3, 184, 80, False, HS, 1),
    (3, 480, 112, True, HS, 1),
    (3, 672, 112, True, HS, 1),
    (5, 672, 160, True, HS, 2),
    (5, 960, 160, True, HS, 1),
    (5, 960, 160, True, HS, 1),
]
SMALL = [
    (3, 16, 16, True, RE, 2),
    (3, 72, 24, False, RE, 2),
    (3, 88, 24, False, RE, 1),
    (5, 96, 40, True, HS, 2),
    (5, 240, 40, True, HS, 1),
    (5, 240, 40, True, HS, 1),
    (5, 120, 48, True, HS, 1),
    (5, 144, 48, True, HS, 1),
    (5, 288, 96, True, HS, 2),
    (5, 576, 96, True, HS, 1),
    (5, 576, 96, True, HS, 1),
]

Fill = Callable[[str, tuple[int, ...]], object]


class Conv(nn.Module):
    def __init__(self, in_channels, out_channels, kernel=1, stride=1, padding=None):
        super().__init__()
        padding = kernel // 2 if padding is None else padding
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(out_channels)
        self.act = nn.SiLU()


class Bottleneck(nn.Module):
    def __init__(self, in_channels, out_channels, shortcut):
        super().__init__()
        self.cv1 = Conv(in_channels, out_channels)
        self.cv2 = Conv(out_channels, out_channels, 3)
        self.add = shortcut and in_channels == out_channels


class C3(nn.Module):
    def __init__(self, in_channels, out_channels, number=1, shortcut=True):
        super().__init__()
        hidden = out_channels // 2
        self.cv1 = Conv(in_channels, hidden)
        self.cv2 = Conv(in_channels, hidden)
        self.cv3 = Conv(2 * hidden, out_channels)
        self.m = nn.Sequential(*(Bottleneck(hidden, hidden, shortcut) for _ in range(number)))


class SPPF(nn.Module):
    def __init__(self, in_channels, out_channels, kernel=5):
        super().__init__()
        self.cv1 = Conv(in_channels, in_channels // 2)
        self.cv2 = Conv(in_channels // 2 * 4, out_channels)
        self.m = nn.MaxPool2d(kernel, 1, kernel // 2)


class Concat(nn.Module):
    def __init__(self, dimension=1):
        super().__init__()
        self.d = dimension


class Detect(nn.Module):
    def __init__(self, num_classes, anchors, channels, strides):
        super().__init__()
        self.nc, self.no, self.nl, self.na = num_classes, num_classes + 5, len(anchors), len(anchors[0]) // 2
        self.grid = self.anchor_grid = [torch.empty(0) for _ in anchors]
        self.stride = torch.tensor(strides, dtype=torch.float32)
        pixels = torch.tensor(anchors, dtype=torch.float32).view(self.nl, self.na, 2)
        self.register_buffer('anchors', pixels / self.stride.view(-1, 1, 1))
        self.m = nn.ModuleList(nn.Conv2d(width, self.no * self.na, 1) for width in channels)
        self.inplace = True


class ConvNormActivationBlock(nn.Module):
    def __init__(self, in_channels, out_channels, kernel, stride=1, groups=1, activation=HS):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(out_channels)
        self.activation = activation()


class SqueezeExitationBlock(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.pool1 = nn.AdaptiveAvgPool2d(1)
        self.linear1 = nn.Linear(channels, channels // 4)
        self.act1 = nn.ReLU()
        self.linear2 = nn.Linear(channels // 4, channels)
        self.act2 = nn.Hardsigmoid()


class InverseResidualBlock(nn.Module):
    def __init__(self, in_channels, kernel, expanded, out_channels, squeeze, activation, stride):
        super().__init__()
        self.residual = in_channels == out_channels and stride == 1
        self.squeeze_exitation = squeeze
        same = in_channels == expanded
        self.conv1 = nn.Identity() if same else ConvNormActivationBlock(in_channels, expanded, 1, activation=activation)
        self.depthwise_conv = ConvNormActivationBlock(expanded, expanded, kernel, stride, expanded, activation)
        if squeeze:
            self.se = SqueezeExitationBlock(expanded)
        self.conv2 = nn.Conv2d(expanded, out_channels, 1, bias=False)
        self.norm = nn.BatchNorm2d(out_channels)


class MobileNetV3(nn.Module):
    blocks, widths = LARGE, [24, 40, 112, 960]

    def __init__(self):
        super().__init__()
        layers, channels = [ConvNormActivationBlock(3, 16, 3, 2)], 16
        for kernel, expanded, out_channels, squeeze, activation, stride in self.blocks:
            layers.append(InverseResidualBlock(channels, kernel, expanded, out_channels, squeeze, activation, stride))
            channels = out_channels
        self.model = nn.Sequential(*layers, ConvNormActivationBlock(channels, self.widths[-1], 1))
        self.index = self.width_list = list(self.widths)
        self.backbone = True


class MobileNetV3Small(MobileNetV3):
    blocks, widths = SMALL, [16, 24, 48, 576]


class DetectionModel(nn.Module):
    """The whole tree, built from a YAML's mapping."""

    def __init__(self, layers, names=None):
        super().__init__()
        self.yaml = copy.deepcopy(layers) | {'ch': 3}
        self.model = nn.Sequential(*_rows(layers))
        self.names = [str(number) for number in range(layers['nc'])] if names is None else names
        self.inplace = True
        self.stride = self.model[-1].stride
        # YOLOv5 sets these in all of the tree, a patched-in backbone included.
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eps, module.momentum = 1e-3, 0.03
            elif isinstance(module, (nn.ReLU, nn.Hardswish, nn.SiLU)):
                module.inplace = True


TREE = {
    'models.common': [Conv, Bottleneck, C3, SPPF, Concat, ConvNormActivationBlock, SqueezeExitationBlock]
    + [InverseResidualBlock, MobileNetV3, MobileNetV3Small],
    'models.yolo': [Detect, DetectionModel],
}
BLOCKS = {cls.__name__: cls for cls in (Conv, C3, SPPF, Concat, MobileNetV3, MobileNetV3Small)}


def _rows(layers: dict) -> Iterator[nn.Module]:
    channels, shift = [], 0
    for number, (source, repeats, name, args) in enumerate(layers['backbone'] + layers['head']):
        args = [{'None': None, 'nc': layers['nc'], 'anchors': layers['anchors']}.get(str(arg), arg) for arg in args]
        repeats = max(round(repeats * layers['depth_multiple']), 1) if repeats > 1 else repeats
        sources = [source] if isinstance(source, int) else source
        inputs = [channels[index] for index in sources] if channels else [3]
        width = sum(inputs)
        if name in ('Conv', 'C3', 'SPPF'):
            width = math.ceil(args[0] * layers['width_multiple'] / 8) * 8
            module = BLOCKS[name](inputs[0], width, *([repeats] if name == 'C3' else []), *args[1:])
        elif name == 'Detect':
            anchors = args[1]
            # Before anchors were fitted to the data, a number alone stands for 0, 1, 2, ...
            anchors = [list(range(anchors * 2))] * len(sources) if isinstance(anchors, int) else anchors
            module = Detect(args[0], anchors, inputs, [8 * 2**level for level in range(len(sources))])
        elif name == 'nn.Upsample':
            module = nn.Upsample(*args)
        else:
            module = BLOCKS[name](*args)
        module.i, module.f = number + shift, source
        module.type = f'{type(module).__module__}.{type(module).__name__}'
        module.np = sum(parameter.numel() for parameter in module.parameters())
        if hasattr(module, 'width_list'):
            channels, shift = [0, *module.width_list], 4
            module.i = number + shift
        else:
            channels.append(width)
        yield module


def fill_tree(model: nn.Module, fill: Fill = reference_value) -> nn.Module:
    """Puts values into all parameters and buffers but the anchors, by their names in the state dict."""
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if not name.endswith('.anchors'):
                tensor.copy_(torch.as_tensor(fill(name, tuple(tensor.shape))))
    return model


@contextmanager
def tree_imported() -> Iterator[None]:
    """The classes above stand where YOLOv5's own tree has them, for as long as something is saved or loaded."""
    modules = {name: types.ModuleType(name) for name in ('models', *TREE)}
    for name, classes in TREE.items():
        vars(modules[name]).update({cls.__name__: cls for cls in classes})
    before = {name: sys.modules.get(name) for name in modules}
    sys.modules.update(modules)
    try:
        yield
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


for _module, _classes in TREE.items():
    for _class in _classes:
        _class.__module__ = _module


def yolov5_checkpoint(
    path: Path,
    layers: dict = OFFICIAL_LAYERS,
    names: object = None,
    half: bool = False,
    ema: bool = True,
    fill: Fill = reference_value,
    change: Callable[[nn.Module], nn.Module | None] | None = None,
    **entries: object,
) -> dict[str, torch.Tensor]:
    """Writes a checkpoint as YOLOv5's training does.

    Args:
        path: The file to write.
        layers: The YAML's mapping.
        names: The model's `names`; numbers by default.
        half: Save in half precision.
        ema: With `ema` the filled model is the running average and the other one holds zeros; without, it is None.
        fill: (name, shape) -> values, for each parameter and buffer but the anchors.
        change: Called with the filled model; changes it, or returns another one to be saved.
        **entries: Further entries of the checkpoint, or others than the usual ones.

    Returns:
        The state dict of the filled model as it was saved.
    """
    model = fill_tree(DetectionModel(layers, names), fill)
    if half:
        model.half()
        model.stride = model.model[-1].stride = model.stride.half()
    if change is not None:
        model = change(model) or model
    other = copy.deepcopy(model)
    for parameter in other.parameters():
        nn.init.zeros_(parameter)
    checkpoint = {
        'epoch': -1,
        'best_fitness': None,
        'model': other if ema else model,
        'ema': model if ema else None,
        'updates': 1234,
        'optimizer': {'state': {0: {'momentum_buffer': torch.ones(8)}}, 'param_groups': [{'lr': 0.01}]},
        'opt': {'data': 'data/coco128.yaml', 'imgsz': 640, 'save_dir': Path('runs') / 'exp'},
        'date': '2022-11-22T09:30:00',
    }
    with tree_imported():
        torch.save(checkpoint | entries, path)
    return model.state_dict()


def save_tree(path: Path, model: object, **entries: object) -> None:
    """Writes a checkpoint of a model, or of what stands in its place, without an average of it."""
    with tree_imported():
        torch.save({'model': model, 'ema': None} | entries, path)


def assert_read(tensors: dict[str, torch.Tensor], saved: dict[str, torch.Tensor]) -> None:
    """The saved tensors under their names in their order, floating-point ones as float32."""
    assert list(tensors) == list(saved)
    for name, value in saved.items():
        value = value.float() if value.is_floating_point() else value
        assert tensors[name].dtype == value.dtype and torch.equal(tensors[name], value), name
