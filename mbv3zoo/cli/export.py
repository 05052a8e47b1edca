"""`mbv3zoo export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mbv3zoo.cli.options import DATA_HELP, ImageSize, Model
from mbv3zoo.models.postprocess.thresholds import PREDICTION
from mbv3zoo.runtimes.table import FORMATS


def export(
    model: Model,
    out: Annotated[
        Path,
        typer.Argument(
            help='The file; its suffix names the format: '
            + ', '.join(f'{row.suffix} ({row.name})' for row in FORMATS.values())
            + '.'
        ),
    ],
    image_size: ImageSize = None,
    batch_size: Annotated[int, typer.Option(help='Images per call.')] = 1,
    dynamic: Annotated[
        bool, typer.Option('--dynamic', help='Take any batch size, and any image size in steps of 32.')
    ] = False,
    nms: Annotated[bool, typer.Option('--nms', help='Run NMS inside the graph.')] = False,
    score_thresh: Annotated[float, typer.Option(help='Minimum score, with --nms.')] = PREDICTION.score_thresh,
    iou_thresh: Annotated[
        float, typer.Option(help='IoU above which the box with the lower score is dropped, with --nms.')
    ] = PREDICTION.iou_thresh,
    precision: Annotated[str, typer.Option(help='float32, float16 or int8.')] = 'float32',
    calibration: Annotated[str | None, typer.Option(help='Dataset or folder of images for int8.')] = None,
    data: Annotated[str | None, typer.Option(help='Also measure AP before and after. ' + DATA_HELP)] = None,
    split: Annotated[str | None, typer.Option(help='Split of --data and --calibration; val by default.')] = None,
    tolerance: Annotated[float | None, typer.Option(help='Maximum relative difference of the logits.')] = None,
    overwrite: Annotated[bool, typer.Option('--overwrite', help='Replace the file.')] = False,
) -> None:
    """Write a detector for another runtime, with a certificate (FILE.json) of how far it agrees with PyTorch."""
    from mbv3zoo.export.request import checked_settings

    thresholds: dict[str, Any] = {'score_thresh': score_thresh, 'iou_thresh': iou_thresh}
    options: dict[str, Any] = {
        'image_size': image_size,
        'batch_size': batch_size,
        'dynamic': dynamic,
        'nms': nms,
        'precision': precision,
        'calibration': calibration,
        'data': data,
        'split': split,
        'tolerance': tolerance,
        'overwrite': overwrite,
    }
    # Before the detector is fetched and opened.
    checked_settings(out, format=None, thresholds=thresholds, **options)
    from mbv3zoo.detector import Detector

    path = Detector.from_pretrained(model).export(out, **thresholds, **options)
    from mbv3zoo.export.certificate import read_certificate

    typer.echo(read_certificate(path).summary())
    typer.echo(f'saved in {path}')
