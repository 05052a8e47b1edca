"""The table of runtimes: what each opens, which packages it needs."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from mbv3zoo.runtimes.session import Session


class Runtime(NamedTuple):
    """A way to run an exported file.

    Attributes:
        suffixes: Ends of the names that it opens.
        module: The module of ours that has its `open`.
        packages: What must be importable.
        install: What to give to pip for them.
    """

    suffixes: tuple[str, ...]
    module: str
    packages: tuple[str, ...]
    install: str


# For each suffix the first that opens it is the one that is taken where nobody names another.
RUNTIMES: dict[str, Runtime] = {
    'onnxruntime': Runtime(('.onnx',), 'onnxruntime', ('onnxruntime',), 'onnxruntime'),
    'openvino': Runtime(('.xml', '.onnx'), 'openvino', ('openvino',), 'openvino'),
    'torchscript': Runtime(('.torchscript',), 'torchscript', ('torch',), 'torch'),
    'torch_export': Runtime(('.pt2',), 'torch_export', ('torch',), 'torch'),
    'ncnn': Runtime(('.ncnn.param',), 'ncnn', ('ncnn',), 'ncnn'),
    'coreml': Runtime(('.mlpackage',), 'coreml', ('coremltools',), 'coremltools'),
}


def runtimes_for(path: Path) -> list[str]:
    """Names of the runtimes that open a file of this name, the usual one first."""
    found = [name for name, runtime in RUNTIMES.items() if path.name.endswith(runtime.suffixes)]
    return sorted(found, key=lambda name: not path.name.endswith(RUNTIMES[name].suffixes[0]))


def installed_runtimes() -> list[str]:
    """Names of the runtimes whose packages are installed."""
    return [name for name, runtime in RUNTIMES.items() if not missing(name)]


def missing(runtime: str) -> list[str]:
    """The packages of a runtime that are not installed."""
    return [package for package in RUNTIMES[runtime].packages if find_spec(package) is None]


def open_session(
    path: str | Path, runtime: str | None = None, *, threads: int | None = None, device: str | None = None
) -> Session:
    """Opens an exported file.

    Args:
        path: The file (of ncnn's two the .param), or folder.
        runtime: A name in `RUNTIMES`; None takes the first for this suffix that is installed.
        threads: Threads that one call may use; None leaves it to the runtime.
        device: As the runtime names it, such as 'cpu', 'cuda' (ONNX Runtime, torch), 'GPU' or 'NPU' (OpenVINO).

    Raises:
        ValueError: There is no such file, no runtime opens it, or this one does not.
        ImportError: The runtime is not installed.
        NotImplementedError: It is for another system.
    """
    path = Path(path)
    able = runtimes_for(path)
    if not able:
        known = ', '.join(sorted({suffix for entry in RUNTIMES.values() for suffix in entry.suffixes}))
        raise ValueError(f'{path}: not a file that a runtime opens; expected one that ends in {known}')
    if not path.exists():
        raise ValueError(f'{path}: there is no such file')
    if runtime is not None and runtime not in able:
        raise ValueError(f'{path}: runtime {runtime!r} does not open it; expected {" or ".join(able)}')
    if threads is not None and threads < 1:
        raise ValueError(f'threads is {threads}; expected at least 1')
    name = runtime or next((name for name in able if not missing(name)), able[0])
    if missing(name):
        install = RUNTIMES[name].install
        raise ImportError(f'{path}: the runtime {name} is not installed; install it with: pip install {install}')
    module = import_module(f'mbv3zoo.runtimes.{RUNTIMES[name].module}')
    try:
        return module.open(path, threads, device)
    except (ValueError, ImportError, NotImplementedError):
        raise
    except Exception as error:  # each runtime raises its own
        raise ValueError(f'{path}: {name} cannot open it: {error}') from error
