"""Renames YOLOv5's tensors to those of a detector's state dict."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mbv3zoo.config.detector import DetectorConfig
from mbv3zoo.config.layer_rows import LayerRows
from mbv3zoo.layer_lists.parse import LayerList
from mbv3zoo.models.layer_lists.blocks import is_built_in

# YOLOv5's layer number -> the module's name in the PAN, and in timm's CspNet.
_PAN = {
    9: 'sppf', 10: 'lateral5', 13: 'top_down4', 14: 'lateral4', 17: 'top_down3', 18: 'down3', 20: 'bottom_up4',
    21: 'down4', 23: 'bottom_up5',
}  # fmt: skip
_CSPNET = {
    0: 'stem_conv1', 1: 'stages_0.conv_down', 2: 'stages_0', 3: 'stages_1.conv_down', 4: 'stages_1',
    5: 'stages_2.conv_down', 6: 'stages_2', 7: 'stages_3.conv_down', 8: 'stages_3',
}  # fmt: skip
# Detect's buffers, which are settings here.
_NO_WEIGHTS = ('anchors', 'anchor_grid', 'stride')


def rename(tensors: Mapping[str, Tensor], layers: LayerList, config: DetectorConfig) -> dict[str, Tensor]:
    """Renames all tensors but those of a whole network (see `match_network`), which are left out.

    Args:
        tensors: By YOLOv5's names, 'model.<layer>....'.
        layers: The checkpoint's layer list.
        config: The detector's config.

    Returns:
        Tensors by their names in the detector's state dict.

    Raises:
        ValueError: A tensor belongs to no row.
    """
    detect = layers.first + len(layers.rows)
    renamed: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        match = re.fullmatch(r'model\.(\d+)\.(.+)', name)
        number, rest = (int(match[1]) + layers.shift, match[2]) if match else (-1, '')
        if match is None or number > detect:
            raise ValueError(f'its tensor {name} belongs to none of the {len(layers.rows) + 1} rows of its layer list')
        if number < layers.first:
            continue
        if number == detect:
            if rest.split('.')[0] not in _NO_WEIGHTS:
                renamed[f'head.convs.{rest.removeprefix("m.")}'] = tensor
        elif config.backbone.startswith('cspdarknet_v6_') and number in _CSPNET:
            renamed[f'backbone.model.{_CSPNET[number]}.{_in_cspnet(rest)}'] = tensor
        else:
            rest = _in_block(rest) if is_built_in(layers.rows[number - layers.first].block) else rest
            renamed[_place(number, layers, config) + rest] = tensor
    return _join_openings(renamed)


def match_network(tensors: Mapping[str, Tensor], network: nn.Module) -> dict[str, Tensor] | None:
    """Gives a whole network's tensors the names of another implementation, matched by order.

    Implementations of one architecture name its layers differently, but define them in the order of use. Linear layers
    and 1x1 convolutions match each other.

    Args:
        tensors: The network's tensors, in the order of its state dict.
        network: The other implementation.

    Returns:
        Tensors by their names in `network`'s state dict; None if number, kinds or shapes differ.
    """
    own = network.state_dict()
    if len(own) != len(tensors):
        return None
    matched = {}
    for (name, tensor), (own_name, own_tensor) in zip(tensors.items(), own.items(), strict=True):
        same_kind = name.rpartition('.')[2] == own_name.rpartition('.')[2]
        if not same_kind or _without_ones(tensor) != _without_ones(own_tensor):
            return None
        matched[own_name] = tensor.reshape(own_tensor.shape)
    return matched


def _without_ones(tensor: Tensor) -> list[int]:
    shape = list(tensor.shape)
    return shape[:2] if shape[2:] == [1, 1] else shape


def _place(number: int, layers: LayerList, config: DetectorConfig) -> str:
    if config.backbone == 'yolov5_layers' and number < layers.backbone:
        return f'backbone.model.model.graph.layers.{number}.'
    if isinstance(config.neck, LayerRows):
        return f'neck.layers.{number}.'
    official = number - layers.first + min(_PAN) if layers.network else number
    # Other rows get an unknown name, which fails when it is loaded.
    return f'neck.{_PAN.get(official, f"row {number}")}.'


def _in_block(rest: str) -> str:
    """cv1 -> conv1, and a C3's m -> blocks."""
    return re.sub(r'\bm\b', 'blocks', re.sub(r'\bcv(\d)\b', r'conv\1', rest))


def _in_cspnet(rest: str) -> str:
    """A C3's parts as in timm's CrossStage3; cv1 and cv2 are joined later."""
    if re.match(r'cv[12]\.', rest):
        return rest
    return _in_block(rest.replace('cv3', 'conv_transition') if rest.startswith('cv3') else rest)


def _join_openings(renamed: dict[str, Tensor]) -> dict[str, Tensor]:
    """timm computes a C3's first two convolutions as one, with their channels concatenated."""
    joined = {}
    for name, tensor in renamed.items():
        opening = re.fullmatch(r'(backbone\.model\.stages_\d)\.cv([12])\.(.+)', name)
        if opening is None:
            joined[name] = tensor
        elif opening[2] == '1':
            second = renamed.get(f'{opening[1]}.cv2.{opening[3]}', tensor)
            joined[f'{opening[1]}.conv_exp.{opening[3]}'] = torch.cat([tensor, second]) if tensor.dim() else tensor
    return joined
