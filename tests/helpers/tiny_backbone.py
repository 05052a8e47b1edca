"""A timm backbone of three convolutions, for tests that build, save and export a detector thousands of times."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from timm.models import _registry, build_model_with_cfg, generate_default_cfgs, register_model
from torch import nn

import mbv3zoo

# It passes the feature maps on, but for one convolution.
_NECK = {
    'rows': [{'sources': [1], 'block': 'Conv', 'args': [8, 1, 1]}],
    'first': 2,
    'inputs': [0, 1],
    'strides': [8, 16],
    'outputs': [0, 2],
}
ANCHORS = [[[10, 13], [24, 18]], [[30, 40], [50, 28]]]


class TinyBackbone(nn.Module):
    """Feature maps at strides 4, 8 and 16."""

    def __init__(self, in_chans: int = 3, num_classes: int = 0, device: object = None, dtype: object = None) -> None:
        super().__init__()
        self.feature_info, made = [], {'device': device, 'dtype': dtype}
        for number, (channels, stride) in enumerate([(16, 4), (24, 2), (32, 2)]):
            conv = nn.Conv2d(in_chans, channels, stride, stride, bias=False, **made)
            stage = nn.Sequential(conv, nn.BatchNorm2d(channels, **made), nn.ReLU())
            setattr(self, f'stage{number}', stage)
            self.feature_info.append({'num_chs': channels, 'reduction': 4 * 2**number, 'module': f'stage{number}'})
            in_chans = channels
        self.head = nn.Linear(in_chans, num_classes) if num_classes else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.stage2(self.stage1(self.stage0(x))).mean((2, 3)))


default_cfgs = generate_default_cfgs({'tiny_backbone': {'input_size': (3, 64, 64), 'classifier': 'head'}})


def tiny_backbone(pretrained: bool = False, **arguments: object) -> nn.Module:
    feature_cfg = {'out_indices': (0, 1, 2)}
    return build_model_with_cfg(TinyBackbone, 'tiny_backbone', pretrained, feature_cfg=feature_cfg, **arguments)


@contextmanager
def registered() -> Iterator[None]:
    """Context manager: timm has the backbone."""
    logger = logging.getLogger('timm')
    level = logger.level
    logger.setLevel(logging.ERROR)
    register_model(tiny_backbone)
    yield
    _registry._clear_model_entries('tiny_backbone')
    _registry._model_entrypoints.pop('tiny_backbone')
    logger.setLevel(level)


def tiny_detector(seed: int = 0, class_names: Sequence[str] = ('cat', 'dog', 'emu')) -> mbv3zoo.Detector:
    """A detector that finds a hundred boxes on any picture, all different."""
    torch.manual_seed(seed)
    detector = mbv3zoo.create_detector(
        'tiny_backbone', class_names=class_names, image_size=64, neck=_NECK, anchors=ANCHORS, width_multiple=1
    )
    with torch.no_grad():
        for module in detector.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.02, 0.1)
                module.weight.uniform_(0.8, 1.2)
                module.bias.normal_(0, 0.3)
        for conv in detector.head.convs:
            conv.weight.normal_(0, 0.15)
            conv.bias.normal_(0, 0.5)
    return detector.eval()
