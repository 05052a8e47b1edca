"""What a detector is made of, and what it costs."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Unpack

from mbv3zoo.config.layer_rows import LayerRows
from mbv3zoo.config.license_record import LicenseRecord
from mbv3zoo.config.model import ModelConfig
from mbv3zoo.create import create_model
from mbv3zoo.detector import Detector
from mbv3zoo.info.backbones import backbone_row, weights_columns
from mbv3zoo.info.exported import describe_exported
from mbv3zoo.info.flops import count_operations
from mbv3zoo.info.layers import layer_table, read_layer_table
from mbv3zoo.info.rows import classes_row, license_rows, table
from mbv3zoo.models.neck_table import NECKS
from mbv3zoo.models.timm_model import check_name
from mbv3zoo.runtimes.table import find_format
from mbv3zoo.zoo.resolve import resolve
from mbv3zoo.zoo.settings import DetectorSettings
from mbv3zoo.zoo.source import Source


class Cost(NamedTuple):
    """Number of parameters, and floating point operations per image (a multiply-add counts as two)."""

    parameters: int
    operations: int


def cost(name: str | Path | ModelConfig, **settings: Unpack[DetectorSettings]) -> Cost:
    """Counts a detector's parameters and operations without giving it storage.

    Args:
        name, **settings: As for `mbv3zoo.create_detector`.

    Raises:
        ValueError: As there.

    Example:
        >>> cost = mbv3zoo.cost('resnet18', num_classes=2, image_size=320)
        >>> f'{cost.parameters / 1e6:.1f} M parameters, {cost.operations / 1e9:.1f} GFLOPs'
        '12.3 M parameters, 7.8 GFLOPs'
    """
    settings['device'] = 'meta'
    return _count(create_model(name, **settings))


def _count(detector: Detector) -> Cost:
    operations = count_operations(detector, detector.config.image_size, detector.config.in_chans)
    return Cost(sum(p.numel() for p in detector.parameters()), operations)


def describe(name: str | Path | ModelConfig) -> str:
    """A table of a detector's settings, cost and licences, as text; for a YOLOv5 layer list, its rows before that.

    Licences are those of the detector's weights, and where it has none, of its backbone's.

    Args:
        name: As for `mbv3zoo.create_detector`; or an exported file, as for `mbv3zoo.load`.

    Raises:
        ValueError: As there.

    Example:
        >>> print(mbv3zoo.describe('mbv3_yolo_small.synth'))
        backbone     mbv3_yolo_small
        ...
    """
    if isinstance(name, str | Path) and find_format(name):
        return describe_exported(name)
    source, detector = resolve(name), create_model(name, device='meta')
    config = detector.config
    parameters, operations = _count(detector)
    backbone, weights = detector.backbone, weights_columns(check_name(config.backbone))
    rows = {
        'backbone': config.backbone,
        'route': f'{backbone.route}, from channels {backbone.map_channels} at strides {backbone.reductions}',
        'channels': f'{backbone.channels} at strides {list(detector.strides)}',
        **(_neck_and_head(detector) if config.task == 'detection' else {'head': 'LR-ASPP'}),
        'classes': classes_row(config.class_names),
        'image size': f'{config.image_size[0]} x {config.image_size[1]}',
        'mean, std': f'{[round(v, 3) for v in config.mean or ()]}, {[round(v, 3) for v in config.std or ()]}',
        'parameters': f'{parameters / 1e6:.2f} M',
        'operations': f'{operations / 1e9:.2f} GFLOPs',
    }
    if not source.is_saved:  # else it has its own
        rows['weights'] = '{weights}, trained at {trained_at}'.format(**weights) if weights['weights'] else 'none'
    if not config.backbone_args:  # they may change which it takes
        rows['sizes'] = backbone_row(config.backbone).sizes
    shown = table([*rows.items(), *license_rows(_record(source))])
    layers = read_layer_table(source.path) if source.path is not None and not source.is_saved else None
    return shown if layers is None else f'{layer_table(layers)}\n\n{shown}'


def _neck_and_head(detector: Detector) -> dict[str, str]:
    config, neck = detector.config, detector.config.neck
    if isinstance(neck, LayerRows):
        shown = f'rows {neck.first} to {neck.first + len(neck.rows) - 1} of a layer list'
    else:
        shown = NECKS[neck].shown
    scaling = f'depth {config.depth_multiple}, width {config.width_multiple}'
    return {
        'neck': f'{shown}, to {detector.neck.out_channels}, {scaling}',
        'head': f'{config.head}, {detector.head.num_anchors} anchors a cell',
    }


def _record(source: Source) -> LicenseRecord:
    """The licence record of the weights that `pretrained=True` gives."""
    if isinstance(source.name, ModelConfig) and source.name.licenses != LicenseRecord():
        return source.name.licenses
    return source.licenses(source.read_config(), pretrained=True, given={})
