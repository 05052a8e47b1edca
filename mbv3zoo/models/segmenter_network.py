"""The segmenter's network: normalisation, backbone, LR-ASPP head. Images in, logits of every pixel out.

Lite reduced atrous spatial pyramid pooling: Howard et al., "Searching for MobileNetV3", arXiv 1905.02244, section 6.4
and figure 10. The head is torchvision's.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import torch
from torch.nn.functional import interpolate
from torchvision.models.segmentation.lraspp import LRASPPHead

from mbv3zoo.config.segmenter import SegmenterConfig
from mbv3zoo.models.base_network import ModelNetwork
from mbv3zoo.models.config_fit import check_config
from mbv3zoo.models.narrowing import narrow_behind
from mbv3zoo.models.timm_model import make_plan
from mbv3zoo.widths.rebuilt import wide_config


class SegmenterNetwork(ModelNetwork):
    """Backbone and LR-ASPP head from a config.

    Args:
        config, pretrained, **backbone_args: As for `ModelNetwork`.

    Attributes:
        config: The config, with the backbone's mean and std, and the stride of the high map, filled in.
    """

    class_layers = {'head.low_classifier.': 0, 'head.high_classifier.': 0}
    config_class = SegmenterConfig
    config: SegmenterConfig

    def __init__(self, config: SegmenterConfig, pretrained: bool = False, **backbone_args: Any) -> None:
        config = _with_high_stride(config)
        assert config.high_stride is not None
        super().__init__(config, (config.low_stride, config.high_stride), pretrained, **backbone_args)
        self.strides = (config.low_stride,)
        without_widths = wide_config(config)
        wide = None if without_widths is None else SegmenterNetwork(without_widths, device='meta')
        with torch.device('meta') if str(backbone_args.get('device')) == 'meta' else nullcontext():
            self.head = LRASPPHead(*(wide or self).backbone.channels, config.num_classes, config.head_channels)
        if wide:
            narrow_behind(self, wide)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Images to logits.

        Args:
            images: float [B, C, H, W] in 0..1, not normalised; H and W multiples of 32.

        Returns:
            float [B, K, H, W], before the softmax; the label of a pixel is the class of the highest.

        Raises:
            ValueError: As `mbv3zoo.models.network.DetectorNetwork.forward`.

        Example:
            >>> import torch
            >>> segmenter = mbv3zoo.create_segmenter('mbv3_yolo_small', num_classes=3)
            >>> segmenter(torch.rand(1, 3, 96, 128)).shape
            torch.Size([1, 3, 96, 128])
        """
        (logits,) = self.maps(images)
        return interpolate(logits, images.shape[2:], mode='bilinear', align_corners=False)

    def maps(self, images: torch.Tensor) -> list[torch.Tensor]:
        """As `forward`, before the logits are upsampled: [B, K, H / low_stride, W / low_stride].

        Example:
            >>> import torch
            >>> segmenter = mbv3zoo.create_segmenter('mbv3_yolo_small', num_classes=3)
            >>> [level.shape for level in segmenter.maps(torch.rand(1, 3, 96, 128))]
            [torch.Size([1, 3, 12, 16])]
        """
        self._check(images)
        low, high = self.backbone(self._normalise(images))
        return [self.head({'low': low, 'high': high})]

    def _check_config(self) -> None:
        check_config(self.config, self.mean.shape[1], self.head.low_classifier.out_channels)


def _with_high_stride(config: SegmenterConfig) -> SegmenterConfig:
    """The config with the stride of its high map, and timm's `output_stride` where that dilates the last stage."""
    if config.high_stride == 32 or (config.high_stride and 'output_stride' in config.backbone_args):
        return config
    size, strides = config.image_size, (config.low_stride, 16)

    def coarsest(**args: Any) -> int:
        return round(max(make_plan(config.backbone, size, config.in_chans, strides, **args).reductions))

    args = config.backbone_args
    coarse = coarsest(**args)
    if coarse > 16 and config.high_stride in (None, 16) and 'output_stride' not in args:
        dilated = {**args, 'output_stride': 16}
        try:
            if coarsest(**dilated) == 16:
                return config.model_copy(update={'high_stride': 16, 'backbone_args': dilated})
        except ValueError:
            pass  # a family that does not dilate
    stride = config.high_stride or (16 if coarse <= 16 else 32)
    return config.model_copy(update={'high_stride': stride})
