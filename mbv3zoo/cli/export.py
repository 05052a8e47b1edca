"""`mbv3zoo export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mbv3zoo.cli.options import DATA_HELP, Model
from mbv3zoo.models.postprocess.thresholds import PREDICTION


def export(
    model: Model,
    out: Annotated[
        Path,
        typer.Argument(
            help='The file; its end names the format: .onnx, .xml (OpenVINO), .torchscript, .pt2, '
            '.ncnn.param, .mlpackage (Core ML).'
        ),
    ],
    image_size: Annotated[int | None, typer.Option(help="Side of the input in pixels; the model's own.")] = None,
    batch_size: Annotated[int, typer.Option(help='Pictures a call.')] = 1,
    dynamic: Annotated[bool, typer.Option('--dynamic', help='Take any batch, and any size in steps of 32.')] = False,
    nms: Annotated[bool, typer.Option('--nms', help='Suppress inside the graph.')] = False,
    score_thresh: Annotated[
        float, typer.Option(help='Lowest score inside the graph, with --nms.')
    ] = PREDICTION.score_thresh,
    iou_thresh: Annotated[float, typer.Option(help='Overlap inside the graph, with --nms.')] = PREDICTION.iou_thresh,
    precision: Annotated[str, typer.Option(help='float32, float16 or int8.')] = 'float32',
    calibration: Annotated[str | None, typer.Option(help='Data set or folder of pictures for int8.')] = None,
    data: Annotated[str | None, typer.Option(help='Also measure AP before and after. ' + DATA_HELP)] = None,
    split: Annotated[str, typer.Option(help='Split for that.')] = 'val',
    tolerance: Annotated[
        float | None, typer.Option(help='Largest difference of the logits, relative to theirs.')
    ] = None,
    overwrite: Annotated[bool, typer.Option('--overwrite', help='Replace the file.')] = False,
) -> None:
    """Write a detector for another runtime, with a certificate (FILE.json) of how far it agrees with PyTorch."""
    from mbv3zoo.detector import Detector

    path = Detector.from_pretrained(model).export(
        out,
        image_size=image_size,
        batch_size=batch_size,
        dynamic=dynamic,
        nms=nms,
        score_thresh=score_thresh,
        iou_thresh=iou_thresh,
        precision=precision,
        calibration=calibration,
        data=data,
        split=split,
        tolerance=tolerance,
        overwrite=overwrite,
    )
    from mbv3zoo.export.certificate import read_certificate

    typer.echo(read_certificate(path).summary())
    typer.echo(f'saved in {path}')
