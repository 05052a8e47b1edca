"""`mbv3zoo train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mbv3zoo.cli.described import DescribedCommand
from mbv3zoo.cli.options import DATA_HELP, ImageSize, MaxPixels, Settings, given, with_set
from mbv3zoo.cli.output import tell


class TrainCommand(DescribedCommand):
    def settings(self) -> dict[str, Any]:
        from mbv3zoo.config.training import RunConfig, TrainConfig

        places = {name: RunConfig.model_fields[name] for name in ('model', 'pretrained')}
        return places | TrainConfig.model_fields


def train(
    context: typer.Context,
    data: Annotated[str | None, typer.Option(help=DATA_HELP)] = None,
    val_data: Annotated[str | None, typer.Option(help='The validation split, if it is not in --data.')] = None,
    images: Annotated[str | None, typer.Option(help='Image folder of --data where that is a COCO file.')] = None,
    val_images: Annotated[str | None, typer.Option(help='Image folder of the validation split, likewise.')] = None,
    data_license: Annotated[str | None, typer.Option(help='Licence of images and labels, for the record.')] = None,
    model: str | None = None,
    pretrained: Annotated[bool | None, typer.Option('--pretrained/--no-pretrained')] = None,
    image_size: ImageSize = None,
    max_pixels: MaxPixels = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    optimizer: str | None = None,
    lr: float | None = None,
    augmentation: str | None = None,
    freeze_backbone: Annotated[int | None, typer.Option('--freeze')] = None,
    patience: int | None = None,
    cache: str | None = None,
    workers: int | None = None,
    seed: int | None = None,
    tracker: str | None = None,
    set_: Settings = None,
    out: Annotated[Path | None, typer.Option(help='Folder of the run; by default the next runs/train-N.')] = None,
    resume: Annotated[
        Path | None,
        typer.Option(help='Resume the run in this folder; takes --epochs, --patience, --workers and --cache.'),
    ] = None,
    preview: Annotated[
        Path | None,
        typer.Option(
            help='Only draw 16 training images with their boxes into this PNG, to check labels; --seed draws others.'
        ),
    ] = None,
) -> None:
    """Train a detector; writes `best` and `last` as folders that load and push."""
    from mbv3zoo.training import run
    from mbv3zoo.training.run_folder import new_run

    if resume:
        _check_resumable(context)
        if run.resume(resume, epochs=epochs, patience=patience, workers=workers, cache=cache, tell=tell):
            tell(f'saved in {resume}')
        return
    if not data:
        raise ValueError('name a data set with --data, or a run with --resume')
    settings = given(
        epochs=epochs,
        batch_size=batch_size,
        optimizer=optimizer,
        lr=lr,
        augmentation=augmentation,
        freeze_backbone=freeze_backbone,
        patience=patience,
        cache=cache,
        workers=workers,
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
        max_pixels=max_pixels,
        data_license=data_license,
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

    taken, refused = ('resume', *CHANGEABLE), []
    for option in context.command.params:
        source = context.get_parameter_source(str(option.name))
        # By its name: the enumeration is click's in some versions of typer, and typer's own in others.
        if option.name not in taken and source is not None and source.name == 'COMMANDLINE':
            refused.append(max(option.opts, key=len))
    if refused:
        able = ', '.join(f'--{name}' for name in CHANGEABLE)
        raise ValueError(f'--resume takes no {", ".join(refused)}: the run keeps its settings, except for {able}')
