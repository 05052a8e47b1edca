"""The program `mbv3zoo`: each command parses, then makes one call. Heavy imports happen inside the commands."""

from __future__ import annotations

import json
import logging
import os
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from mbv3zoo.training.failures import TrainingStopped
from mbv3zoo.utils.folders import next_folder
from mbv3zoo.utils.text import aligned

app = typer.Typer(
    name='mbv3zoo',
    help='Small, fast object detectors on any timm backbone.',
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Model = Annotated[str, typer.Argument(help='Packaged name, saved folder, or Hub repository organisation/name.')]
_DATA_HELP = 'YOLO data.yaml, COCO .json, a folder (YOLO, Pascal VOC, COCO per split), or hub:org/name.'
Data = Annotated[str, typer.Option(help=_DATA_HELP)]
Runtime = Annotated[
    str | None, typer.Option(help='eager, compile, onnxruntime, openvino, or auto: the fastest that is installed.')
]
Threads = Annotated[int | None, typer.Option(help='Threads of the runtime.')]
Device = Annotated[str | None, typer.Option(help='Device of the runtime, such as cpu, cuda or GPU.')]
Images = Annotated[str | None, typer.Option(help="Folder of a COCO file's pictures.")]


@app.command('list')
def list_(
    filter: Annotated[str, typer.Argument(help="Pattern such as 'mbv3*'.")] = '',
    pretrained: Annotated[bool, typer.Option('--pretrained', help='Only those with weights.')] = False,
    backbones: Annotated[bool, typer.Option('--backbones', help='timm backbones instead of detectors.')] = False,
) -> None:
    """List detectors, or backbones with what they cost (columns: docs/backbones.md)."""
    if backbones:
        from mbv3zoo.info.backbones import BackboneRow, backbone_rows

        rows = list(backbone_rows(filter, pretrained))
        lines = aligned([BackboneRow._fields, *rows]) if rows else []
    else:
        from mbv3zoo.create import list_detectors

        lines = list_detectors(filter, pretrained)
    typer.echo('\n'.join(lines))


@app.command()
def info(
    name: Annotated[str, typer.Argument(help='What create_detector takes; a YOLOv5 YAML file shows its layers.')],
) -> None:
    """Show a detector's settings, strides, parameters and operations."""
    from mbv3zoo.info.describe import describe

    typer.echo(describe(name))


@app.command()
def synth(
    out: Annotated[Path, typer.Argument(help='New folder for the data set.')],
    train: Annotated[int | None, typer.Option(help='Training scenes.')] = None,
    val: Annotated[int | None, typer.Option(help='Validation scenes.')] = None,
    shift: Annotated[
        int | None, typer.Option(help='Scenes of a third split: other, drawn backgrounds and a worse camera.')
    ] = None,
    image_size: Annotated[int | None, typer.Option(help='Longest side in pixels.')] = None,
    seed: Annotated[int | None, typer.Option(help='The same seed gives the same bytes.')] = None,
    workers: Annotated[int | None, typer.Option(help='Processes.')] = None,
    objects: Annotated[Path | None, typer.Option(help='Your cut-outs: a folder of PNGs for each class.')] = None,
    backgrounds: Annotated[Path | None, typer.Option(help='Your backgrounds: a folder of pictures.')] = None,
    set_: Annotated[
        list[str] | None, typer.Option('--set', help='Any other setting of SyntheticConfig, as name=value.')
    ] = None,
) -> None:
    """Compose a labelled data set from cut-outs; needs no download."""
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
    )
    settings |= parse_settings(set_ or [])
    config = SyntheticConfig.parse(settings, 'synth')
    with bar(config.train + config.val + config.shift, 'scenes') as progress:
        counts = synthesize(out, config, lambda done: progress.update(done - progress.n))
    typer.echo(f'{out}: {", ".join(f"{value} {key}" for key, value in counts.items())}')


