"""`mbv3zoo fit`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, cast

import typer

from mbv3zoo.cli.described import Command
from mbv3zoo.cli.options import (
    FORMAT,
    OUTPUT,
    RUNTIME,
    TRAINING,
    Data,
    ImageSize,
    MaxPixels,
    Model,
    Quiet,
    TrainImages,
    ValData,
    ValImages,
    ValShare,
    with_set,
)
from mbv3zoo.cli.output import tell
from mbv3zoo.fitting.budget import EPOCHS, RUNTIMES_THAT_FIT

BUDGET = 'Budget'


class FitCommand(Command):
    def settings(self) -> dict[str, Any]:
        from mbv3zoo.config.training import RunConfig, TrainConfig

        return {'recipe': RunConfig.model_fields['recipe']} | TrainConfig.model_fields


def fit(
    model: Model,
    data: Data,
    ms: Annotated[
        list[float] | None,
        typer.Option(
            help='Most milliseconds of a call with one image; may be repeated.',
            show_default='none',
            rich_help_panel=BUDGET,
        ),
    ] = None,
    speedup: Annotated[
        list[float] | None,
        typer.Option(
            help='In place of --ms: how many times faster, such as 1.5; may be repeated.',
            show_default='none',
            rich_help_panel=BUDGET,
        ),
    ] = None,
    runtime: Annotated[
        str, typer.Option(help=f'{" or ".join(RUNTIMES_THAT_FIT)}.', rich_help_panel=RUNTIME)
    ] = RUNTIMES_THAT_FIT[0],
    image_size: ImageSize = None,
    min_image_size: Annotated[
        int | None,
        typer.Option(
            help='The input may become smaller too, down to this side in pixels.',
            show_default='stays',
            rich_help_panel=BUDGET,
        ),
    ] = None,
    precision: Annotated[str, typer.Option(help='float32 or int8.', rich_help_panel=FORMAT)] = 'float32',
    threads: Annotated[
        int | None,
        typer.Option(
            help='Threads of the runtime, and of the training.', show_default='one a core', rich_help_panel=RUNTIME
        ),
    ] = None,
    epochs: Annotated[
        int, typer.Option(help='Epochs of training afterwards; 0: none.', rich_help_panel=TRAINING)
    ] = EPOCHS,
    val_data: ValData = None,
    images: TrainImages = None,
    val_images: ValImages = None,
    val_share: ValShare = None,
    max_pixels: MaxPixels = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            '--set',
            help='A setting of the training, as name=value, as for `mbv3zoo train`; may be repeated.',
            show_default='none',
            rich_help_panel=TRAINING,
        ),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(
            help='Device of the training: cpu, cuda, cuda:1, mps, or the number of a GPU.',
            show_default='a GPU if there is one',
            rich_help_panel=RUNTIME,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help='Folder of the fitted model, or of a fit that goes on.',
            show_default='the next runs/fit-N',
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Make a trained model as fast as you need it on this machine."""
    from mbv3zoo.fitting.fit import fit

    results = fit(
        model,
        data,
        ms=_one_or_more(ms),
        speedup=_one_or_more(speedup),
        runtime=runtime,
        image_size=image_size,
        min_image_size=min_image_size,
        precision=cast(Any, precision),
        epochs=epochs,
        val_data=val_data,
        images=images,
        val_images=val_images,
        val_share=val_share,
        max_pixels=max_pixels,
        out=out,
        device=device,
        **with_set({} if threads is None else {'threads': threads}, set_),
    )
    for result in results if isinstance(results, list) else [results]:
        record = result.record
        tell(
            f'{record.measured_ms:.2f} ms, before {record.before_ms:.2f} ms; {record.measure} '
            f'{record.quality_after or record.quality_narrowed:.3f}, before {record.quality_before:.3f}; '
            f'saved in {result.folder}'
        )


def _one_or_more(values: list[float] | None) -> float | list[float] | None:
    """One value is a fit of its own, several are a family."""
    return values[0] if values and len(values) == 1 else values or None
