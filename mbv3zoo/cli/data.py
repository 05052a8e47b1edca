"""`mbv3zoo synth`: a labelled dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mbv3zoo.cli.described import DescribedCommand
from mbv3zoo.cli.options import Quiet, Settings, given, with_set


class SynthCommand(DescribedCommand):
    group = 'Scenes'

    def settings(self) -> dict[str, Any]:
        from mbv3zoo.synth.config import SyntheticConfig

        return dict(SyntheticConfig.model_fields)


def synth(
    out: Annotated[Path, typer.Argument(help='New folder for the dataset.')],
    train: int | None = None,
    val: int | None = None,
    shift: int | None = None,
    image_size: int | None = None,
    seed: int | None = None,
    workers: int | None = None,
    objects: Path | None = None,
    backgrounds: Path | None = None,
    masks: bool | None = None,
    set_: Settings = None,
    quiet: Quiet = False,
) -> None:
    """Compose a labelled dataset from cut-outs; needs no download."""
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
        masks=masks,
    )
    config = SyntheticConfig.parse(with_set(settings, set_), 'synth')
    with bar(config.train + config.val + config.shift, 'synth', things='scenes') as progress:
        counts = synthesize(out, config, lambda done: progress.update(done - progress.n))
    typer.echo(f'{out}: {", ".join(f"{value} {key}" for key, value in counts.items())}')
