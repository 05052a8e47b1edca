"""The detector's network: normalisation, backbone, neck, head. Images in, raw logits out."""

from __future__ import annotations

import copy
import logging
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any, Self, Unpack, cast
from weakref import WeakKeyDictionary

import torch

from mbv3zoo.config.detector import STRIDES, DetectorConfig
from mbv3zoo.config.layer_rows import LayerRows
from mbv3zoo.models.anchors import doubt, level_anchors
from mbv3zoo.models.base_network import ModelNetwork
from mbv3zoo.models.config_fit import check_config
from mbv3zoo.models.decoupled import DecoupledHead
from mbv3zoo.models.head import DetectHead, Head
from mbv3zoo.models.narrowing import narrow_behind
from mbv3zoo.models.neck_table import make_neck
from mbv3zoo.models.postprocess.decoding import Kept
from mbv3zoo.models.postprocess.tensors import postprocess
from mbv3zoo.models.postprocess.thresholds import ThresholdOptions, Thresholds
from mbv3zoo.widths.rebuilt import wide_config

_logger = logging.getLogger(__name__)

# Detector -> the same one without NMS. Outside of them, as detectors are copied and saved.
_without_nms: WeakKeyDictionary[DetectorNetwork, DetectorNetwork] = WeakKeyDictionary()


