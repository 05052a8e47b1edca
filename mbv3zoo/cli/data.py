"""`mbv3zoo synth`: a labelled data set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mbv3zoo.cli.options import given, parse_settings


def synth(
    out: Annotated[Path, typer.Argument(help='New folder for the data set.')],
    train: Annotated[int | None, typer.Option(help='Training scenes.')] = None,
    val: Annotated[int | None, typer.Option(help='Validation scenes.')] = None,
    shift: Annotated[
        int | None, typer.Option(help='Scenes of a third split: other, drawn backgrounds and a worse camera.')
    ] = None,
    image_size: Annotated[int | None, typer.Option(help='Longest side in pixels.')] = None,
    seed: Annotated[int | None, typer.Option(help='The same seed gives the same bytes.')] = None,
    workers: Annotated[int | None, typer.Option(help='Processes.')] = None,
    objects: Annotated[Path | None, typer.Option(help='Your cut-outs: a folder of PNGs for each class.')] = None,
    backgrounds: Annotated[Path | None, typer.Option(help='Your backgrounds: a folder of pictures.')] = None,
    set_: Annotated[
        list[str] | None, typer.Option('--set', help='Any other setting of SyntheticConfig, as name=value.')
    ] = None,
) -> None:
    """Compose a labelled data set from cut-outs; needs no download."""
    from mbv3zoo.synth import SyntheticConfig, synthesize
    from mbv3zoo.utils.progress import bar

    settings = given(
        train=train,
        val=val,
        shift=shift,
        image_size=image_size,
        seed=seed,
        workers=workers,
        objects=objects,
        backgrounds=backgrounds,
    )
    settings |= parse_settings(set_ or [])
    config = SyntheticConfig.parse(settings, 'synth')
    with bar(config.train + config.val + config.shift, 'scenes') as progress:
        counts = synthesize(out, config, lambda done: progress.update(done - progress.n))
    typer.echo(f'{out}: {", ".join(f"{value} {key}" for key, value in counts.items())}')
