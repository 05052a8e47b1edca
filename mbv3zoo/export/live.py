"""A torch detector in a faster runtime, without a file in between that anybody sees."""

from __future__ import annotations

import tempfile
import time
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from mbv3zoo.runtimes import open_session, runtimes_for
from mbv3zoo.runtimes.export_info import ExportInfo
from mbv3zoo.runtimes.exported_detector import ExportedDetector
from mbv3zoo.runtimes.table import missing
from mbv3zoo.version import __version__

if TYPE_CHECKING:
    from mbv3zoo.models.network import DetectorNetwork

# Runtime -> the format that it opens, the end of its file, and what writes it.
_FORMATS = {'onnxruntime': ('onnx', 'model.onnx'), 'openvino': ('openvino', 'model.xml')}
LIVE_RUNTIMES = ('eager', 'compile', *_FORMATS)
# 'auto' leaves out what takes a minute to build.
_TRIED = ('eager', *_FORMATS)
_ROUNDS, _CALLS = 5, 3

# Beside the detectors, which are copied and saved, as runtimes cannot be.
_kept: WeakKeyDictionary[Any, tuple[tuple, ExportedDetector]] = WeakKeyDictionary()


def open_live(
    detector: DetectorNetwork,
    runtime: str,
    *,
    image_size: tuple[int, int] | None = None,
    batch_size: int = 1,
    threads: int | None = None,
    device: str | None = None,
) -> ExportedDetector:
    """Puts a detector, as it is now, into a runtime; what it learns later is not seen.

    Args:
        detector: The detector; it is copied.
        runtime: 'eager' (PyTorch: folded, channels last), 'compile' (`torch.compile` of that), 'onnxruntime',
            'openvino', or 'auto': the fastest of those installed, but for 'compile', measured once.
        image_size: (height, width) in pixels; the detector's own by default. The graph is made for this one.
        batch_size: Pictures a call. Larger batches of pictures are run in several calls.
        threads: Threads that a call may use; for 'eager' and 'compile' the whole process's, as torch has one number.
        device: As for `mbv3zoo.runtimes.open_session`; for 'eager' and 'compile' one of torch's.

    Raises:
        ValueError: There is no such runtime or device, or the graph cannot have this size.
        ImportError: The runtime is not installed.
    """
    info = ExportInfo.of(detector.config, detector.strides, __version__, batch_size=batch_size)
    info = info.model_copy(update={'image_size': tuple(image_size or info.image_size)})
    info.check_sides(info.image_size)
    if runtime == 'auto':
        installed = [name for name in _TRIED if name not in _FORMATS or not _missing(name)]
        return fastest([_open(detector, info, name, threads, device) for name in installed])
    return _open(detector, info, runtime, threads, device)


def kept_live(detector: DetectorNetwork, runtime: str, **options: Any) -> ExportedDetector:
    """As `open_live`, but what it built last for this detector is used again while its weights stay the same."""
    # In-place changes count up a tensor's version.
    state = tuple((id(tensor), tensor._version) for tensor in (*detector.parameters(), *detector.buffers()))
    key = (runtime, tuple(options.items()), state)
    if detector not in _kept or _kept[detector][0] != key:
        _kept[detector] = key, open_live(detector, runtime, **options)
    return _kept[detector][1]


def open_file(
    path: str | Path, runtime: str | None = None, *, threads: int | None = None, device: str | None = None
) -> ExportedDetector:
    """Opens an exported file; as `ExportedDetector.open`, which also takes the runtime 'auto'.

    Args:
        path, threads, device: As there.
        runtime: As there, or 'auto': of the runtimes that open the file and are installed the fastest.
    """
    if runtime != 'auto':
        return ExportedDetector.open(path, runtime, threads=threads, device=device)
    # Where none is installed, the usual one says what to install.
    names = [name for name in runtimes_for(Path(path)) if not missing(name)] or [None]
    return fastest([ExportedDetector.open(path, name, threads=threads, device=device) for name in names])


def fastest(detectors: list[ExportedDetector]) -> ExportedDetector:
    """Of several detectors the one whose graph runs fastest here and now; they take turns, as machines have moods."""
    if len(detectors) == 1:
        return detectors[0]
    times: list[list[float]] = [[] for _ in detectors]
    info = detectors[0].info
    images = np.full((info.batch_size, info.in_chans, *info.image_size), 114, np.uint8)
    for _ in range(1 + _ROUNDS):
        for detector, own in zip(detectors, times, strict=True):
            start = time.perf_counter()
            for _ in range(_CALLS):
                detector.run(images)
            own.append(time.perf_counter() - start)
    # The first round builds and warms up.
    return min(zip(detectors, times, strict=True), key=lambda pair: median(pair[1][1:]))[0]


def _missing(runtime: str) -> list[str]:
    from mbv3zoo.export.formats import missing_for

    return [*missing(runtime), *missing_for(_FORMATS[runtime][0])]


def _open(
    detector: DetectorNetwork, info: ExportInfo, runtime: str, threads: int | None, device: str | None
) -> ExportedDetector:
    from mbv3zoo.export.graph import DeployedNetwork

    if runtime not in LIVE_RUNTIMES:
        raise ValueError(f'unknown runtime {runtime!r}; expected one of {", ".join((*LIVE_RUNTIMES, "auto"))}')
    if runtime not in _FORMATS:
        from mbv3zoo.runtimes.torch_graph import TorchGraphSession

        graph = DeployedNetwork(detector, info)
        return ExportedDetector(TorchGraphSession(graph, runtime, threads, device), info, tensors=True)
    if _missing(runtime):
        raise ImportError(
            f'runtime {runtime!r} needs {", ".join(_missing(runtime))}; install with: pip install "mbv3zoo[export]"'
        )
    name, file = _FORMATS[runtime]
    if runtime == 'openvino':
        # Floats: the same numbers, and what OpenVINO computes with.
        info = info.model_copy(update={'input_dtype': 'float32'})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / file
        import_module(f'mbv3zoo.export.{name}').write(DeployedNetwork(detector, info), path)
        session = open_session(path, runtime, threads=threads, device=device)
    return ExportedDetector(session, info, tensors=True)


def check_options(options: dict[str, Any]) -> None:
    """Raises ValueError where threads or a device are given without a runtime, which they would be of."""
    for name in ('threads', 'device'):
        if options.get(name) is not None:
            raise ValueError(f"{name} is of a runtime; name one, such as runtime='auto', or move the detector itself")
