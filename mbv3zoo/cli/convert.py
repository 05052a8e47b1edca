"""`mbv3zoo convert`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mbv3zoo.cli.options import PUBLISHING, Quiet, given
from mbv3zoo.cli.quiet import note


def convert(
    checkpoint: Annotated[Path, typer.Argument(help='A .pt file of YOLOv5 v6 or v7, or of a tree patched from it.')],
    folder: Annotated[Path, typer.Argument(help='New folder for the detector.')],
    license: Annotated[
        str | None,
        typer.Option(
            help='Licence of the weights, for the record.',
            show_default="agpl-3.0, as YOLOv5's",
            rich_help_panel=PUBLISHING,
        ),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Turn a YOLOv5 checkpoint into a detector. It gives the same numbers; nothing in the file is run."""
    from mbv3zoo.convert.convert import convert_checkpoint

    detector, read = convert_checkpoint(checkpoint, folder, **given(license=license))
    config, weights = detector.config, 'EMA weights' if read.source == 'ema' else 'weights'
    height, width = config.image_size
    note(f'{weights} on {config.backbone}, {config.num_classes} classes, pictures of {height} x {width}')
    typer.echo(f'saved in {folder}, under the licence {config.licenses.imported.license}')
