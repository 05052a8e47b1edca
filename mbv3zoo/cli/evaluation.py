"""`mbv3zoo val`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from mbv3zoo.cli.opened import open_detector
from mbv3zoo.cli.options import (
    DATA,
    IMAGES,
    OUTPUT,
    RUNTIME,
    AnyModel,
    Data,
    Device,
    Images,
    ImageSize,
    MaxPixels,
    NoCache,
    Overlap,
    Quiet,
    Runtime,
    Slice,
    SliceOnly,
    Threads,
    WithoutNms,
)
from mbv3zoo.cli.output import tell
from mbv3zoo.utils.cores import workers_or_default
from mbv3zoo.utils.folders import claimed_folder


def val(
    model: AnyModel,
    data: Data,
    split: Annotated[
        str | None,
        typer.Option(help="Split of the dataset, or a run's val.txt.", show_default='val', rich_help_panel=DATA),
    ] = None,
    images: Images = None,
    image_size: ImageSize = None,
    batch_size: Annotated[int, typer.Option(help='Images at a time.', rich_help_panel=IMAGES)] = 32,
    workers: Annotated[
        int | None,
        typer.Option(help='Data loader processes.', show_default='one a core, at most 8', rich_help_panel=RUNTIME),
    ] = None,
    max_pixels: MaxPixels = None,
    slice_: Slice = None,
    overlap: Overlap = None,
    slice_only: SliceOnly = False,
    nms: WithoutNms = None,
    runtime: Runtime = None,
    threads: Threads = None,
    device: Device = None,
    no_cache: NoCache = False,
    out: Annotated[
        Path | None,
        typer.Option(help='Folder of the report.', show_default='the next runs/val-N', rich_help_panel=OUTPUT),
    ] = None,
    save_json: Annotated[
        bool,
        typer.Option(
            '--save-json', help='Also write predictions.json, in the format of COCO results.', rich_help_panel=OUTPUT
        ),
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Measure a detector (AP) or segmenter (IoU) on labelled images.

    Writes metrics, plots and drawn images.
    """
    from mbv3zoo.data.hub_dataset import check_installed
    from mbv3zoo.data.load import load_split
    from mbv3zoo.evaluation.coco import to_coco_results
    from mbv3zoo.evaluation.run import run_evaluation
    from mbv3zoo.images.tiles import slicing_or_none
    from mbv3zoo.plots.report import write_report
    from mbv3zoo.prediction.engine import check_detects, task_of
    from mbv3zoo.training.run_data import validation_list
    from mbv3zoo.utils.atomic import atomic_write, staged
    from mbv3zoo.utils.disk import naming_output
    from mbv3zoo.utils.processes import processes
    from mbv3zoo.utils.progress import bar

    check_installed(data)
    with processes() as group, group.entered_by_first(lambda: claimed_folder(out, 'val')) as folder:
        detector = open_detector(
            model, runtime=runtime, image_size=image_size, threads=threads, device=device, cache=not no_cache, nms=nms
        )
        slicing = slicing_or_none(slice_, overlap, slice_only)
        check_detects(detector, [*(['--save-json'] if save_json else []), *(['--slice'] if slicing else [])])
        if split is None and (split := validation_list(model, data)):
            tell(f'evaluates the pictures that the run kept for validation: {split}')
        labelled = group.first_before_others(lambda: load_split(data, split, images, max_pixels, task_of(detector)))
        with bar(len(labelled), 'evaluate', group.is_first, 'images') as progress:
            evaluation = run_evaluation(
                detector,
                labelled,
                batch_size=batch_size,
                workers=workers_or_default(workers),
                image_size=image_size,
                # Of all processes, of which one shows it.
                progress=lambda images: progress.update(min(images * group.count, progress.total - progress.n)),
                group=group,
                slicing=slicing,
            )
        if not group.is_first:
            return
        typer.echo(str(evaluation.metrics))
        with staged(folder) as place, naming_output(folder / 'metrics.json', place):
            write_report(evaluation, labelled, place)
            if save_json:
                rows = to_coco_results(labelled, evaluation.detections)
                atomic_write(place / 'predictions.json', (json.dumps(rows) + '\n').encode('utf-8'))
        typer.echo(f'report in {folder}')
