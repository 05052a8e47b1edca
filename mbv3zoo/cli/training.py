"""`mbv3zoo train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mbv3zoo.cli.described import DescribedCommand
from mbv3zoo.cli.options import (
    DATA,
    DATA_HELP,
    IMAGES,
    MODEL,
    OUTPUT,
    RUNTIME,
    TRAINING,
    ImageSize,
    MaxPixels,
    Quiet,
    Settings,
    TrainImages,
    ValData,
    ValImages,
    ValShare,
    given,
    read_size,
    with_set,
)
from mbv3zoo.cli.output import tell


class TrainCommand(DescribedCommand):
    group = TRAINING

    def settings(self) -> dict[str, Any]:
        from mbv3zoo.config.training import RunConfig, TrainConfig

        places = {name: RunConfig.model_fields[name] for name in ('model', 'pretrained', 'recipe')}
        return places | TrainConfig.model_fields


def train(
    context: typer.Context,
    data: Annotated[
        str | None,
        typer.Option(help=DATA_HELP + ' Needed, unless a run is resumed.', show_default=False, rich_help_panel=DATA),
    ] = None,
    val_data: ValData = None,
    images: TrainImages = None,
    val_images: ValImages = None,
    val_share: ValShare = None,
    data_license: Annotated[
        str | None,
        typer.Option(
            help='Licence of images and labels, for the record.', show_default='unknown', rich_help_panel=DATA
        ),
    ] = None,
    model: Annotated[str | None, typer.Option(rich_help_panel=MODEL)] = None,
    pretrained: Annotated[
        bool | None,
        typer.Option('--pretrained/--no-pretrained', show_default='for a saved detector', rich_help_panel=MODEL),
    ] = None,
    image_size: ImageSize = None,
    max_pixels: MaxPixels = None,
    recipe: str | None = None,
    epochs: int | None = None,
    minutes: float | None = None,
    batch_size: int | None = None,
    optimizer: str | None = None,
    lr: float | None = None,
    augmentation: str | None = None,
    slice_: Annotated[
        Any,
        typer.Option('--slice', parser=read_size, metavar='<size>', show_default='not cut', rich_help_panel=IMAGES),
    ] = None,
    balance: str | None = None,
    teacher: str | None = None,
    freeze_backbone: Annotated[int | None, typer.Option('--freeze', rich_help_panel=MODEL)] = None,
    patience: int | None = None,
    cache: Annotated[str | None, typer.Option(rich_help_panel=RUNTIME)] = None,
    workers: Annotated[int | None, typer.Option(rich_help_panel=RUNTIME)] = None,
    threads: Annotated[int | None, typer.Option(rich_help_panel=RUNTIME)] = None,
    device: Annotated[
        str | None,
        typer.Option(
            help='cpu, cuda, cuda:1, mps, or the number of a GPU.',
            show_default='a GPU if there is one',
            rich_help_panel=RUNTIME,
        ),
    ] = None,
    seed: int | None = None,
    tracker: Annotated[str | None, typer.Option(rich_help_panel=OUTPUT)] = None,
    set_: Settings = None,
    out: Annotated[
        Path | None,
        typer.Option(help='Folder of the run.', show_default='the next runs/train-N', rich_help_panel=OUTPUT),
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(
            help='Resume the run in this folder; takes --epochs, --minutes, --patience, --workers, --threads, --cache.',
            show_default='none',
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    preview: Annotated[
        Path | None,
        typer.Option(
            help='Only draw 16 training images with their boxes into this PNG, to check labels; --seed draws others.',
            show_default='none',
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Train a detector or segmenter. Writes `best` and `last` as folders that load and push."""
    from mbv3zoo.training import run
    from mbv3zoo.training.devices import use_device
    from mbv3zoo.training.run_folder import new_run

    use_device(device)
    if resume:
        _check_resumable(context)
        changes: dict[str, Any] = {'workers': workers, 'threads': threads, 'cache': cache}
        if run.resume(resume, epochs=epochs, minutes=minutes, patience=patience, **changes, tell=tell):
            tell(f'saved in {resume}')
        return
    if not data:
        raise ValueError('name a data set with --data, or a run with --resume')
    settings = given(
        epochs=epochs,
        minutes=minutes,
        batch_size=batch_size,
        optimizer=optimizer,
        lr=lr,
        augmentation=augmentation,
        slice=slice_,
        balance=balance,
        teacher=teacher,
        freeze_backbone=freeze_backbone,
        patience=patience,
        cache=cache,
        workers=workers,
        threads=threads,
        seed=seed,
        tracker=tracker,
    )
    config = run.run_config(
        data,
        model=model,
        pretrained=pretrained,
        image_size=image_size,
        val_data=val_data,
        images=images,
        val_images=val_images,
        val_share=val_share,
        max_pixels=max_pixels,
        data_license=data_license,
        recipe=recipe,
        **with_set(settings, set_),
    )
    if preview:
        tell(f'drawn in {run.preview(config, preview)}')
        return
    with new_run(out) as folder:
        run.start(config, folder)
    tell(f'saved in {folder}')


def _check_resumable(context: typer.Context) -> None:
    """Raises ValueError where an option was given that a run which goes on does not take."""
    from mbv3zoo.training.progress import CHANGEABLE

    taken, refused = ('resume', 'quiet', 'device', *CHANGEABLE), []
    for option in context.command.params:
        source = context.get_parameter_source(str(option.name))
        # By its name: the enumeration is click's in some versions of typer, and typer's own in others.
        if option.name not in taken and source is not None and source.name == 'COMMANDLINE':
            refused.append(max(option.opts, key=len))
    if refused:
        able = ', '.join(f'--{name}' for name in CHANGEABLE)
        raise ValueError(f'--resume takes no {", ".join(refused)}: the run keeps its settings, except for {able}')
