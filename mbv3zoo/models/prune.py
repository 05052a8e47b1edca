"""Removes layers that timm leaves in a feature extractor though none of the feature maps taken needs them."""

from __future__ import annotations

from timm.models import FeatureInfo
from timm.models.efficientvim import EfficientViM
from timm.models.hrnet import HighResolutionNetFeatures
from torch import nn

from mbv3zoo.backbones.timm_private import FeatureGetterNet


def prune_unused(model: nn.Module) -> None:
    """Removes layers that the feature maps `model` returns do not depend on, in place.

    timm prunes its other families itself. Unused layers cost time and memory, and data-parallel training fails on
    parameters without a gradient.
    """
    if isinstance(model, HighResolutionNetFeatures):
        _prune_hrnet(model)
    if isinstance(model, FeatureGetterNet) and isinstance(model.model, EfficientViM):
        # The weights of its classifiers.
        for name in ('weights', 'weights_dist'):
            model.model.register_parameter(name, None)


def _prune_hrnet(model: HighResolutionNetFeatures) -> None:
    # HRNet ends in parallel branches at strides 4, 8, 16, 32: feature maps 1 to 4. What its last module fuses into a
    # branch that is not taken, and the layers after, are unused; the branch itself feeds the others.
    assert isinstance(model.feature_info, FeatureInfo)
    taken = set(model.feature_info.out_indices)
    fuse_layers = model.stage4[-1].fuse_layers
    for branch in range(len(fuse_layers)):
        if branch + 1 not in taken:
            fuse_layers[branch] = nn.ModuleList([nn.Identity()])
            if model.incre_modules is not None:
                model.incre_modules[branch] = nn.Identity()
