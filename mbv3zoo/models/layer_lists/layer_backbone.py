"""Rows of a YOLOv5 layer list as a timm model: `yolov5_layers`, the backbone of edited layer lists.

Registered with timm, it is frozen, pruned, saved and loaded like any other backbone.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import torch
from timm.layers import ClassifierHead
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from torch import nn

from mbv3zoo.backbones.timm_private import feature_take_indices
from mbv3zoo.config.layer_rows import LayerRows
from mbv3zoo.layer_lists.official import BACKBONE_ROWS, BACKBONE_STAGES
from mbv3zoo.models.layer_lists.layer_graph import LayerGraph, MapShape

# Side in pixels of the image that shapes are inferred with: a multiple of all usual strides.
_SIDE = 640
# As in DetectorConfig: a backbone's arguments may come from an untrusted file.
_LARGEST_MULTIPLE = 4


class LayerListNet(nn.Module):
    """A backbone from rows, with a classifier unless built with `features_only`.

    Args:
        rows: The rows, or their JSON values; those of YOLOv5 v6.0 by default. Their outputs are the feature maps.
        depth_multiple, width_multiple: Compound scaling; YOLOv5n's by default.
        act_layer: Activation, by its name in timm.layers or as YOLOv5 files write it ('nn.LeakyReLU(0.1)').
        in_chans: Channels of the image.
        num_classes: Classes of the classifier; 0 for none.
        global_pool: Pooling before the classifier.
        drop_rate: Dropout before the classifier.

    Raises:
        ValueError: As `LayerGraph`; or a multiple is not above 0 and at most 4, a feature map has a smaller stride than
            the one before it, or its stride is not an integer.
    """

    def __init__(
        self,
        rows: LayerRows | dict[str, Any] | None = None,
        depth_multiple: float = 0.33,
        width_multiple: float = 0.25,
        act_layer: str = 'silu',
        in_chans: int = 3,
        num_classes: int = 1000,
        global_pool: str = 'avg',
        drop_rate: float = 0.0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        for name, value in (('depth_multiple', depth_multiple), ('width_multiple', width_multiple)):
            if not isinstance(value, (int, float)) or not 0 < value <= _LARGEST_MULTIPLE:
                raise ValueError(f'{name} must be above 0 and at most {_LARGEST_MULTIPLE}, given {value!r}')
        self.rows = _parse(rows)
        picture = MapShape(in_chans, _SIDE, _SIDE)
        with torch.device(device) if device is not None else nullcontext():
            self.graph = LayerGraph(self.rows, [picture], depth_multiple, width_multiple, act_layer)
        self.feature_info: list[dict[str, Any]] = [
            {
                'num_chs': self.graph.shapes[number].channels,
                'reduction': self.graph.stride(number, (_SIDE, _SIDE)),
                'module': f'graph.layers.{number}',
            }
            for number in self.rows.outputs
        ]
        reductions = [info['reduction'] for info in self.feature_info]
        if reductions != sorted(reductions):
            raise ValueError(
                f'the backbone rows {list(self.rows.outputs)} that the head takes have strides {reductions}; expected '
                'none finer than the one before it. Put rows that upsample under head.'
            )
        self.num_classes = num_classes
        self.num_features = self.head_hidden_size = self.feature_info[-1]['num_chs']
        self.head = ClassifierHead(self.num_features, num_classes, global_pool, drop_rate)
        self.to(device=device, dtype=dtype)

    def group_matcher(self, coarse: bool = False) -> dict[str, str]:
        """As timm's models have it: each row is one layer."""
        return {'stem': rf'^graph\.layers\.{self.rows.first}\.', 'blocks': r'^graph\.layers\.(\d+)\.'}

    def get_classifier(self) -> nn.Module:
        return self.head.fc

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        self.num_classes = num_classes
        self.head.reset(num_classes, global_pool)

    def forward_intermediates(
        self,
        x: torch.Tensor,
        indices: int | list[int] | None = None,
        norm: bool = False,
        stop_early: bool = False,
        output_fmt: str = 'NCHW',
        intermediates_only: bool = False,
    ) -> Any:
        """As timm's models have it; `norm` and `stop_early` have no effect."""
        if output_fmt != 'NCHW':
            raise ValueError(f"output_fmt is {output_fmt!r}, expected 'NCHW'")
        taken, _ = feature_take_indices(len(self.rows.outputs), indices)
        maps = self.graph([x])
        intermediates = [maps[index] for index in taken]
        return intermediates if intermediates_only else (maps[-1], intermediates)

    def prune_intermediate_layers(
        self, indices: int | list[int] = 1, prune_norm: bool = False, prune_head: bool = True
    ) -> list[int]:
        """As timm's models have it: removes the classifier, and no rows, as their outputs are the feature maps."""
        taken, _ = feature_take_indices(len(self.rows.outputs), indices)
        if prune_head:
            self.reset_classifier(0, '')
        return taken

    def forward_features(self, x: torch.Tensor) -> torch.Tensor:
        return self.graph([x])[-1]

    def forward_head(self, x: torch.Tensor, pre_logits: bool = False) -> torch.Tensor:
        return self.head(x, pre_logits=pre_logits)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.forward_head(self.forward_features(x))


def _parse(rows: LayerRows | dict[str, Any] | None) -> LayerRows:
    if rows is None:
        return LayerRows(rows=BACKBONE_ROWS, first=0, inputs=(-1,), outputs=BACKBONE_STAGES)
    return rows if isinstance(rows, LayerRows) else LayerRows.parse(rows, 'rows of the backbone')


# Must stand above the entrypoint: register_model reads it when it decorates it.
default_cfgs = generate_default_cfgs(
    {
        'yolov5_layers.untrained': {
            'input_size': (3, _SIDE, _SIDE),
            'mean': (0.0, 0.0, 0.0),
            'std': (1.0, 1.0, 1.0),
            'num_classes': 1000,
            'classifier': 'head.fc',
        }
    }
)


@register_model
def yolov5_layers(pretrained: bool = False, **kwargs: Any) -> nn.Module:
    """The backbone that `rows` describe (see `LayerListNet`); YOLOv5n's by default."""
    # timm's default asks for five feature maps; here there are as many as outputs.
    out_indices = kwargs.pop('out_indices', None)
    kwargs['rows'] = _parse(kwargs.get('rows'))
    if out_indices is None:
        out_indices = tuple(range(len(kwargs['rows'].outputs)))
    feature_cfg = {'feature_cls': 'getter', 'out_indices': out_indices}
    return build_model_with_cfg(LayerListNet, 'yolov5_layers', pretrained, feature_cfg=feature_cfg, **kwargs)
