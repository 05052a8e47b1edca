"""A torch detector in a faster runtime, via a temporary export."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from mbv3zoo.models.no_weights import check_has_weights
from mbv3zoo.runtimes.export_info import ExportInfo
from mbv3zoo.runtimes.exported_model import ExportedModel
from mbv3zoo.runtimes.graph_cache import KeptGraphs
from mbv3zoo.runtimes.session import check_resources, open_session
from mbv3zoo.runtimes.table import LIVE_FORMATS, LIVE_RUNTIMES, RUNTIMES, runtimes_for
from mbv3zoo.utils.disk import temporary_folder
from mbv3zoo.utils.packages import missing, require
from mbv3zoo.utils.sizes import MOST_IMAGES, parse_image_size, whole_number
from mbv3zoo.utils.text import shown
from mbv3zoo.version import __version__

if TYPE_CHECKING:
    from mbv3zoo.models.base_network import ModelNetwork

_logger = logging.getLogger(__name__)

# 'auto' leaves out 'compile', which takes a minute to build.
_TRIED = ('eager', *LIVE_FORMATS)
_ROUNDS, _CALLS = 5, 3
# Packages whose versions kept graphs are found by.
_KNOWN_CODE = {'mbv3zoo', 'timm', 'torch', 'torchvision'}


def open_live(
    detector: ModelNetwork,
    runtime: str,
    *,
    image_size: tuple[int, int] | None = None,
    batch_size: int = 1,
    threads: int | None = None,
    device: str | None = None,
    tensors: bool = True,
    kept: KeptGraphs | None = None,
) -> Any:
    """Opens a detector in a runtime, with a copy of its present weights.

    Args:
        detector: The detector; it is copied.
        runtime: 'eager' (PyTorch: fused, channels last), 'compile' (`torch.compile` of that), 'onnxruntime',
            'openvino', or 'auto': the fastest of those installed except 'compile', measured once.
        image_size: (height, width) in pixels that the graph is made for; by default the detector's own.
        batch_size: Images per call. More images are run in several calls.
        threads: Threads per call; for 'eager' and 'compile' those of the whole process, as torch has one setting.
        device: As for `mbv3zoo.runtimes.session.open_session`; for 'eager' and 'compile' one of torch's.
        tensors: Whether detections hold torch tensors; else numpy arrays.
        kept: Where graphs of this detector, as it is now, are kept and taken from; None for nowhere.

    Raises:
        ValueError: There is no such runtime or device, or the graph cannot have this size.
        ImportError: The runtime is not installed.
    """
    check_has_weights(detector, 'run')
    check_run(runtime, threads, device)
    names = [name for name in _TRIED if _works(name)] if runtime == 'auto' else [runtime]
    infos = {name: live_info(detector, name, image_size, batch_size) for name in names}
    if kept is not None and not _is_of_known_code(detector):
        kept = None
    return fastest([_open(detector, name, info, threads, device, tensors, kept) for name, info in infos.items()])


def live_info(
    detector: ModelNetwork, runtime: str, image_size: tuple[int, int] | None = None, batch_size: int = 1
) -> ExportInfo:
    """The record of a detector's graph in a runtime.

    Args:
        detector, runtime, image_size, batch_size: As for `open_live`, except 'auto'.

    Raises:
        ValueError: There is no such runtime, or the graph cannot have this size.
    """
    whole_number(batch_size, 'batch_size', 1, MOST_IMAGES)
    info = ExportInfo.of(detector.config, detector.strides, __version__, batch_size=batch_size)
    if image_size is not None:
        info = info.model_copy(update={'image_size': parse_image_size(image_size)})
    info.check_sides(info.image_size)
    if runtime not in LIVE_RUNTIMES:
        raise ValueError(f'unknown runtime {runtime!r}; expected one of {", ".join((*LIVE_RUNTIMES, "auto"))}')
    if runtime in LIVE_FORMATS:
        info = info.model_copy(update={'input_dtype': LIVE_FORMATS[runtime].live_dtype})
    return info


def write_live(detector: ModelNetwork, info: ExportInfo, runtime: str, folder: Path) -> Path:
    """Writes the file that a runtime opens for a detector; returns its path.

    Args:
        detector: The detector.
        info: As from `live_info`.
        runtime: One of those that open files.
        folder: Folder of the file.
    """
    from mbv3zoo.export.write import write_graph

    path = folder / f'model{LIVE_FORMATS[runtime].suffix}'
    write_graph(detector, info, path)
    return path


def open_file(
    path: str | Path, runtime: str | None = None, *, threads: int | None = None, device: str | None = None
) -> Any:
    """Opens an exported file; as `ExportedModel.open`, but also takes the runtime 'auto'.

    Args:
        path, threads, device: As for `ExportedModel.open`.
        runtime: As there, or 'auto': the fastest of the installed runtimes that open the file.
    """
    if runtime != 'auto':
        return ExportedModel.open(path, runtime, threads=threads, device=device)
    installed = [name for name in runtimes_for(path) if RUNTIMES[name].is_installed()]
    # Where none is installed, the usual runtime says what to install.
    names: list[str | None] = [*installed] or [None]
    return fastest([ExportedModel.open(path, name, threads=threads, device=device) for name in names])


def fastest(detectors: list[Any]) -> Any:
    """The detector whose graph runs fastest on this machine; timed in alternation, since machine load drifts."""
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
    # The first round warms up.
    found = [(median(own[1:]) / _CALLS * 1000, detector) for detector, own in zip(detectors, times, strict=True)]
    best = min(found, key=lambda pair: pair[0])[1]
    measured = ', '.join(f'{detector.runtime} {milliseconds:.1f} ms' for milliseconds, detector in found)
    _logger.info("runtime 'auto' takes %s, of %s for the graph", best.runtime, measured)
    return best


def _needed(runtime: str) -> list[str]:
    """The packages that a detector needs to run in a runtime."""
    if runtime not in LIVE_FORMATS:
        return []
    return [*dict.fromkeys((RUNTIMES[runtime].package, *LIVE_FORMATS[runtime].packages))]


def _works(runtime: str) -> bool:
    """Whether a detector can run in a runtime; where its packages are there and do not work, a warning says why."""
    if missing(_needed(runtime)):
        return False
    try:
        require(f'runtime {runtime!r}', *_needed(runtime))
    except ImportError as error:
        _logger.warning('%s', error)
        return False
    return True


def _open(
    detector: ModelNetwork,
    runtime: str,
    info: ExportInfo,
    threads: int | None,
    device: str | None,
    tensors: bool,
    kept: KeptGraphs | None,
) -> Any:
    if runtime not in LIVE_FORMATS:
        from mbv3zoo.export.graph import DeployedNetwork
        from mbv3zoo.runtimes.torch_graph import TorchGraphSession

        if runtime == 'compile':
            _logger.info('runtime compile: the first image of a size takes about a minute')
        graph = DeployedNetwork(detector, info)
        return ExportedModel.of(TorchGraphSession(graph, runtime, threads, device), info, tensors)
    made_for = (runtime, info.image_size, info.batch_size)
    if kept and (opened := kept.open(*made_for, threads=threads, device=device, tensors=tensors)):
        return opened
    require(f'runtime {runtime!r}', *_needed(runtime))
    _logger.info('runtime %s: writing the graph of the detector for it', runtime)
    with temporary_folder() as folder:
        path = write_live(detector, info, runtime, folder)
        session = open_session(path, runtime, threads=threads, device=device)
        if kept:
            kept.keep(*made_for, path)
    return ExportedModel.of(session, info, tensors)


def _is_of_known_code(detector: ModelNetwork) -> bool:
    """Whether all of a detector's code is of libraries whose versions kept graphs are found by, not other packages."""
    from timm.models import is_model, model_entrypoint

    modules = {type(module).__module__ for module in detector.modules()}
    if is_model(name := detector.config.backbone):
        modules.add(model_entrypoint(name.partition('.')[0]).__module__)
    return {module.partition('.')[0] for module in modules} <= _KNOWN_CODE


def check_run(runtime: str, threads: int | None, device: str | None) -> None:
    """Raises ValueError where there is no such runtime for a detector, or threads or device cannot be.

    ImportError says what to install where the runtime itself is missing.
    """
    known = (*LIVE_RUNTIMES, 'auto')
    if runtime not in known:
        raise ValueError(f'unknown runtime {shown(runtime)}; expected one of {", ".join(known)}')
    check_resources(threads, device)
    if runtime in LIVE_FORMATS and missing([RUNTIMES[runtime].package]):
        require(f'runtime {runtime!r}', *_needed(runtime))


def check_options(threads: int | None, device: str | None) -> None:
    """Raises ValueError where threads or a device are given without a runtime."""
    for name, value in (('threads', threads), ('device', device)):
        if value is not None:
            raise ValueError(f"{name} needs a runtime; pass runtime='auto', or move the detector itself")
