"""`mbv3zoo check` and `split`: a dataset before it is trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mbv3zoo.cli.options import (
    DATA,
    DATA_HELP,
    IMAGES,
    OUTPUT,
    SIZE_HELP,
    Images,
    MaxPixels,
    Quiet,
    TrainImages,
    ValData,
    ValImages,
    read_size,
)


def check(
    data: Annotated[str, typer.Argument(help=DATA_HELP)],
    image_size: Annotated[
        Any,
        typer.Option(parser=read_size, metavar='<size>', help=SIZE_HELP, show_default='640', rich_help_panel=IMAGES),
    ] = None,
    val_data: ValData = None,
    images: TrainImages = None,
    val_images: ValImages = None,
    max_pixels: MaxPixels = None,
    html: Annotated[
        Path | None,
        typer.Option(
            help='Also write a page with pictures of the worst cases.', show_default='none', rich_help_panel=OUTPUT
        ),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Look for what is wrong with a dataset, before it is trained on.

    Ends with status 1 if there are errors: pictures of train that are in val too, damaged ones, other classes.
    """
    from mbv3zoo.checks.dataset import check_dataset
    from mbv3zoo.checks.page import page_of
    from mbv3zoo.utils.atomic import atomic_write

    if html is not None and html.suffix.lower() not in ('.html', '.htm'):
        raise ValueError(f'--html {html}: expected the name of a page, such as check.html')
    size = {} if image_size is None else {'image_size': image_size}
    report = check_dataset(data, **size, val_data=val_data, images=images, val_images=val_images, max_pixels=max_pixels)
    typer.echo(str(report))
    if html is not None:
        html.absolute().parent.mkdir(parents=True, exist_ok=True)
        atomic_write(html, page_of(report).encode('utf-8'))
        typer.echo(f'page in {html}')
    if not report.ok:
        raise typer.Exit(1)


def split(
    data: Annotated[str, typer.Argument(help=DATA_HELP)],
    out: Annotated[Path, typer.Argument(help='New folder for the labels of the splits.')],
    val: Annotated[float, typer.Option(help='Fraction of the images to validate on.', rich_help_panel=DATA)] = 0.2,
    test: Annotated[
        float | None,
        typer.Option(help='Fraction of the images to test on.', show_default='no such split', rich_help_panel=DATA),
    ] = None,
    group_by: Annotated[
        str | None,
        typer.Option(
            help='Regular expression: images in whose paths it matches the same text stay in one split.',
            show_default='none',
            rich_help_panel=DATA,
        ),
    ] = None,
    copies: Annotated[
        bool,
        typer.Option(
            '--copies/--no-copies',
            help='Keep copies and near copies in one split; each image is decoded for that.',
            rich_help_panel=DATA,
        ),
    ] = True,
    seed: Annotated[int, typer.Option(help='Other seeds draw other images.', rich_help_panel=DATA)] = 0,
    images: Images = None,
    max_pixels: MaxPixels = None,
    quiet: Quiet = False,
) -> None:
    """Divide a dataset of one split into train, val and test.

    Each class is in all of them, copies and groups stay together. Labels are written as COCO's, images stay where they
    are.
    """
    from mbv3zoo.checks.divide import divide

    counts = divide(
        data, out, val, test, seed=seed, group_by=group_by, keep_copies_together=copies, images=images,
        max_pixels=max_pixels,
    )  # fmt: skip
    typer.echo(f'{out}: {", ".join(f"{count} {name}" for name, count in counts.items())}')
