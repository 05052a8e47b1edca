"""Layers behind the backbone that are as narrow as a config says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from mbv3zoo.config.model import COARSEST_STRIDE
from mbv3zoo.widths.named import groups_of, kept_units
from mbv3zoo.widths.narrow import narrow
from mbv3zoo.widths.rebuilt import all_widths

if TYPE_CHECKING:
    from mbv3zoo.models.base_network import ModelNetwork


def narrow_behind(network: ModelNetwork, wide: ModelNetwork) -> None:
    """Makes what follows a narrowed backbone fit it, and as narrow as the config says; in place.

    Args:
        network: Has its narrowed backbone, and behind it the layers of the wide network.
        wide: The same without any width, on the meta device; is made narrower too.

    Raises:
        ValueError: A layer that is named does not exist, or cannot have that width.
    """
    side = 2 * max(*wide.strides, COARSEST_STRIDE)
    groups = groups_of(wide, wide.config.in_chans, side=side, architecture=wide.config.model_dump_json())
    kept = kept_units(groups, all_widths(network.config))
    narrow(wide, groups, kept)
    behind = []
    for group in groups:
        if places := tuple(place for place in group.places if not place[0].startswith('backbone.')):
            behind.append(group._replace(places=places))
    narrow(network, behind, kept)
    own: Any = network
    if neck := getattr(wide.eval(), 'neck', None):
        sizes = zip(own.backbone.channels, own.backbone.strides, strict=True)
        maps = [torch.empty(1, width, side // stride, side // stride, device='meta') for width, stride in sizes]
        own.neck.out_channels = [x.shape[1] for x in neck(maps)]
