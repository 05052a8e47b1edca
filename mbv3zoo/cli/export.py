"""`mbv3zoo export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mbv3zoo.cli.options import (
    DATA,
    DATA_HELP,
    DETECTIONS,
    FORMAT,
    IMAGES,
    OUTPUT,
    RUNTIME,
    Calibration,
    ImageSize,
    Quiet,
    given,
)
from mbv3zoo.cli.quiet import note
from mbv3zoo.models.postprocess.thresholds import PREDICTION
from mbv3zoo.runtimes.table import FORMATS


def export(
    model: Annotated[
        str,
        typer.Argument(
            help='Packaged name, saved folder, or Hub repository organisation/name; or, for timing, an architecture '
            'with random weights: mbv3_yolo_small, resnet18, a YAML file.'
        ),
    ],
    out: Annotated[
        Path,
        typer.Argument(
            help='The file; its suffix names the format: '
            + ', '.join(f'{row.suffix} ({row.name})' for row in FORMATS.values())
            + '.'
        ),
    ],
    image_size: ImageSize = None,
    batch_size: Annotated[int, typer.Option(help='Images per call.', rich_help_panel=IMAGES)] = 1,
    dynamic: Annotated[
        bool,
        typer.Option(
            '--dynamic', help='Take any batch size, and any image size in steps of 32.', rich_help_panel=IMAGES
        ),
    ] = False,
    nms: Annotated[
        str | None,
        typer.Option(
            '--nms',
            metavar='[inside|none]',
            help='Run NMS inside the graph; none: write maps that need no NMS.',
            show_default='NMS outside',
            rich_help_panel=DETECTIONS,
        ),
    ] = None,
    score_thresh: Annotated[
        float, typer.Option(help='Minimum score, with --nms.', rich_help_panel=DETECTIONS)
    ] = PREDICTION.score_thresh,
    iou_thresh: Annotated[
        float,
        typer.Option(
            help='IoU above which the box with the lower score is dropped, with --nms.', rich_help_panel=DETECTIONS
        ),
    ] = PREDICTION.iou_thresh,
    precision: Annotated[
        str, typer.Option(help='float32, float16 (half the size) or int8.', rich_help_panel=FORMAT)
    ] = 'float32',
    calibration: Calibration = None,
    threads: Annotated[
        int | None,
        typer.Option(
            help='Threads of PyTorch, which checks the file.', show_default='one a core', rich_help_panel=RUNTIME
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            help='Also measure AP or mIoU before and after. ' + DATA_HELP, show_default='none', rich_help_panel=DATA
        ),
    ] = None,
    split: Annotated[
        str | None, typer.Option(help='Split of --data and --calibration.', show_default='val', rich_help_panel=DATA)
    ] = None,
    tolerance: Annotated[
        float | None,
        typer.Option(
            help='Maximum relative difference of the logits.',
            show_default='by format and precision',
            rich_help_panel=FORMAT,
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option('--overwrite', help='Replace the file.', rich_help_panel=OUTPUT)] = False,
    quiet: Quiet = False,
) -> None:
    """Write a model for another runtime. Its certificate (FILE.json) says how far it agrees with PyTorch."""
    from mbv3zoo.export.request import checked_settings
    from mbv3zoo.runtimes.session import check_resources

    thresholds: dict[str, Any] = {'score_thresh': score_thresh, 'iou_thresh': iou_thresh}
    options: dict[str, Any] = {
        'image_size': image_size,
        'batch_size': batch_size,
        'dynamic': dynamic,
        'nms': nms or False,
        'precision': precision,
        'calibration': calibration,
        'data': data,
        'split': split,
        'tolerance': tolerance,
        'overwrite': overwrite,
    }
    # Before the detector is fetched and opened.
    check_resources(threads, None)
    checked_settings(out, format=None, thresholds=thresholds, **options)
    from mbv3zoo.create import create_model
    from mbv3zoo.model import Model
    from mbv3zoo.models.threads import torch_threads
    from mbv3zoo.zoo.resolve import resolve
    from mbv3zoo.zoo.saved import SavedSource

    source = resolve(model)
    if isinstance(source, SavedSource):
        found: Any = Model.from_saved(source)
    else:
        found = create_model(model, **given(image_size=image_size))
    with torch_threads(threads):
        path = found.export(out, **thresholds, **options)
    from mbv3zoo.export.certificate import read_certificate

    note(read_certificate(path).summary())
    typer.echo(f'saved in {path}')
