"""The table of timm's backbones: feature maps, cost, accepted image sizes, weights and their licence.

It comes with the package (docs/backbones.csv, made by tools/backbone_table.py); a name that is not in it is measured
on demand.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import timm
from timm.models import PretrainedCfg, model_entrypoint

from mbv3zoo.info.flops import count_operations
from mbv3zoo.models.pyramid import PyramidBackbone
from mbv3zoo.models.sizes import accepted_sizes
from mbv3zoo.models.timm_model import check_name, default_image_size

_PACKAGE = Path(__file__).parents[1]


class BackboneRow(NamedTuple):
    """One row of the table; all values are strings, as printed.

    Attributes:
        name: timm's name.
        family: timm's module that defines it.
        route: How it provides its levels; see `mbv3zoo.models.levels.Route`.
        strides: Stride of the feature maps that C3, C4, C5 are made from.
        channels: Channels of these feature maps.
        parameters: In millions, of what a detector uses of it, with the layers that make missing levels.
        gflops: Floating point operations of the same at `image_size`, in 10^9; a multiply-add counts as two.
        image_size: Default height x width of a detector on it, in pixels.
        sizes: Accepted sizes; "any" means any multiples of 32.
        weights: Tag of the weights that `pretrained=True` loads.
        trained_at: height x width in pixels that these were trained at.
        licence: Licence of these weights, if timm records it.
        timm: timm's version at the measurement.
    """

    name: str
    family: str
    route: str
    strides: str
    channels: str
    parameters: str
    gflops: str
    image_size: str
    sizes: str
    weights: str
    trained_at: str
    licence: str
    timm: str


def measure(name: str) -> BackboneRow:
    """Measures a backbone on the meta device, without weights.

    Raises:
        ValueError: timm does not know the name.
    """
    record = check_name(name)
    size = default_image_size(name)
    backbone = PyramidBackbone(name, size, device='meta')
    return BackboneRow(
        name=name,
        family=model_entrypoint(name.split('.')[0]).__module__.split('.')[-1],
        route=str(backbone.route),
        strides=' '.join(map(str, backbone.reductions)),
        channels=' '.join(map(str, backbone.map_channels)),
        parameters=f'{sum(p.numel() for p in backbone.parameters()) / 1e6:.2f}',
        gflops=f'{count_operations(backbone, size) / 1e9:.2f}',
        image_size=f'{size[0]} x {size[1]}',
        # Others take any size, which need not be tried.
        sizes=accepted_sizes(name) if backbone.bound or record.min_input_size else 'any',
        **weights_columns(record),
        timm=timm.__version__,
    )


def backbone_row(name: str) -> BackboneRow:
    """The table's row of a backbone, measured if the packaged table does not have it.

    Args:
        name: timm's name; with a tag, the row is about those weights.

    Raises:
        ValueError: timm does not know the name.
    """
    architecture = name.split('.')[0]
    record, row = check_name(name), _packaged_rows().get(architecture)
    if row is None or (row.image_size != '640 x 640' and record.input_size != check_name(architecture).input_size):
        return measure(name)
    return row._replace(name=name, **weights_columns(record))


def backbone_rows(pattern: str = '', pretrained: bool = False) -> Iterator[BackboneRow]:
    """The table's rows of all backbones that match a pattern such as 'resnet*'.

    Args:
        pattern: As for `timm.list_models`; '' for all.
        pretrained: Only those with weights, one row per tag.
    """
    names = timm.list_pretrained(pattern) if pretrained else timm.list_models(pattern)
    return map(backbone_row, names)


def table_path() -> Path:
    """Path of the packaged table: in the wheel, or in the repository's docs."""
    packaged = _PACKAGE / 'backbones.csv'
    return packaged if packaged.is_file() else _PACKAGE.parent / 'docs' / 'backbones.csv'


def write_rows(path: Path, rows: Iterable[BackboneRow]) -> None:
    """Writes the table as CSV."""
    with path.open('w', encoding='utf-8', newline='') as file:
        writer = csv.writer(file, lineterminator='\n')
        writer.writerow(BackboneRow._fields)
        writer.writerows(rows)


def weights_columns(record: PretrainedCfg) -> dict[str, str]:
    """The columns about a tag's weights, from its pretrained_cfg."""
    if not record.has_weights:
        return {'weights': '', 'trained_at': '', 'licence': ''}
    return {
        'weights': record.tag or 'untagged',
        'trained_at': '{1} x {2}'.format(*record.input_size),
        'licence': record.license or '',
    }


@cache
def _packaged_rows() -> dict[str, BackboneRow]:
    if not table_path().is_file():
        return {}
    with table_path().open(encoding='utf-8', newline='') as file:
        return {line['name']: BackboneRow(**line) for line in csv.DictReader(file)}
