"""What a detector is made of, and what it costs."""

from __future__ import annotations

from typing import Any, NamedTuple

from mbv3zoo.backbone_table import backbone_row, weights_columns
from mbv3zoo.detector import Detector, create_detector
from mbv3zoo.models.operations import count_operations
from mbv3zoo.models.timm_model import check_name


class Cost(NamedTuple):
    """Number of parameters, and floating point operations of one picture (a multiply-add counts as two)."""

    parameters: int
    operations: int


def cost(name: Any, **settings: Any) -> Cost:
    """Counts a detector's parameters and operations without giving it storage.

    Args:
        name, **settings: As for `mbv3zoo.create_detector`.
    """
    return _count(create_detector(name, device='meta', **settings))


def _count(detector: Detector) -> Cost:
    operations = count_operations(detector, detector.config.image_size, detector.config.in_chans)
    return Cost(sum(p.numel() for p in detector.parameters()), operations)


def describe(name: Any) -> str:
    """A table of a detector's settings and cost, as text."""
    detector = create_detector(name, device='meta')
    config = detector.config
    parameters, operations = _count(detector)
    names = ', '.join(config.class_names[:20]) + (', ...' if config.num_classes > 20 else '')
    backbone, weights = detector.backbone, weights_columns(check_name(config.backbone))
    rows = {
        'backbone': config.backbone,
        'route': f'{backbone.route}, from channels {backbone.map_channels} at strides {backbone.reductions}',
        'channels': f'{backbone.channels} at strides {list(detector.strides)}',
        'neck': f'{detector.neck.out_channels}, depth {config.depth_multiple}, width {config.width_multiple}',
        'classes': f'{config.num_classes}: {names}',
        'image size': f'{config.image_size[0]} x {config.image_size[1]}',
        'mean, std': f'{[round(v, 3) for v in config.mean]}, {[round(v, 3) for v in config.std]}',
        'parameters': f'{parameters / 1e6:.2f} M',
        'operations': f'{operations / 1e9:.2f} GFLOPs',
        'weights': '{weights}, trained at {trained_at}'.format(**weights) if weights['weights'] else 'none',
        'licence': weights['licence'] or 'not recorded by timm',
    }
    if not config.backbone_args:  # they may change which it takes
        rows['sizes'] = backbone_row(config.backbone).sizes
    width = max(map(len, rows))
    return '\n'.join(f'{key:{width}}  {value}' for key, value in rows.items())
