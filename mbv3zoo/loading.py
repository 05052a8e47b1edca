"""Opens a detector: name, folder, repository or file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from mbv3zoo.export.live import check_options, check_run, open_file, open_live
from mbv3zoo.licenses import check_allowed
from mbv3zoo.prediction.engine import check_detects
from mbv3zoo.runtimes.graph_cache import KeptGraphs
from mbv3zoo.runtimes.table import LIVE_FORMATS, find_format
from mbv3zoo.utils.sizes import parse_image_size
from mbv3zoo.utils.text import shown

if TYPE_CHECKING:
    from mbv3zoo.detector import Detector
    from mbv3zoo.hub import PullOptions
    from mbv3zoo.runtimes.exported_detector import ExportedDetector
    from mbv3zoo.runtimes.exported_segmenter import ExportedSegmenter
    from mbv3zoo.segmenter import Segmenter
    from mbv3zoo.zoo.saved import SavedSource


def load(
    source: str | Path,
    *,
    runtime: str | None = None,
    image_size: int | tuple[int, int] | None = None,
    threads: int | None = None,
    device: str | None = None,
    cache: bool = True,
    nms: bool = True,
    allow_licenses: Iterable[str] | None = None,
    **options: Unpack[PullOptions],
) -> Detector | Segmenter | ExportedDetector | ExportedSegmenter:
    """Opens a detector that is ready to predict.

    Args:
        source: An exported file ('model.onnx', 'model.xml', ...), which is opened without torch; or what
            `Detector.from_pretrained` takes: a name with a tag, a saved folder, a Hub repository.
        runtime: What runs the detector: for a file one of `mbv3zoo.runtimes.table.RUNTIMES` that opens it, for other
            sources one of `mbv3zoo.export.live.open_live`; 'auto' takes the fastest that is installed. By default the
            usual runtime of a file, else PyTorch.
        image_size: Side, or (height, width), in pixels that the graph is made for where a runtime is named; by default
            the detector's own. An exported file keeps its own, and a `Detector` takes it in `predict`.
        threads: Threads per call.
        device: As the runtime names it; of PyTorch 'cpu', 'cuda', 'cuda:1', 'mps', or the number of a GPU.
        cache: Whether the graph for 'onnxruntime' and 'openvino' is taken from the user's cache, and kept there for the
            next start (docs/export.md); that is found by the weights, and then neither torch nor timm is imported.
        nms: False takes a detector's predictions that need no NMS (`Detector.without_nms`).
        allow_licenses: Refuse weights that were made from something under another licence than these; see
            `Detector.from_pretrained`. A file is checked by the record in it.
        **options: Of the Hub, for other sources than files: `revision`, `token`, ...; see `mbv3zoo.hub.PullOptions`.

    Returns:
        An `ExportedDetector` for a file or where a runtime is named, else a `Detector`; of a segmenter an
        `ExportedSegmenter`, else a `Segmenter`. All have `predict`. Detections
        hold numpy arrays for a file and for the runtimes 'onnxruntime' and 'openvino', else torch tensors.

    Raises:
        ValueError: There is no detector there, the runtime does not open it, an argument does not apply to it, or a
            licence is not allowed.
        TypeError: There is no such option.
        ImportError: The runtime is not installed.

    Example:
        >>> detector = mbv3zoo.load('mbv3_yolo_small.synth')  # a Detector
        >>> detector = mbv3zoo.load('model.onnx')  # an ExportedDetector
        >>> detector.predict('a.jpg').filter('heart')
        Detections(1 object in a.jpg, 480 x 640: 1 heart 0.90)
    """
    if not isinstance(source, (str, Path)):
        raise ValueError(f'cannot load {shown(source)}: expected a name, a path or a Hub repository, as a str or Path.')
    path = Path(source)
    if image_size is not None and (runtime is None or find_format(path)):
        raise ValueError(f'{source}: image_size is for a detector in a named runtime; give it to predict() instead')
    if not cache and (runtime is None or find_format(path)):
        raise ValueError(f'{source}: cache is for a detector in a named runtime; leave it out')
    if find_format(path):
        if options:
            raise ValueError(f'{source}: an exported file takes no {", ".join(options)}')
        opened = open_file(path, runtime, threads=threads, device=device)
        if not nms and getattr(opened.info, 'nms', True):
            raise ValueError(f"{source}: what is in the file needs NMS; export the detector with nms='none'")
        if allow_licenses is not None:
            check_allowed(opened.info.licenses, allow_licenses)
        return opened
    if runtime is not None:
        check_run(runtime, threads, device)
        from mbv3zoo.zoo.resolve import resolve_saved

        size = None if image_size is None else parse_image_size(image_size)
        saved = resolve_saved(source, **options)
        return _open_saved(saved, runtime, size, threads, device, cache, nms, allow_licenses)
    check_options(threads, None)
    from mbv3zoo.model import Model
    from mbv3zoo.models.devices import torch_device

    place = None if device is None else torch_device(device)
    detector: Any = _with_nms(Model.from_pretrained(source, allow_licenses=allow_licenses, **options), nms)
    return detector.to(place) if place else detector


def _with_nms(model: Any, nms: bool) -> Any:
    if not nms:
        check_detects(model, ['nms'])
    return model if nms else model.without_nms()


def _open_saved(
    saved: SavedSource,
    runtime: str,
    image_size: tuple[int, int] | None,
    threads: int | None,
    device: str | None,
    cache: bool,
    nms: bool,
    allow_licenses: Iterable[str] | None,
) -> Any:
    """A saved detector in a runtime: its graph from the cache without torch, or written from its weights."""
    kept, has_file = None, runtime in LIVE_FORMATS
    if identity := saved.identity() if cache else None:
        config, digests = identity
        if not nms and config.task == 'detection':
            config = config.model_copy(update={'nms': False})
        kept = KeptGraphs(str(saved.name), config.model_dump(mode='json'), digests)
        check_allowed(config.licenses, allow_licenses)
        size = image_size or config.image_size
        known = nms or config.task == 'detection'
        if has_file and known and (opened := kept.open(runtime, size, threads=threads, device=device)):
            return opened
    from mbv3zoo.model import Model

    detector: Any = _with_nms(Model.from_saved(saved, allow_licenses), nms)
    if kept is not None and saved.identity() != identity:
        kept = None  # others were saved meanwhile, and which of them these are is not known
    return open_live(
        detector, runtime, image_size=image_size, threads=threads, device=device, tensors=not has_file, kept=kept
    )