class DetectorNetwork(ModelNetwork):
    """Backbone, neck and head from a config.

    Args:
        config: What to build.
        pretrained: Load the backbone's weights.
        **backbone_args: Arguments of `timm.create_model` for this one build (`cache_dir`, ...), not kept in the config.

    Attributes:
        config: The config, with the backbone's mean and std, and the anchors, filled in.
        strides: Stride of each level, in input pixels per cell.
        fused: Whether `fuse` was called.
    """

    stated = ('mean', 'std', 'anchors')
    class_layers = {'head.convs.': 5, 'head.class_convs.': 0}
    config_class = DetectorConfig
    config: DetectorConfig
    anchors: torch.Tensor

    def __init__(self, config: DetectorConfig, pretrained: bool = False, **backbone_args: Any) -> None:
        strides = config.neck.strides if isinstance(config.neck, LayerRows) else STRIDES
        super().__init__(config, strides, pretrained, **backbone_args)
        without_widths = wide_config(config)
        wide = None if without_widths is None else DetectorNetwork(without_widths, device='meta')
        # Build neck and head on meta too when device='meta'.
        with torch.device('meta') if str(backbone_args.get('device')) == 'meta' else nullcontext():
            self.neck = make_neck((wide or self).backbone, config)
            self.strides = tuple(self.neck.strides)
            anchors = level_anchors(config, self.strides)
            channels, number = self.neck.out_channels, len(anchors[0])
            args = channels, config.num_classes, number, self.strides
            self.head: Head
            if config.head == 'decoupled':
                self.head = DecoupledHead(*args, config.activation, config.nms)
            else:
                self.head = DetectHead(*args, config.nms)
        self.config = self.config.model_copy(update={'anchors': anchors})
        self.register_buffer('anchors', torch.tensor(anchors), persistent=False)
        if wide:
            narrow_behind(self, wide)

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Images to raw logits.

        Args:
            images: float [B, C, H, W] in 0..1, not normalised; H and W multiples of the coarsest stride (32).

        Returns:
            One tensor per stride, [B, A, H / stride, W / stride, 5 + K]: tx, ty, tw, th, objectness, K classes. Where
            `config.nms` is False, only the peaks of the scores have the objectness that the head gives
            (`without_nms`).

        Raises:
            ValueError: The images are no tensor (`Detector.predict` takes files), have another shape or are not
                floating point, or the backbone does not take their size; it says which it takes. Or `config` was
                replaced by that of another network.

        Example:
            >>> import torch
            >>> detector = mbv3zoo.create_detector('mbv3_yolo_small', num_classes=20)
            >>> [list(level.shape) for level in detector(torch.rand(1, 3, 320, 320))]
            [[1, 3, 40, 40, 25], [1, 3, 20, 20, 25], [1, 3, 10, 10, 25]]
        """
        self._check(images)
        return self.head(self.neck(self.backbone(self._normalise(images))))

    def postprocess(
        self, logits: list[torch.Tensor], **thresholds: Unpack[ThresholdOptions]
    ) -> list[Kept[torch.Tensor]]:
        """Raw logits -> what is kept of each image, boxes in pixels of the network's input.

        Args:
            logits: What `forward` returned.
            **thresholds: Fields of `mbv3zoo.models.postprocess.thresholds.Thresholds`.

        Example:
            >>> import torch
            >>> detector = mbv3zoo.load('mbv3_yolo_small.synth')
            >>> with torch.no_grad():
            ...     logits = detector(torch.rand(2, 3, 320, 320))
            >>> kept = detector.postprocess(logits, score_thresh=0.5)
            >>> len(kept), kept[0].boxes.shape[1]
            (2, 4)
        """
        # The config's: the buffer is rounded where the detector is in half precision.
        anchors = torch.tensor(self.config.anchors, dtype=torch.float32, device=self.anchors.device)
        thresholds = {**thresholds, 'nms': thresholds.get('nms', True) and self.config.nms}
        return postprocess(logits, anchors, self.strides, Thresholds(**thresholds))

    def without_nms(self) -> Self:
        """The same detector with predictions that need a threshold but no NMS, as an object has one box.

        Of neighbouring anchors only the one of the highest score keeps its objectness
        (`mbv3zoo.models.peaks.only_peaks`). Modules and weights are shared: it follows the training of this one.

        Example:
            >>> detector = mbv3zoo.create_detector('mbv3_yolo_small')
            >>> detector.without_nms().config.nms
            False
        """
        if not self.config.nms:
            return self
        # One for each detector, by which graphs in runtimes are kept.
        alone = _without_nms.setdefault(self, copy.copy(self))
        own: Any = alone.head
        head = own if own is not self.head and own._modules == self.head._modules else copy.copy(self.head)
        head.nms = False
        modules = {**self._modules, 'head': head}
        if alone._modules is self._modules or alone._modules != modules:
            alone._modules = modules
        alone.config = self.config.model_copy(update={'nms': False})
        return cast(Self, alone)

    def set_anchors(self, anchors: Sequence[Sequence[Sequence[float]]]) -> Self:
        """Gives the head other anchors; its weights stay, and mean other boxes from now on. Returns self.

        Args:
            anchors: For each stride, finest first, a list of (width, height) in pixels, as many as now. A warning
                says where a coarser stride has smaller ones than a finer, or they seem to be given in cells.

        Raises:
            ValueError: There are more or fewer, or one is not positive.

        Example:
            >>> detector = mbv3zoo.create_detector('mbv3_yolo_small', anchors=1)
            >>> detector.set_anchors([[[10, 10]], [[60, 60]], [[200, 200]]]).config.anchors
            (((10.0, 10.0),), ((60.0, 60.0),), ((200.0, 200.0),))
        """
        config = DetectorConfig.parse(self.config.model_dump() | {'anchors': anchors})
        levels = level_anchors(config, self.strides)
        if len(levels[0]) != self.head.num_anchors:
            raise ValueError(f'the head has {self.head.num_anchors} anchors a level, given {len(levels[0])}')
        if levels != self.config.anchors and (warning := doubt(levels, self.strides, config.image_size)):
            _logger.warning(warning)
        self.config = config.model_copy(update={'anchors': levels})
        self.anchors = self.anchors.new_tensor(levels)
        return self

    def maps(self, images: torch.Tensor) -> list[torch.Tensor]:
        """As `forward`.

        Example:
            >>> import torch
            >>> detector = mbv3zoo.create_detector('mbv3_yolo_small', num_classes=20)
            >>> len(detector.maps(torch.rand(1, 3, 96, 96)))
            3
        """
        return self(images)

    def _check_config(self) -> None:
        levels = [self.head.num_anchors] * len(self.strides)
        check_config(self.config, self.mean.shape[1], self.head.num_outputs - 5, levels)
