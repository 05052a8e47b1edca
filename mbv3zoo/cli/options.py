"""Options that several commands have, and how their values are read."""

from __future__ import annotations

from typing import Annotated, Any

import typer

Model = Annotated[str, typer.Argument(help='Packaged name, saved folder, or Hub repository organisation/name.')]
AnyModel = Annotated[
    str, typer.Argument(help='Packaged name, saved folder, Hub repository, or an exported file such as model.onnx.')
]
DATA_HELP = 'YOLO data.yaml, COCO .json, a folder (YOLO, Pascal VOC, COCO), or hub:org/name.'
Data = Annotated[str, typer.Option(help=DATA_HELP)]
ImageSize = Annotated[int | None, typer.Option(help="Input size in pixels; by default the model's.")]
Runtime = Annotated[
    str | None, typer.Option(help='eager, compile, onnxruntime, openvino, or auto: the fastest that is installed.')
]
Threads = Annotated[int | None, typer.Option(help='Threads of the runtime.')]
Device = Annotated[str | None, typer.Option(help='Device of the runtime, such as cpu, cuda or GPU.')]
Images = Annotated[str | None, typer.Option(help='Image folder of a COCO file.')]
Settings = Annotated[list[str] | None, typer.Option('--set', help='Any other setting, as name=value; see below.')]


def given(**settings: Any) -> dict[str, Any]:
    """The options that were given; the settings have the defaults of the others."""
    return {name: value for name, value in settings.items() if value is not None}


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
