"""Any timm model as a backbone that gives a neck its feature maps: C3, C4, C5, or those a layer list asks for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import timm
import torch
from safetensors import SafetensorError
from timm.layers import Format
from torch import nn

import mbv3zoo.models.layer_lists.layer_backbone  # noqa: F401  registers yolov5_layers with timm
from mbv3zoo.backbones.timm_private import FeatureGetterNet
from mbv3zoo.config.detector import STRIDES
from mbv3zoo.models.attention_biases import always_compute_biases
from mbv3zoo.models.feature_hooks import collect_by_thread
from mbv3zoo.models.freezing import batch_norms, freeze, keep_frozen_in_evaluation
from mbv3zoo.models.layer_groups import LayerGroups
from mbv3zoo.models.levels import Route, make_level, resize
from mbv3zoo.models.modes import running
from mbv3zoo.models.out_of_memory import is_out_of_memory
from mbv3zoo.models.prune import prune_unused
from mbv3zoo.models.timm_model import check_name, create_on_meta, make_plan, seen_size
from mbv3zoo.utils.quiet import without_messages
from mbv3zoo.utils.text import one_line, shown

always_compute_biases()

# How torch tells which tensor does not fit.
_MISMATCH = re.compile(
    r'size mismatch for (\S+): .* with shape (?:torch.Size\()?(\[[^]]*]).* current model is (?:torch.Size\()?(\[[^]]*])'
)
_MISSING = re.compile(r'Missing key\(s\) in state_dict: "([^"]+)"')


class PyramidBackbone(nn.Module):
    """A timm model's feature maps at strides 8, 16 and 32 or at others, channels first.

    Feature maps are chosen by their stride; a missing level is made from the nearest (`levels.py`), and one that is not
    exactly 1 / stride of the image is resampled to that size.

    Args:
        name: A timm model name, with or without a tag.
        image_size: (height, width) in pixels, for model families that are built for one size.
        pretrained: Load the weights of the name's (default) tag.
        in_chans: Channels of the input.
        map_strides: Strides of the feature maps, finest first; None takes all that the model has, as they are.
        **kwargs: Further arguments of `timm.create_model`.

    Attributes:
        strides: Stride of each level, in input pixels per cell.
        channels: Channels of each level.
        route: How the backbone provides its levels.
        reductions: Stride of the timm feature map that each level is made from, as timm rounds it.
        map_channels: Channels of these feature maps.
        bound: Whether it takes images of `image_size` only, as far as timm says.
        mean, std: What the backbone's weights expect to be normalised with, for images in 0..1.

    Raises:
        ValueError: timm does not know the name or one of `kwargs`, cannot build the model for `image_size`, or its
            weights have other shapes.
    """

    frozen_norms = False

    def __init__(
        self,
        name: str,
        image_size: tuple[int, int],
        pretrained: bool = False,
        in_chans: int = 3,
        map_strides: Sequence[int] | None = STRIDES,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        plan = make_plan(name, image_size, in_chans, map_strides, **kwargs)
        self.name, self.unit, self.bound = name, plan.unit, plan.bound
        self.mean, self.std = plan.mean, plan.std
        self.build_args = plan.build_args

        self.route = plan.route
        self.indices = sorted({level.map_index for level in plan.levels})
        self.positions = [self.indices.index(level.map_index) for level in plan.levels]
        self.reductions = [round(plan.reductions[level.map_index]) for level in plan.levels]
        self.strides = self.reductions if map_strides is None else list(map_strides)
        self.map_channels = [plan.channels[level.map_index] for level in plan.levels]
        self.model = self._build(pretrained)
        prune_unused(self.model)
        collect_by_thread(self.model)

        project = self.route == Route.SIMPLE_PYRAMID
        made = [make_level(plan.channels[level.map_index], level.doublings, project) for level in plan.levels]
        self.levels = nn.ModuleList(layers for layers, _ in made).to(kwargs.get('device'))
        self.channels = [channels for _, channels in made]

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """[B, C, H, W], H and W multiples of the largest stride -> levels [B, channels, H / stride, W / stride]."""
        height, width = images.shape[2:]
        seen = seen_size((height, width), self.unit)
        features = self.model(resize(images, seen))
        levels = []
        for layers, position, reduction, stride in zip(
            self.levels, self.positions, self.reductions, self.strides, strict=True
        ):
            x = layers(self._channels_first(features[position], reduction, seen))
            self._check_map(x, seen, stride)
            levels.append(resize(x, (height // stride, width // stride)))
        return levels

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Recomputes activations in the backward pass instead of keeping them: less memory, more time.

        BatchNorms that are not frozen then update their statistics twice per batch.

        Raises:
            ValueError: timm's model does not support it.
        """
        # timm's FeatureGetterNet has no such method; the model inside has.
        models: list[Any] = [self.model, getattr(self.model, 'model', None)]
        switch = next((m.set_grad_checkpointing for m in models if hasattr(m, 'set_grad_checkpointing')), None)
        if switch is None:
            raise ValueError(f'backbone {self.name!r} cannot checkpoint gradients: it has no set_grad_checkpointing')
        try:
            switch(enable)
        except AssertionError as error:
            raise ValueError(f'backbone {self.name!r} cannot checkpoint gradients: {error}') from error

    def layer_groups(self) -> LayerGroups:
        """Which layer of timm's each parameter of `model` belongs to."""
        return LayerGroups(self.name, self.build_args, self.model)

    def freeze_stages(self, stages: int) -> None:
        """Freezes the stem and the first `stages` stages, as timm counts them (a transformer's are its blocks).

        Raises:
            ValueError: The backbone has fewer stages.
        """
        ids = self.layer_groups().ids(coarse=True)
        last = max(ids.values())
        if type(stages) is not int or not 0 <= stages <= last:
            raise ValueError(
                f'freeze_backbone must be 0..{last}, the stages of backbone {self.name!r}; given {shown(stages)}'
            )
        if stages:
            freeze(p for name, p in self.model.named_parameters() if ids[name] <= stages)
            self.train(self.training)

    def freeze_norms(self) -> None:
        """Freezes every BatchNorm: its statistics, weight and bias."""
        for norm in batch_norms(self.model):
            freeze(norm.parameters())
        self.frozen_norms = True
        self.train(self.training)

    def train(self, mode: bool = True) -> PyramidBackbone:
        """As `nn.Module.train`, but what is frozen stays in eval mode."""
        with running.changing() if mode else nullcontext():
            super().train(mode)
            keep_frozen_in_evaluation(self)
            # Also those without weight and bias.
            for norm in batch_norms(self.model) if self.frozen_norms else []:
                norm.training = False
        return self

    def drawn(self) -> list[str]:
        """Names of the tensors that its weights do not hold: they come out otherwise when it is built once more."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(torch.initial_seed() + 1)
            again = self._build(pretrained=True).state_dict()
        return [
            name for name, tensor in self.model.state_dict().items() if not torch.equal(again[name].to(tensor), tensor)
        ]

    def _build(self, pretrained: bool) -> nn.Module:
        create = create_on_meta if str(self.build_args.get('device')) == 'meta' else timm.create_model
        # The classifier's weights, which a backbone has no place for.
        without_classifier = without_messages('timm.models._builder', 'Unexpected keys (')
        try:
            with without_classifier:
                model = create(
                    self.name, features_only=True, pretrained=pretrained, out_indices=self.indices, **self.build_args
                )
        except (AssertionError, KeyError, TypeError, AttributeError) as error:
            shown = {key: value for key, value in self.build_args.items() if not key.startswith('pretrained_cfg')}
            reason = str(error) or type(error).__name__
            raise ValueError(f'backbone {self.name!r} cannot be built with {shown}: {reason}') from error
        except (RuntimeError, SafetensorError) as error:
            if not (pretrained or self.build_args.get('checkpoint_path')) or is_out_of_memory(error):
                raise
            raise ValueError(self._unfit(error)) from error
        if isinstance(model, FeatureGetterNet) and type(model.model).__module__.endswith('.gemma4_vit'):
            # Gemma 4 reads its grid from tensor values, which neither meta tensors nor torch.export allow.
            model.output_fmt = Format.NLC
        return model

    def _unfit(self, error: Exception) -> str:
        """Why timm could not load the weights, in one line."""
        if 'No pretrained weights exist' in str(error):
            return f'backbone {self.name!r} has no weights; leave pretrained out'
        if found := _MISMATCH.search(str(error)):
            tensor = '{} is {}, expected {}'.format(*found.groups())
        elif found := _MISSING.search(str(error)):
            tensor = f'{found[1]} is missing'
        else:
            return f'the weights of backbone {self.name!r} cannot be loaded: {one_line(str(error), 300)}'
        trained_at = check_name(self.name).input_size[1:]
        if trained_at == self.build_args.get('img_size', trained_at):
            return f'the weights do not fit backbone {self.name!r}: {tensor}'
        return (
            f'the weights of backbone {self.name!r} do not fit a model built for pictures of '
            f'{self.build_args["img_size"]} ({tensor}); they were trained at {trained_at[0]} x {trained_at[1]}: take '
            'that image_size, or pretrained=False'
        )

    def _check_map(self, x: torch.Tensor, seen: tuple[int, int], stride: int) -> None:
        # Convolutions without padding lose a few cells at the border, and a level made from another is off by up to the
        # square root of 2. What is further off does not have this stride, and boxes would silently be misplaced.
        for cells, side in zip(x.shape[2:], seen, strict=True):
            # In whole numbers: side / stride / 1.5 - 4 <= cells <= side / stride * 1.5 + 1.
            if not (2 * side - 12 * stride <= 3 * stride * cells and 2 * stride * cells <= 3 * side + 2 * stride):
                raise ValueError(
                    f'backbone {self.name!r}: the map for stride {stride} has {cells} cells on {side} pixels; the '
                    f"reductions in the model's feature_info are wrong"
                )

    def _channels_first(self, x: torch.Tensor, reduction: int, seen: tuple[int, int]) -> torch.Tensor:
        layout = getattr(self.model, 'output_fmt', Format.NCHW)
        if layout == Format.NLC:
            return x.transpose(1, 2).unflatten(2, [side // reduction for side in seen])
        return x.permute(0, 3, 1, 2).contiguous() if layout == Format.NHWC else x
