"""`mbv3zoo train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mbv3zoo.cli.options import DATA_HELP, Images, given, parse_settings
from mbv3zoo.cli.output import tell
from mbv3zoo.utils.folders import next_folder


def train(
    data: Annotated[str | None, typer.Option(help=DATA_HELP)] = None,
    val_data: Annotated[str | None, typer.Option(help='Validation split, where it is a file of its own.')] = None,
    images: Images = None,
    data_license: Annotated[str | None, typer.Option(help="The data's licence, for the record.")] = None,
    model: Annotated[str, typer.Option(help='Name, YAML file, saved folder, or Hub repository.')] = 'mbv3_yolo_small',
    pretrained: Annotated[bool, typer.Option('--pretrained', help="Start from the model's weights.")] = False,
    image_size: Annotated[int | None, typer.Option(help='Side of the input in pixels.')] = None,
    epochs: Annotated[int | None, typer.Option(help='Passes over the training set.')] = None,
    batch_size: Annotated[int | None, typer.Option(help='Pictures a step, of each process.')] = None,
    optimizer: Annotated[str | None, typer.Option(help='adamw, sgd, or another name of timm.optim.')] = None,
    lr: Annotated[float | None, typer.Option(help='Peak learning rate.')] = None,
    augmentation: Annotated[str | None, typer.Option(help='none, light, medium or heavy.')] = None,
    freeze: Annotated[int | None, typer.Option(help='Stages of the backbone that do not learn.')] = None,
    patience: Annotated[int | None, typer.Option(help='Stop after so many epochs without a better AP.')] = None,
    cache: Annotated[str | None, typer.Option(help='Keep decoded pictures: no, memory or disk.')] = None,
    workers: Annotated[int | None, typer.Option(help='Loader processes.')] = None,
    seed: Annotated[int | None, typer.Option(help='Seed of everything drawn.')] = None,
    tracker: Annotated[str | None, typer.Option(help="One of accelerate's trackers, such as tensorboard.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option('--set', help='Any other setting of TrainConfig, as name=value.')
    ] = None,
    out: Annotated[Path | None, typer.Option(help='Folder of the run; by default the next runs/train-N.')] = None,
    resume: Annotated[Path | None, typer.Option(help='Go on with the run in this folder.')] = None,
    preview: Annotated[
        Path | None, typer.Option(help='Only draw a training batch with its boxes into this PNG, to check labels.')
    ] = None,
) -> None:
    """Train a detector; writes `best` and `last` as folders that load and push."""
    from mbv3zoo.training import run

    if resume:
        run.resume(resume)
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
        freeze_backbone=freeze,
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
        data_license=data_license,
        **settings | parse_settings(set_ or []),
    )
    if preview:
        run.preview(config, preview)
        typer.echo(f'drawn in {preview}')
        return
    out = out or next_folder(Path('runs'), 'train')
    run.start(config, out)
    tell(f'saved in {out}')
