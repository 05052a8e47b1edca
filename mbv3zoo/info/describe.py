"""What a detector is made of, and what it costs."""

from __future__ import annotations

from typing import Any, NamedTuple

from mbv3zoo.config.detector import DetectorConfig
from mbv3zoo.config.layer_rows import LayerRows
from mbv3zoo.config.license_record import LicenseRecord
from mbv3zoo.create import create_detector
from mbv3zoo.detector import Detector
from mbv3zoo.info.backbones import backbone_row, weights_columns
from mbv3zoo.info.flops import count_operations
from mbv3zoo.info.layers import layer_table, read_layer_table
from mbv3zoo.licenses import fresh_record, license_rows, weights_license
from mbv3zoo.models.neck_table import NECKS
from mbv3zoo.models.timm_model import check_name
from mbv3zoo.zoo.configs import is_config_file
from mbv3zoo.zoo.saved import find_saved, read_saved
from mbv3zoo.zoo.timm_source import is_timm_source, read_timm_source


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
    """A table of a detector's settings, cost and licences, as text; for a YOLOv5 layer list, its rows before that.

    Licences are those of the detector's weights, and where it has none, of its backbone's.

    Args:
        name: As for `mbv3zoo.create_detector`.
    """
    detector = create_detector(name, device='meta')
    config = detector.config
    parameters, operations = _count(detector)
    names = ', '.join(config.class_names[:20]) + (', ...' if config.num_classes > 20 else '')
    backbone, weights = detector.backbone, weights_columns(check_name(config.backbone))
    rows = {
        'backbone': config.backbone,
        'route': f'{backbone.route}, from channels {backbone.map_channels} at strides {backbone.reductions}',
        'channels': f'{backbone.channels} at strides {list(detector.strides)}',
        'neck': _neck(detector),
        'classes': f'{config.num_classes}: {names}',
        'image size': f'{config.image_size[0]} x {config.image_size[1]}',
        'mean, std': f'{[round(v, 3) for v in config.mean]}, {[round(v, 3) for v in config.std]}',
        'parameters': f'{parameters / 1e6:.2f} M',
        'operations': f'{operations / 1e9:.2f} GFLOPs',
    }
    if find_saved(name) is None:  # else it has its own
        rows['weights'] = '{weights}, trained at {trained_at}'.format(**weights) if weights['weights'] else 'none'
    if not config.backbone_args:  # they may change which it takes
        rows['sizes'] = backbone_row(config.backbone).sizes
    lines = [*rows.items(), *_license_lines(_record(name, config))]
    width = max(len(key) for key, _ in lines)
    table = '\n'.join(f'{key:{width}}  {value}' for key, value in lines)
    rows = read_layer_table(name) if is_config_file(name) else None
    return table if rows is None else f'{layer_table(rows)}\n\n{table}'


def _neck(detector: Detector) -> str:
    config, neck = detector.config, detector.config.neck
    if isinstance(neck, LayerRows):
        shown = f'rows {neck.first} to {neck.first + len(neck.rows) - 1} of a layer list'
    else:
        shown = NECKS[neck].shown
    return f'{shown}, to {detector.neck.out_channels}, depth {config.depth_multiple}, width {config.width_multiple}'


def _record(name: Any, config: DetectorConfig) -> LicenseRecord:
    """The licence record of the weights that `pretrained=True` gives."""
    if isinstance(name, DetectorConfig):
        known = name.licenses != LicenseRecord()
        return name.licenses if known else fresh_record(config.backbone, pretrained=True)
    if (place := find_saved(name)) is not None:
        return read_saved(place).config.licenses
    if is_timm_source(name):
        args = {'pretrained_cfg': read_timm_source(name, pretrained=False).pretrained_cfg}
        return fresh_record(config.backbone, True, args, config.licenses, repository=name.partition(':')[2])
    return fresh_record(config.backbone, pretrained=True, declared=config.licenses)


def _license_lines(record: LicenseRecord) -> list[tuple[str, str]]:
    parts = [(f'  {part}', f'{license}, {source}' if source else license) for part, license, source in
             license_rows(record)]  # fmt: skip
    return [('licence', f'{weights_license(record)} (the weights as a whole)'), *parts]
