"""Options that several commands have, and how their values are read."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from mbv3zoo.utils.sizes import MAX_PIXELS
from mbv3zoo.utils.text import one_line

Model = Annotated[str, typer.Argument(help='Packaged name, saved folder, or Hub repository organisation/name.')]
AnyModel = Annotated[
    str, typer.Argument(help='Packaged name, saved folder, Hub repository, or an exported file such as model.onnx.')
]
DATA_HELP = 'YOLO data.yaml, COCO .json, a folder (YOLO, Pascal VOC, COCO), or hub:org/name.'
Data = Annotated[str, typer.Option(help=DATA_HELP)]
ImageSize = Annotated[int | None, typer.Option(help="Input size in pixels, 32 to 8192; by default the model's.")]
Runtime = Annotated[
    str | None, typer.Option(help='eager, compile, onnxruntime, openvino, or auto: the fastest that is installed.')
]
Threads = Annotated[int | None, typer.Option(help='Threads of the runtime.')]
NoCache = Annotated[
    bool, typer.Option('--no-cache', help="Neither take the runtime's graph from the cache nor keep it there.")
]
Device = Annotated[str | None, typer.Option(help='Device of the runtime, such as cpu, cuda or GPU.')]
Images = Annotated[str | None, typer.Option(help='Image folder of a COCO file.')]
MaxPixels = Annotated[
    int | None,
    typer.Option(
        help='Most pixels (width x height) of an image or a video; larger ones are not decoded. '
        f'{MAX_PIXELS:,} by default.'
    ),
]
Settings = Annotated[list[str] | None, typer.Option('--set', help='Any other setting, as name=value; see below.')]


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
