"""What training does with a network's backbone: freezing, gradient checkpointing, and timm's protocol of layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

from torch import nn

from mbv3zoo.models.backbone import Backbone


class Trainable(nn.Module):
    """A network with a backbone that is trained."""

    backbone: Backbone

    def freeze_backbone(self, stages: int) -> Self:
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

    def freeze_norm(self) -> Self:
        """Freezes the backbone's BatchNorms, statistics included, for small batches. Returns self.

        Of transformers and others without BatchNorm it changes nothing.

        Example:
            >>> detector = mbv3zoo.create_detector('mbv3_yolo_small').freeze_norm()
            >>> detector.backbone.model.bn1.weight.requires_grad
            False
        """
        self.backbone.freeze_norms()
        return self

    def set_grad_checkpointing(self, enable: bool = True) -> Self:
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
