"""`mbv3zoo list` and `mbv3zoo info`: what exists, and what a model is made of."""

from __future__ import annotations

from typing import Annotated

import typer

from mbv3zoo.cli.options import MODEL, Quiet
from mbv3zoo.utils.text import aligned


def list_(
    filter: Annotated[str, typer.Argument(help="Pattern such as 'mbv3*'.", show_default='all')] = '',
    pretrained: Annotated[
        bool, typer.Option('--pretrained', help='Only those with weights.', rich_help_panel=MODEL)
    ] = False,
    backbones: Annotated[
        bool, typer.Option('--backbones', help='timm backbones instead.', rich_help_panel=MODEL)
    ] = False,
    quiet: Quiet = False,
) -> None:
    """List detectors and segmenters, or backbones with what they cost. docs/backbones.md explains the columns."""
    if backbones:
        from mbv3zoo.info.backbones import BackboneRow, backbone_rows

        rows = list(backbone_rows(filter, pretrained))
        lines = aligned([BackboneRow._fields, *rows]) if rows else []
    else:
        from mbv3zoo.create import list_detectors, list_segmenters

        lines = sorted([*list_detectors(filter, pretrained), *list_segmenters(filter, pretrained)])
    typer.echo('\n'.join(lines))


def info(
    name: Annotated[
        str,
        typer.Argument(help='Name, run, folder, repository, exported file; of a YOLOv5 YAML its layers.'),
    ],
    quiet: Quiet = False,
) -> None:
    """Show what a model or exported file is made of, and costs."""
    from mbv3zoo.runtimes.table import find_format

    if find_format(name):
        from mbv3zoo.info.exported import describe_exported

        typer.echo(describe_exported(name))
        return
    from mbv3zoo.info.describe import describe

    typer.echo(describe(name))
