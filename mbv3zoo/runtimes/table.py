"""The table of export formats: how a file's name ends, what the file can do, and the packages that write and open it.

Modules are found by name: `mbv3zoo.export.<format>` has a format's `write(graph, path)`, and
`mbv3zoo.runtimes.<runtime>` a runtime's `open(path, threads, device)`. This module imports neither torch nor a runtime.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mbv3zoo.utils.packages import is_installed, require

if TYPE_CHECKING:
    # Not at run time: `mbv3zoo --help` reads the table, and importing pydantic would double its time.
    from mbv3zoo.runtimes.export_info import InputType, Precision


class Runtime(NamedTuple):
    """What runs an exported file.

    Attributes:
        name: The runtime's name.
        package: The package that must be importable, which pip knows by the same name.
    """

    name: str
    package: str

    def is_installed(self) -> bool:
        return is_installed(self.package)

    def require(self, what: str) -> None:
        """Raises ImportError, with what to install, where it cannot run."""
        require(what, self.package)


@dataclass(frozen=True, kw_only=True)
class Format:
    """A format of exported files.

    Attributes:
        name: The format's name.
        suffix: End of the file's name.
        weights: End of the name of a second file, which has the weights; '' where there is none.
        runtimes: What opens the file, the usual runtime first.
        packages: Packages that must be importable to write it.
        int8_packages: Those needed besides for int8.
        precisions: Precisions that the weights can have.
        dynamic: Whether a file may take any batch and image size.
        nms: Whether the graph may run NMS.
        batches: Whether a file may take more than one image per call.
        input_dtype: Type of the pixels that the graph takes.
        live_dtype: The same where a detector runs in the usual runtime via a temporary export
            (`mbv3zoo.export.live`); None where that is not offered.
    """

    name: str
    suffix: str
    weights: str = ''
    runtimes: tuple[Runtime, ...]
    packages: tuple[str, ...] = ()
    int8_packages: tuple[str, ...] = ()
    precisions: tuple[Precision, ...] = ('float32',)
    dynamic: bool = False
    nms: bool = False
    batches: bool = True
    input_dtype: InputType = 'uint8'
    live_dtype: InputType | None = None

    def needed(self, precision: Precision = 'float32') -> list[str]:
        """The packages that writing a file needs, and opening it to compare it with PyTorch."""
        opening = next((row.package for row in self.runtimes if row.is_installed()), self.runtimes[0].package)
        return [*dict.fromkeys((*self.packages, *(self.int8_packages if precision == 'int8' else ()), opening))]

    def check_installed(self, precision: Precision = 'float32') -> None:
        """Raises ImportError, with what to install, where packages are missing or do not work."""
        require(f'writing {self.name}', *self.needed(precision))


_ONNX_RUNTIME, _OPENVINO = Runtime('onnxruntime', 'onnxruntime'), Runtime('openvino', 'openvino')
_FORMATS = (
    Format(
        name='onnx',
        suffix='.onnx',
        runtimes=(_ONNX_RUNTIME, _OPENVINO),
        packages=('onnx', 'onnxscript'),
        int8_packages=('onnxruntime',),
        precisions=('float32', 'float16', 'int8'),
        dynamic=True,
        nms=True,
        live_dtype='uint8',
    ),
    Format(
        name='openvino',
        suffix='.xml',
        weights='.bin',
        runtimes=(_OPENVINO,),
        packages=('openvino', 'onnx', 'onnxscript'),
        int8_packages=('nncf',),
        precisions=('float32', 'float16', 'int8'),
        dynamic=True,
        nms=True,
        # The same numbers as from uint8, in the type that OpenVINO computes with.
        live_dtype='float32',
    ),
    Format(
        name='torchscript',
        suffix='.torchscript',
        runtimes=(Runtime('torchscript', 'torch'),),
        precisions=('float32', 'float16'),
        nms=True,
    ),
    Format(
        name='torch_export',
        suffix='.pt2',
        runtimes=(Runtime('torch_export', 'torch'),),
        precisions=('float32', 'float16'),
        dynamic=True,
        nms=True,
    ),
    # Runtimes for phones take one image per call, and floats only.
    Format(
        name='ncnn',
        suffix='.ncnn.param',
        weights='.ncnn.bin',
        runtimes=(Runtime('ncnn', 'ncnn'),),
        packages=('ncnn', 'pnnx'),
        precisions=('float32', 'float16'),
        batches=False,
        input_dtype='float32',
    ),
    Format(
        name='coreml',
        suffix='.mlpackage',
        runtimes=(Runtime('coreml', 'coremltools'),),
        packages=('coremltools',),
        precisions=('float32', 'float16'),
        batches=False,
        input_dtype='float32',
    ),
)

FORMATS = {row.name: row for row in _FORMATS}
RUNTIMES = {runtime.name: runtime for row in _FORMATS for runtime in row.runtimes}
SUFFIXES = sorted(row.suffix for row in _FORMATS)
# Runtime -> the format that a detector is written in to run there.
LIVE_FORMATS = {row.runtimes[0].name: row for row in _FORMATS if row.live_dtype}
# Runtimes that a detector runs in: PyTorch itself, and those of files.
LIVE_RUNTIMES = ('eager', 'compile', *LIVE_FORMATS)


def find_format(path: str | Path) -> Format | None:
    """The format that a file's name ends in; None where it is no exported file."""
    return next((row for row in _FORMATS if Path(path).name.endswith(row.suffix)), None)


def format_of(path: str | Path) -> Format:
    """The format that a file's name asks for.

    Raises:
        ValueError: Its end is none of them.
    """
    found = find_format(path)
    if found is None:
        known = ', '.join(f'{row.suffix} ({row.name})' for row in _FORMATS)
        raise ValueError(f'{path}: cannot tell the format from its name; expected one that ends in {known}')
    return found


def runtimes_for(path: str | Path) -> list[str]:
    """Names of the runtimes that open a file of this name, the usual one first."""
    found = find_format(path)
    return [runtime.name for runtime in found.runtimes] if found else []


def all_packages() -> list[str]:
    """Every package that takes part in writing or opening a file."""
    found = [(*row.packages, *(runtime.package for runtime in row.runtimes), *row.int8_packages) for row in _FORMATS]
    return list(dict.fromkeys(package for packages in found for package in packages))
