"""What every network has: normalisation and a backbone in front, checks, freezing and folding."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, ClassVar, Self

import torch

from mbv3zoo.config.model import COARSEST_STRIDE, ModelConfig
from mbv3zoo.config.tasks import KINDS
from mbv3zoo.models.backbone import Backbone
from mbv3zoo.models.fuse import fuse_batch_norms
from mbv3zoo.models.modes import running
from mbv3zoo.models.plain_weights import make_plain
from mbv3zoo.models.trainable import Trainable
from mbv3zoo.utils.text import shown


class ModelNetwork(Trainable):
    """Backbone and normalisation from a config; what follows them is the subclasses'.

    Args:
        config: What to build.
        map_strides: Strides of the backbone's feature maps; None takes all as they are.
        pretrained: Load the backbone's weights.
        **backbone_args: Arguments of `timm.create_model` for this one build (`cache_dir`, ...), not kept in the config.

    Attributes:
        config: The config, with what the network has chosen filled in.
        strides: Stride of each map that `maps` gives, in input pixels per cell.
        fused: Whether `fuse` was called.
        stated: Names of the buffers that are not in the state dict, as the config holds them.
        class_layers: Beginnings of the names of layers that have an output for each class, and the number of outputs
            before those of the classes.
    """

    fused = False
    stated: ClassVar[tuple[str, ...]] = ('mean', 'std')
    class_layers: ClassVar[dict[str, int]]
    config_class: ClassVar[type[ModelConfig]]
    strides: tuple[int, ...]
    mean: torch.Tensor
    std: torch.Tensor

    def __init__(
        self, config: ModelConfig, map_strides: Sequence[int] | None, pretrained: bool = False, **backbone_args: Any
    ) -> None:
        super().__init__()
        args = {'in_chans': config.in_chans, **config.backbone_args, **backbone_args, 'map_strides': map_strides}
        self.backbone = Backbone(config.backbone, config.image_size, pretrained, **args)
        mean = config.mean or _for_channels(self.backbone.mean, config.in_chans)
        std = config.std or _for_channels(self.backbone.std, config.in_chans)
        self.config = config.model_copy(update={'mean': mean, 'std': std})
        # Not in the state dict: the config holds them.
        self.register_buffer('mean', torch.tensor(mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer('std', torch.tensor(std).view(1, -1, 1, 1), persistent=False)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Name of each class, by its label.

        Example:
            >>> mbv3zoo.create_detector('mbv3_yolo_small', class_names=['cat', 'dog']).class_names
            ('cat', 'dog')
        """
        return self.config.class_names

    @property
    def device(self) -> torch.device:
        """Where its weights are, which images are to be on for a call; `to` moves them.

        Example:
            >>> mbv3zoo.load('mbv3_yolo_small.synth').device
            device(type='cpu')
        """
        return next(self.parameters(), self.mean).device

    @abstractmethod
    def maps(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Images -> what is computed at each of `strides`, before anything is decoded or upsampled."""

    @running.changing()
    def fuse(self) -> Self:
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

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> Self:
        """Casts and moves: what the config holds is not rounded for good by `half()`, nor lost by `to_empty`."""
        exact = [name for name in self.stated if self._is_stated(name)]
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

    @abstractmethod
    def _check_config(self) -> None:
        """Raises ValueError where `config` was replaced by that of another network."""

    def _normalise(self, images: torch.Tensor) -> torch.Tensor:
        return (images - self.mean) / self.std

    def _check(self, images: torch.Tensor) -> None:
        if not isinstance(images, torch.Tensor):
            given = shown(images) if isinstance(images, str | Path) else type(images).__name__
            kind = KINDS[self.config.task]
            raise ValueError(
                f'a {kind} is called with a float tensor [batch, {self.config.in_chans}, height, width] in 0..1, '
                f"given {given}; predict() takes files, PIL images and arrays, as in {kind}.predict('a.jpg')"
            )
        self._check_config()
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
        unit = max(*self.strides, COARSEST_STRIDE)
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
