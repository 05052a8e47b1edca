"""The table of export formats: how their files end, what writes them, which packages that needs."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Literal, NamedTuple

from mbv3zoo.runtimes.export_info import Precision


class Format(NamedTuple):
    """A format.

    Attributes:
        suffix: End of the file's name.
        module: The module of ours that has its `write(graph, path)`.
        packages: What must be importable to write it.
        install: What to give to pip for them.
        precisions: Those that it can have.
        dynamic: Whether a file may take any batch and size.
        nms: Whether the graph may suppress by itself.
        batches: Whether a file may take more than one picture a call.
        input_dtype: Type of the pixels that the graph takes.
    """

    suffix: str
    module: str
    packages: tuple[str, ...]
    install: str
    precisions: tuple[Precision, ...] = ('float32',)
    dynamic: bool = False
    nms: bool = False
    batches: bool = True
    input_dtype: Literal['uint8', 'float32'] = 'uint8'


_EXPORT, _PHONES = '"mbv3zoo[export]"', '"mbv3zoo[phones]"'
_ONNX = ('onnx', 'onnxscript')
_GRAPH = {'dynamic': True, 'nms': True}
# Phones have runtimes for one picture at a time, and no bytes as input.
_PHONE = {'batches': False, 'input_dtype': 'float32'}
FORMATS: dict[str, Format] = {
    'onnx': Format('.onnx', 'onnx', _ONNX, _EXPORT, ('float32', 'int8'), **_GRAPH),
    'openvino': Format(
        '.xml', 'openvino', ('openvino', *_ONNX), _EXPORT, ('float32', 'float16', 'int8'), **_GRAPH
    ),
    'torchscript': Format('.torchscript', 'torchscript', (), '', nms=True),
    'torch_export': Format('.pt2', 'torch_export', (), '', **_GRAPH),
    'ncnn': Format('.ncnn.param', 'ncnn', ('ncnn', 'pnnx'), _PHONES, **_PHONE),
    'coreml': Format('.mlpackage', 'coreml', ('coremltools',), _PHONES, **_PHONE),
}  # fmt: skip
# What quantisation needs besides.
_INT8 = {'onnx': ('onnxruntime',), 'openvino': ('nncf',)}


def format_of(path: str | Path) -> str:
    """The format that a file's name asks for.

    Raises:
        ValueError: Its end is none of them.
    """
    for name, entry in FORMATS.items():
        if Path(path).name.endswith(entry.suffix):
            return name
    known = ', '.join(f'{entry.suffix} ({name})' for name, entry in FORMATS.items())
    raise ValueError(f'{path}: cannot tell the format from its name; expected one that ends in {known}')


def missing_for(name: str, precision: Precision = 'float32') -> list[str]:
    """The packages that are not installed and that writing a format needs."""
    needed = FORMATS[name].packages + (_INT8[name] if precision == 'int8' else ())
    return [package for package in needed if find_spec(package) is None]


def check_installed(name: str, precision: Precision = 'float32') -> None:
    """Raises ImportError, with what to install, where a format's packages are missing."""
    if missing := missing_for(name, precision):
        raise ImportError(
            f'writing {name} needs {", ".join(missing)}; install with: pip install {FORMATS[name].install}'
        )
