"""The detector's network: normalisation, backbone, neck, head. Images in, raw logits out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Self, Unpack

import torch
from torch import nn

from mbv3zoo.config.detector import STRIDES, DetectorConfig
from mbv3zoo.config.layer_rows import LayerRows
from mbv3zoo.models.anchors import doubt, level_anchors
from mbv3zoo.models.backbone import Backbone
from mbv3zoo.models.config_fit import check_config
from mbv3zoo.models.fuse import fuse_batch_norms
from mbv3zoo.models.head import DetectHead
from mbv3zoo.models.modes import running
from mbv3zoo.models.neck_table import make_neck
from mbv3zoo.models.plain_weights import make_plain
from mbv3zoo.models.postprocess.decoding import Kept
from mbv3zoo.models.postprocess.tensors import postprocess
from mbv3zoo.models.postprocess.thresholds import ThresholdOptions, Thresholds
from mbv3zoo.utils.text import shown

_logger = logging.getLogger(__name__)

# Buffers that are not in the state dict: the config holds them.
_STATED = ('mean', 'std', 'anchors')


class DetectorNetwork(nn.Module):
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

    fused = False
    mean: torch.Tensor
    std: torch.Tensor
    anchors: torch.Tensor

    def __init__(self, config: DetectorConfig, pretrained: bool = False, **backbone_args: Any) -> None:
        super().__init__()
        args = {'in_chans': config.in_chans, **config.backbone_args, **backbone_args}
        args['map_strides'] = config.neck.strides if isinstance(config.neck, LayerRows) else STRIDES
        self.backbone = Backbone(config.backbone, config.image_size, pretrained, **args)
        # Build neck and head on meta too when device='meta'.
        with torch.device('meta') if str(backbone_args.get('device')) == 'meta' else nullcontext():
            self.neck = make_neck(self.backbone, config)
            self.strides = tuple(self.neck.strides)
            anchors = level_anchors(config, self.strides)
            self.head = DetectHead(self.neck.out_channels, config.num_classes, len(anchors[0]), self.strides)

        mean = config.mean or _for_channels(self.backbone.mean, config.in_chans)
        std = config.std or _for_channels(self.backbone.std, config.in_chans)
        self.config = config.model_copy(update={'mean': mean, 'std': std, 'anchors': anchors})
        # Not in the state dict: the config holds them.
        self.register_buffer('mean', torch.tensor(mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer('std', torch.tensor(std).view(1, -1, 1, 1), persistent=False)
        self.register_buffer('anchors', torch.tensor(anchors), persistent=False)

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Images to raw logits.

        Args:
            images: float [B, C, H, W] in 0..1, not normalised; H and W multiples of the coarsest stride (32).

        Returns:
            One tensor per stride, [B, A, H / stride, W / stride, 5 + K]: tx, ty, tw, th, objectness, K classes.

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
        return postprocess(logits, anchors, self.strides, Thresholds(**thresholds))

    @running.changing()
    def fuse(self) -> DetectorNetwork:
        """Folds every BatchNorm into the convolution before it, in place, for inference. Returns self.

        Pruning (`torch.nn.utils.prune`), weight norms and other parametrisations are made permanent.

        Raises:
            ValueError: A weight is computed anew at each call by something that torch cannot make permanent, or a layer
                that is folded has hooks or a `forward` of its own.

        Example:
            >>> detector = mbv3zoo.load('mbv3_yolo_small.synth').fuse()
            >>> detector.fused
            True
        """
        height, width = self.config.image_size
        make_plain(self)
        fuse_batch_norms(self, self.mean.new_zeros(1, self.config.in_chans, height, width))
        self.fused = True
        return self

    def train(self, mode: bool = True) -> Self:
        """As `nn.Module.train`; where other threads predict, training mode begins after what runs there now.

        Example:
            >>> detector = mbv3zoo.load('mbv3_yolo_small.synth').train()
            >>> detector.training
            True
        """
        with running.changing() if mode else nullcontext():
            return super().train(mode)

    def set_anchors(self, anchors: Sequence[Sequence[Sequence[float]]]) -> DetectorNetwork:
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

    def freeze_backbone(self, stages: int) -> DetectorNetwork:
        """Freezes the backbone's stem and first `stages` stages: no learning, always in evaluation mode. Returns self.

        Args:
            stages: 0 for none. Stages are counted as timm's `group_matcher(coarse=True)` does; a transformer's are its
                blocks.

        Raises:
            ValueError: The backbone has fewer.

        Example:
            >>> detector = mbv3zoo.create_detector('mbv3_yolo_small').freeze_backbone(2)
            >>> detector.backbone.model.conv_stem.weight.requires_grad
            False
        """
        self.backbone.freeze_stages(stages)
        return self

    def freeze_norm(self) -> DetectorNetwork:
        """Freezes the backbone's BatchNorms, statistics included, for small batches. Returns self.

        Of transformers and others without BatchNorm it changes nothing.

        Example:
            >>> detector = mbv3zoo.create_detector('mbv3_yolo_small').freeze_norm()
            >>> detector.backbone.model.bn1.weight.requires_grad
            False
        """
        self.backbone.freeze_norms()
        return self

    def set_grad_checkpointing(self, enable: bool = True) -> DetectorNetwork:
        """Trains the backbone with less memory and more time: activations are computed anew. Returns self.

        Raises:
            ValueError: timm's model cannot.

        Example:
            >>> detector = mbv3zoo.create_detector('mbv3_yolo_small').set_grad_checkpointing()
        """
        self.backbone.set_grad_checkpointing(enable)
        return self

    def group_matcher(self, coarse: bool = False) -> Callable[[str], tuple[float, ...]]:
        """timm's protocol of layers (layer decay): parameter name -> ordinal, neck and head last.

        Example:
            >>> layer_of = mbv3zoo.create_detector('mbv3_yolo_small').group_matcher()
            >>> layer_of('backbone.model.conv_stem.weight') < layer_of('head.convs.0.weight')
            True
        """
        return self.backbone.layer_groups().matcher('backbone.model.', coarse)

    def no_weight_decay(self) -> set[str]:
        """timm's protocol: names of parameters without weight decay, besides those of one dimension.

        Example:
            >>> sorted(mbv3zoo.create_detector('vit_tiny_patch16_224', device='meta').no_weight_decay())
            ['backbone.model.model.cls_token', 'backbone.model.model.pos_embed']
        """
        return {f'backbone.model.{name}' for name in self.backbone.layer_groups().no_weight_decay()}

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> Self:
        """Casts and moves: what the config holds is not rounded for good by `half()`, nor lost by `to_empty`."""
        exact = [name for name in _STATED if self._is_stated(name)]
        super()._apply(fn, recurse)
        for name in exact:
            buffer = getattr(self, name)
            if not buffer.is_meta:
                buffer.copy_(self._stated(name).view_as(buffer))
        return self

    def _is_stated(self, name: str) -> bool:
        """Whether a buffer is what the config says, as far as its type has digits."""
        if getattr(self.config, name, None) is None:  # a user gave it another
            return False
        buffer, stated = getattr(self, name), self._stated(name)
        return stated.numel() == buffer.numel() and (
            buffer.is_meta or torch.equal(buffer, stated.view_as(buffer).to(buffer))
        )

    def _stated(self, name: str) -> torch.Tensor:
        return torch.tensor(getattr(self.config, name), dtype=torch.float32)

    def _normalise(self, images: torch.Tensor) -> torch.Tensor:
        return (images - self.mean) / self.std

    def _check(self, images: torch.Tensor) -> None:
        if not isinstance(images, torch.Tensor):
            given = shown(images) if isinstance(images, str | Path) else type(images).__name__
            raise ValueError(
                f'a detector is called with a float tensor [batch, {self.config.in_chans}, height, width] in 0..1, '
                f"given {given}; predict() takes files, PIL images and arrays, as in detector.predict('a.jpg')"
            )
        levels = [self.head.num_anchors] * len(self.strides)
        check_config(self.config, self.mean.shape[1], self.head.num_outputs - 5, levels)
        if images.dim() != 4 or images.shape[1] != self.config.in_chans:
            raise ValueError(
                f'images must be [batch, {self.config.in_chans}, height, width], given {list(images.shape)}; predict() '
                'takes single images of any size, and files'
            )
        if not images.is_floating_point():
            raise ValueError(
                f'images must be float in 0..1, given {images.dtype}; divide by 255, or give single ones to predict()'
            )
        height, width = images.shape[2:]
        unit = max(*self.strides, STRIDES[-1])
        if not height or not width or height % unit or width % unit:
            fit = [max(-(-side // unit), 1) * unit for side in (height, width)]
            raise ValueError(
                f'height and width must be multiples of {unit}, given {height} x {width}; '
                f'pad to {fit[0]} x {fit[1]}, or call predict() with image_size=({fit[0]}, {fit[1]}), which pads'
            )


def _for_channels(values: tuple[float, ...], in_chans: int) -> tuple[float, ...]:
    """RGB statistics for another number of channels, the way timm adapts the first convolution's weights."""
    if in_chans == 1:
        return (sum(values) / len(values),)
    return tuple(values[i % len(values)] for i in range(in_chans))