@app.command()
def train(
    data: Annotated[str | None, typer.Option(help=_DATA_HELP)] = None,
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
    from mbv3zoo.config.training import DataConfig, RunConfig, TrainConfig
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
    settings |= parse_settings(set_ or [])
    config = RunConfig(
        model=model,
        pretrained=pretrained,
        image_size=image_size,
        data=DataConfig.parse({'data': data, 'val_data': val_data, 'images': images, 'license': data_license}, 'data'),
        train=TrainConfig.parse(settings, 'train'),
    )
    if preview:
        run.preview(config, preview)
        typer.echo(f'drawn in {preview}')
        return
    out = out or next_folder(Path('runs'), 'train')
    run.start(config, out)
    tell(f'saved in {out}')


@app.command()
def val(
    model: Model,
    data: Data,
    split: Annotated[str, typer.Option(help='Split of the data set.')] = 'val',
    images: Images = None,
    image_size: Annotated[int | None, typer.Option(help='Side of the letterbox in pixels.')] = None,
    batch_size: int = 32,
    workers: int = 2,
    out: Annotated[Path | None, typer.Option(help='Folder of the report; by default the next runs/val-N.')] = None,
    save_json: Annotated[
        bool, typer.Option('--save-json', help='Also write predictions.json, in the format of COCO results.')
    ] = False,
) -> None:
    """COCO average precision of a detector on a labelled set; writes figures, curves and pictures."""
    from mbv3zoo.data.load import load_split
    from mbv3zoo.detector import Detector
    from mbv3zoo.evaluation.run import evaluate, to_coco_results
    from mbv3zoo.plots.report import write_report
    from mbv3zoo.utils.atomic import atomic_write
    from mbv3zoo.utils.folders import check_new_folder
    from mbv3zoo.utils.progress import bar

    out = out or next_folder(Path('runs'), 'val')
    check_new_folder(out)
    detector = Detector.from_pretrained(model).fuse()
    labelled = load_split(data, split, images)
    with bar(len(labelled), 'evaluate') as progress:
        evaluation = evaluate(
            detector,
            labelled,
            batch_size=batch_size,
            workers=workers,
            image_size=(image_size, image_size) if image_size else None,
            progress=progress.update,
        )
    report(evaluation.metrics)
    write_report(evaluation, labelled, out)
    if save_json:
        rows = to_coco_results(labelled, evaluation.detections)
        atomic_write(out / 'predictions.json', (json.dumps(rows) + '\n').encode('utf-8'))
    typer.echo(f'report in {out}')


@app.command()
def predict(
    model: Annotated[
        str, typer.Argument(help='Packaged name, saved folder, Hub repository, or an exported file such as model.onnx.')
    ],
    source: Annotated[
        str, typer.Argument(help='A picture, a folder, a quoted glob pattern, a video, or a camera (its number).')
    ],
    out: Annotated[Path | None, typer.Option(help='Folder of the results; by default the next runs/predict-N.')] = None,
    score_thresh: Annotated[float | None, typer.Option(help='Lowest score, 0..1; 0.25 by default.')] = None,
    iou_thresh: Annotated[
        float | None, typer.Option(help='Overlap at which the lower scored box is dropped, 0..1; 0.45 by default.')
    ] = None,
    image_size: Annotated[int | None, typer.Option(help='Side of the letterbox in pixels.')] = None,
    batch_size: int = 8,
    runtime: Runtime = None,
    threads: Threads = None,
    device: Device = None,
    draw: Annotated[bool, typer.Option(help='Write each picture with its boxes, beside the JSON.')] = True,
) -> None:
    """Find objects; writes each picture with its boxes, and one JSON of all detections."""
    from mbv3zoo.loading import load
    from mbv3zoo.prediction.video import is_video
    from mbv3zoo.runtimes import runtimes_for

    out = out or next_folder(Path('runs'), 'predict')
    options = given(score_thresh=score_thresh, iou_thresh=iou_thresh, image_size=image_size)
    # A graph is made for one size; a file has its own, and predict() says so where another is asked for.
    made_for = image_size if runtime and not runtimes_for(Path(model)) else None
    detector = load(model, runtime=runtime, image_size=made_for, threads=threads, device=device)
    if runtime is None and hasattr(detector, 'fuse'):
        detector.fuse()
    if is_video(source):
        from mbv3zoo.prediction.video import write_video_predictions

        lines = write_video_predictions(detector, source, out, progress=sys.stderr.isatty(), **options)
    else:
        from mbv3zoo.prediction.folder import write_predictions

        lines = write_predictions(
            detector, source, out, draw=draw, progress=sys.stderr.isatty(), batch_size=batch_size, **options
        )
    for line in lines:
        typer.echo(line)


@app.command()
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
    score_thresh: Annotated[float, typer.Option(help='Lowest score inside the graph, with --nms.')] = 0.25,
    iou_thresh: Annotated[float, typer.Option(help='Overlap inside the graph, with --nms.')] = 0.45,
    precision: Annotated[str, typer.Option(help='float32, float16 or int8.')] = 'float32',
    calibration: Annotated[str | None, typer.Option(help='Data set or folder of pictures for int8.')] = None,
    data: Annotated[str | None, typer.Option(help='Also measure AP before and after. ' + _DATA_HELP)] = None,
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


@app.command()
def benchmark(
    models: Annotated[list[str], typer.Argument(help='Names, YAML files, saved folders, or exported files.')],
    runtime: Annotated[
        list[str] | None, typer.Option(help='eager, compile, onnxruntime or openvino; may be given several times.')
    ] = None,
    size: Annotated[list[str] | None, typer.Option(help='Side in pixels, or HEIGHTxWIDTH; may be repeated.')] = None,
    batch: Annotated[list[int] | None, typer.Option(help='Pictures a call; may be repeated.')] = None,
    against: Annotated[list[Path] | None, typer.Option(help='An exported file, also of another library.')] = None,
    rounds: Annotated[int, typer.Option(help='Turns that each model gets.')] = 15,
    seconds: Annotated[float, typer.Option(help='Length of a turn.')] = 0.2,
    threads: Threads = None,
    device: Device = None,
    memory: Annotated[bool, typer.Option('--memory', help='Also measure peak memory, in a process each.')] = False,
    out: Annotated[
        Path | None, typer.Option(help='Folder of the report; by default the next runs/benchmark-N.')
    ] = None,
) -> None:
    """Time models, runtimes, sizes and batches against one another, in turns; writes a table, CSV and picture."""
    from mbv3zoo.benchmark.report import write_report
    from mbv3zoo.benchmark.rows import parse_size
    from mbv3zoo.benchmark.run import benchmark as run_benchmark
    from mbv3zoo.utils.folders import check_new_folder

    out = out or next_folder(Path('runs'), 'benchmark')
    check_new_folder(out)
    rows = run_benchmark(
        models,
        rounds=rounds,
        seconds=seconds,
        threads=threads,
        device=device,
        memory=memory,
        show_progress=True,
        **given(runtimes=runtime, sizes=[parse_size(text) for text in size] if size else None, batches=batch),
        **given(against=against),
    )
    typer.echo(write_report(rows, out, threads=threads, command=shlex.join(['mbv3zoo', *sys.argv[1:]])))
    if all(row.error for row in rows):
        raise typer.Exit(1)


@app.command()
def convert(
    checkpoint: Annotated[Path, typer.Argument(help='A .pt file of YOLOv5 v6 or v7, or of a tree patched from it.')],
    folder: Annotated[Path, typer.Argument(help='New folder for the detector.')],
    license: Annotated[str | None, typer.Option(help='Licence of the weights, for the record.')] = None,
) -> None:
    """Turn a YOLOv5 checkpoint into a detector with the same numbers; nothing in the file is run."""
    from mbv3zoo.convert.convert import convert_checkpoint

    detector, read = convert_checkpoint(checkpoint, folder, **given(license=license))
    config, weights = detector.config, 'EMA weights' if read.source == 'ema' else 'weights'
    height, width = config.image_size
    typer.echo(f'{weights} on {config.backbone}, {config.num_classes} classes, pictures of {height} x {width}')
    typer.echo(f'saved in {folder}, under the licence {config.licenses.imported.license}')


@app.command()
def push(
    model: Model,
    repo_id: Annotated[str, typer.Argument(help='organisation/name on the Hub.')],
    revision: Annotated[str | None, typer.Option(help='Branch.')] = None,
    private: Annotated[bool, typer.Option('--private', help='Create the repository as private.')] = False,
    create_pr: Annotated[bool, typer.Option('--create-pr', help='Open a pull request instead of a commit.')] = False,
    message: Annotated[str | None, typer.Option(help='Commit message.')] = None,
    license: Annotated[str | None, typer.Option(help="Licence to publish under; by default the card's.")] = None,
    allow_license: Annotated[
        list[str] | None, typer.Option(help='Licence of a part of the weights that is not to be asked about, or any.')
    ] = None,
    dry_run: Annotated[bool, typer.Option('--dry-run', help='Only list the files and print the card.')] = False,
) -> None:
    """Publish a saved detector to the Hugging Face Hub, in one commit."""
    from mbv3zoo.hub.publish import publish_folder, published_card
    from mbv3zoo.zoo.registry import known_weights

    folder = known_weights().get(model, model)
    if not isinstance(folder, (str, Path)):
        raise ValueError(f'{model} is on the Hub already, in {folder.repo_id}; pull it first to push it elsewhere')
    options: dict[str, Any] = {'revision': revision, 'create_pr': create_pr, 'commit_message': message}
    options |= {'license': license, 'allow_licenses': allow_license or (), 'dry_run': dry_run}
    pushed = publish_folder(folder, repo_id, private=private or None, **options)
    if isinstance(pushed, str):
        typer.echo(pushed)
        return
    for file in pushed:
        typer.echo(f'{file.size:>12,}  {file.name}')
    typer.echo('\n' + published_card(Path(folder), repo_id, license, allow_license or ()))


@app.command()
def pull(
    repo_id: Annotated[str, typer.Argument(help='organisation/name on the Hub, or a packaged name.')],
    folder: Annotated[Path, typer.Argument(help='New folder for the detector.')],
    revision: Annotated[str | None, typer.Option(help='Branch, tag or commit.')] = None,
) -> None:
    """Fetch a detector from the Hugging Face Hub into a folder."""
    from mbv3zoo.zoo.saved import copy_saved

    copy_saved(repo_id, folder, revision=revision)
    typer.echo(f'saved in {folder}')


def given(**settings: Any) -> dict[str, Any]:
    """The options that were given; for the others the config has the defaults."""
    return {name: value for name, value in settings.items() if value is not None}


def tell(line: str) -> None:
    """Prints a line, once where several processes train together."""
    if is_first_process():
        typer.echo(line)


def is_first_process() -> bool:
    """Whether this is the process that speaks; torchrun and accelerate number them."""
    return os.environ.get('RANK', '0') == '0'


def report(metrics: Any) -> None:
    """Prints COCO figures as a table."""
    from mbv3zoo.evaluation.run import format_table

    if metrics is not None:
        typer.echo(format_table(metrics))


def parse_settings(pairs: list[str]) -> dict[str, Any]:
    """['mosaic=0.3'] -> {'mosaic': 0.3}; values are read as YAML scalars."""
    import yaml

    settings = {}
    for pair in pairs:
        name, equals, value = pair.partition('=')
        if not equals:
            raise ValueError(f'--set {pair}: expected name=value')
        settings[name.strip()] = yaml.safe_load(value)
    return settings


def main() -> None:
    """Runs the program; a mistake of the user ends in one line, not in a traceback."""
    # Our own messages only: huggingface_hub prints its own already.
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter('%(levelname)s %(message)s'))
    logger = logging.getLogger('mbv3zoo')
    logger.addHandler(handler)
    # Anchors that were fitted are told, other processes' copies of it all are not.
    logger.setLevel(logging.INFO if is_first_process() else logging.ERROR)
    try:
        app()
    except (ValueError, OSError, TrainingStopped) as error:
        typer.echo(f'mbv3zoo: {error}', err=True)
        sys.exit(1)


if __name__ == '__main__':
    main()
