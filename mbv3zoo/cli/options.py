"""Options that several commands have, and how their values are read."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from mbv3zoo.utils.sizes import LEAST_SIDE, MAX_PIXELS, MOST_SIDE, TILE_OVERLAP, parse_size
from mbv3zoo.utils.text import one_line

# The headings of options in `--help`, in `rich_help_panel`. What has none is under GENERAL, which comes last.
DATA = 'Data'
MODEL = 'Model'
TRAINING = 'Training'
IMAGES = 'Images'
DETECTIONS = 'Detections'
VIDEO = 'Video'
RUNTIME = 'Runtime'
FORMAT = 'Format'
PUBLISHING = 'Publishing'
OUTPUT = 'Output'
SERVER = 'Server'
GENERAL = 'General'


def read_size(text: str) -> Any:
    try:
        return parse_size(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


_SAVED = 'Packaged name, saved folder, training run (its best weights), Hub repository organisation/name'
Model = Annotated[str, typer.Argument(help=f'{_SAVED}.')]
AnyModel = Annotated[str, typer.Argument(help=f'{_SAVED}, or an exported file such as model.onnx.')]
DATA_HELP = 'YOLO data.yaml, COCO .json, a folder (YOLO, Pascal VOC, COCO), or hub:org/name.'
Data = Annotated[str, typer.Option(help=DATA_HELP, rich_help_panel=DATA)]
ValData = Annotated[
    str | None,
    typer.Option(help='The validation split, if it is not in --data.', show_default='of --data', rich_help_panel=DATA),
]
TrainImages = Annotated[
    str | None,
    typer.Option(
        help='Image folder of --data where that is a COCO file.', show_default='the usual places', rich_help_panel=DATA
    ),
]
ValImages = Annotated[
    str | None,
    typer.Option(
        help='Image folder of the validation split, likewise.', show_default='the usual places', rich_help_panel=DATA
    ),
]
ValShare = Annotated[
    float | None,
    typer.Option(
        help='Fraction of the images to validate on, such as 0.2, where --data is one split.',
        show_default='none',
        rich_help_panel=DATA,
    ),
]
SIZE_HELP = f'Input size in pixels: a side, or HEIGHTxWIDTH such as 320x640; {LEAST_SIDE} to {MOST_SIDE}.'
ImageSize = Annotated[
    Any,
    typer.Option(
        parser=read_size, metavar='<size>', help=SIZE_HELP, show_default="the model's", rich_help_panel=IMAGES
    ),
]
Sizes = Annotated[
    list[Any] | None,
    typer.Option(
        parser=read_size,
        metavar='<size>',
        help=SIZE_HELP + ' May be repeated.',
        show_default="the model's",
        rich_help_panel=IMAGES,
    ),
]
Runtime = Annotated[
    str | None,
    typer.Option(
        help='eager, compile, onnxruntime, openvino, or auto: the fastest that is installed.',
        show_default='PyTorch, or the runtime of the file',
        rich_help_panel=RUNTIME,
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(help='Threads of PyTorch or of the runtime.', show_default='one a core', rich_help_panel=RUNTIME),
]
WithoutNms = Annotated[
    str | None,
    typer.Option(
        '--nms',
        metavar='none',
        help='none: take predictions that need no NMS.',
        show_default='with NMS',
        rich_help_panel=DETECTIONS,
    ),
]
NoCache = Annotated[
    bool,
    typer.Option(
        '--no-cache',
        help="Neither take the runtime's graph from the cache nor keep it there.",
        rich_help_panel=RUNTIME,
    ),
]
Device = Annotated[
    str | None,
    typer.Option(
        help='Device of PyTorch or of the runtime, such as cpu, cuda or GPU.',
        show_default="the runtime's own",
        rich_help_panel=RUNTIME,
    ),
]
Images = Annotated[
    str | None,
    typer.Option(help='Image folder of a COCO file.', show_default='the usual places', rich_help_panel=DATA),
]
MaxPixels = Annotated[
    int | None,
    typer.Option(
        help='Most pixels (width x height) of an image or a video; larger ones are not decoded.',
        show_default=f'{MAX_PIXELS:,}',
        rich_help_panel=IMAGES,
    ),
]
Slice = Annotated[
    Any,
    typer.Option(
        '--slice',
        parser=read_size,
        metavar='<size>',
        help='Cut images into tiles of so many pixels, for small objects: a side, or HEIGHTxWIDTH.',
        show_default='not cut',
        rich_help_panel=IMAGES,
    ),
]
Overlap = Annotated[
    float | None,
    typer.Option(
        help='Fraction of a tile that the next one has too.', show_default=str(TILE_OVERLAP), rich_help_panel=IMAGES
    ),
]
SliceOnly = Annotated[
    bool,
    typer.Option('--slice-only', help='Look at the tiles alone, not at the whole image too.', rich_help_panel=IMAGES),
]
AllowLicense = Annotated[
    list[str] | None,
    typer.Option(
        help='Licence of a part of the weights that you accept, or any; may be repeated.',
        show_default='none',
        rich_help_panel=PUBLISHING,
    ),
]
Calibration = Annotated[
    str | None,
    typer.Option(help='Dataset or folder of images for int8.', show_default='none', rich_help_panel=FORMAT),
]
Quiet = Annotated[
    bool, typer.Option('--quiet', '-q', help='Print the result only, with warnings and errors; no progress.')
]
Settings = Annotated[
    list[str] | None,
    typer.Option('--set', help='Any other setting, as name=value; see below.', show_default='none'),
]


def given(**settings: Any) -> dict[str, Any]:
    """The options that were given; the settings have the defaults of the others."""
    return {name: value for name, value in settings.items() if value is not None}


def with_set(settings: dict[str, Any], pairs: list[str] | None) -> dict[str, Any]:
    """Settings that have options of their own, and those of `--set`: ['mosaic=0.3'] adds {'mosaic': 0.3}.

    Args:
        settings: Name -> value of the options that were given.
        pairs: As on the command line; a value is read as YAML.

    Raises:
        ValueError: A pair is malformed, or a setting is given twice.
    """
    from mbv3zoo.utils.yaml import parse_yaml

    settings = dict(settings)
    for pair in pairs or []:
        name, equals, text = pair.partition('=')
        name, shown = name.strip(), f'--set {one_line(pair, 100)}'
        if not equals or not name:
            raise ValueError(f'{shown}: expected name=value')
        if name in settings:
            raise ValueError(f'{shown}: {name} is given twice; leave one of them out')
        try:
            settings[name] = parse_yaml(text, name)
        except ValueError as error:
            raise ValueError(f'{shown}: the value is no number, text, list or mapping as YAML writes them') from error
    return settings
