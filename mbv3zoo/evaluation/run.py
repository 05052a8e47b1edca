"""Runs a detector or a segmenter over a labelled dataset."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch.utils.data import DataLoader, Dataset, Subset

from mbv3zoo.data.detection_set import DetectionSet
from mbv3zoo.data.load import load_split
from mbv3zoo.data.loader import ignore_interruptions
from mbv3zoo.data.masks import MaskSet
from mbv3zoo.data.pictures import check_is_there
from mbv3zoo.data.samples import EvalSamples
from mbv3zoo.detections import Detections
from mbv3zoo.evaluation.coco import score
from mbv3zoo.evaluation.masks import count_labels, score_labels
from mbv3zoo.images.letterbox import Letterbox
from mbv3zoo.images.reader import Picture
from mbv3zoo.images.tiles import Slicing, slicing_or_none
from mbv3zoo.models.postprocess.thresholds import COCO_EVALUATION, Thresholds
from mbv3zoo.prediction.engine import Engine, as_engine, check_detects, find, input_size, task_of
from mbv3zoo.prediction.slicing import find_sliced
from mbv3zoo.utils.processes import ALONE, Processes
from mbv3zoo.utils.sizes import MAX_PIXELS, MOST_WORKERS, images_per_batch, whole_number

if TYPE_CHECKING:
    from mbv3zoo.models.base_network import ModelNetwork

_logger = logging.getLogger(__name__)

# Detections of an image that count where it is cut into tiles: aerial images have thousands of objects.
_MOST_SLICED = 10_000


def evaluate(
    detector: ModelNetwork | Engine,
    data: str | Path | DetectionSet | MaskSet,
    *,
    split: str | Path | None = None,
    images: str | Path | None = None,
    batch_size: int = 32,
    workers: int = 0,
    image_size: int | tuple[int, int] | None = None,
    max_pixels: int | None = None,
    slice: int | tuple[int, int] | None = None,
    overlap: float | None = None,
    slice_only: bool = False,
) -> Any:
    """Average precision of a detector, or IoU of a segmenter, on a labelled dataset.

    Args:
        detector: A `Detector` or `Segmenter`, or an exported one as `mbv3zoo.load('model.onnx')` opens it; its classes
            must be those of the dataset, in the same order. Of a file with NMS inside the figures are of what its own
            thresholds keep, and lower; a warning says so. It runs on the device and in the type that its weights have.
        data: A dataset that `mbv3zoo.load_dataset` reads, with masks for a segmenter, or what it returned.
        split: Split of the dataset, 'val' by default, or the `val.txt` of a run. A COCO file is one split, and data
            that is read already takes neither this nor `images` or `max_pixels`.
        images: Folder of a COCO file's images, as for `mbv3zoo.load_dataset`.
        batch_size, image_size: As for `mbv3zoo.prediction.predict.predict`.
        workers: Processes that read images, up to 1024; 0 reads them in this one.
        max_pixels: Most pixels of an image, as for `mbv3zoo.load_dataset`.
        slice, overlap, slice_only: As for `mbv3zoo.prediction.predict.predict`, for detectors. Up to 10,000 detections
            of an image count then, in place of COCO's 100.

    Returns:
        The figures, in 0..1: `metrics.ap`, `metrics.ap50`, `metrics.per_class['cat']`, ..., and the score threshold
        with the best F1, `metrics.best_threshold`, for `predict`. Of a segmenter `metrics.miou`,
        `metrics.pixel_accuracy`, `metrics.per_class['cat']`, of the pixels of the original images.

    Raises:
        ValueError: There is no such dataset, `split` or `images` does not apply to it, the detector has other classes
            or does not take this size.

    Example:
        >>> detector = mbv3zoo.load('mbv3_yolo_small.synth')
        >>> metrics = mbv3zoo.evaluate(detector, 'data.yaml')
        >>> metrics.images, metrics.ap50 > 0.5
        (4, True)
    """
    if not isinstance(data, str | Path):
        for name, value in (('split', split), ('images', images), ('max_pixels', max_pixels)):
            if value is not None:
                raise ValueError(
                    f'{name}={str(value)!r} is for data that is to be read; leave it out for a {type(data).__name__}'
                )
        labelled = data
    else:
        labelled = load_split(data, split, images, max_pixels, task_of(detector))
    slicing = slicing_or_none(slice, overlap, slice_only)
    check_detects(detector, ['slice'] if slicing else [])
    return run_evaluation(
        detector, labelled, batch_size=batch_size, workers=workers, image_size=image_size, slicing=slicing
    ).metrics


def run_evaluation(
    detector: ModelNetwork | Engine,
    data: DetectionSet | MaskSet,
    *,
    batch_size: int = 32,
    workers: int = 0,
    image_size: int | tuple[int, int] | None = None,
    progress: Callable[[int], object] | None = None,
    with_f1: bool = True,
    group: Processes = ALONE,
    slicing: Slicing | None = None,
) -> Any:
    """As `evaluate`, with what was found, for reports: an `Evaluation` or a `SegmentationEvaluation`.

    Args:
        detector, batch_size, workers, image_size: As for `evaluate`.
        data: The labelled set.
        progress: Called with the number of images after each batch.
        with_f1: Whether the figures have F1, which only reports show.
        group: Processes that each run their share of the images; all of them get the figures.
        slicing: How images are cut into tiles; None does not cut them.

    Raises:
        ValueError: As `evaluate`.
    """
    check_classes(detector, data)
    own = group.share(len(data))
    chosen = None if group.count == 1 else own
    if slicing is not None:
        assert isinstance(data, DetectionSet), 'segmenters have no slicing'
        found = _collect_sliced(detector, data, slicing, batch_size, image_size, progress, own)
    else:
        found = collect(detector, data, batch_size, workers, image_size, progress, chosen)
    if isinstance(data, MaskSet):
        return score_labels(data, group.gather(found))
    gathered = dict(group.gather(list(zip(own, found, strict=True))))
    most = None if slicing is None else _MOST_SLICED
    return score(data, [gathered[i] for i in range(len(data))], with_f1, most)


def check_classes(detector: ModelNetwork | Engine, data: DetectionSet | MaskSet) -> None:
    """Raises ValueError where a model's classes are not a set's, or the set is of another task."""
    if (task := task_of(detector)) != ('segmentation' if isinstance(data, MaskSet) else 'detection'):
        raise ValueError(f"a model for {task} was given a {type(data).__name__}; read the data with task='{task}'")
    own, given = as_engine(detector).info.class_names, data.class_names
    if own != given:
        known = set(own)
        only = [name for name in given if name not in known][:5]
        hint = f'; unknown to the detector: {only}' if only else '; the order differs' if len(own) == len(given) else ''
        raise ValueError(f'the detector has {len(own)} classes, the data set {len(given)}{hint}')


def collect(
    detector: ModelNetwork | Engine,
    data: DetectionSet | MaskSet,
    batch_size: int = 32,
    workers: int = 0,
    image_size: int | tuple[int, int] | None = None,
    progress: Callable[[int], object] | None = None,
    indices: Sequence[int] | None = None,
    max_detections: int = COCO_EVALUATION.max_detections,
) -> list[Any]:
    """Detections of every image, in the set's order, with the thresholds of COCO evaluation.

    Of a segmenter one item, what `mbv3zoo.evaluation.masks.count_labels` gives.

    Args:
        detector, data, batch_size, workers, image_size, progress: As for `evaluate`.
        indices: The records to run on, where they are not all, so that processes may share a set; the result is
            then in this order.
        max_detections: Most detections per image; COCO's figures count no more than 100.
    """
    engine = as_engine(detector)
    size = input_size(engine, image_size)
    batch_size = images_per_batch(batch_size, size, len(data.class_names))
    workers = whole_number(workers, 'workers', 0, MOST_WORKERS)
    thresholds = _thresholds(engine, max_detections)
    samples: Dataset = EvalSamples(data, size, engine.info.in_chans)
    if indices is not None:
        samples = Subset(samples, indices)
    loader = DataLoader(samples, batch_size, num_workers=workers, worker_init_fn=ignore_interruptions)
    found = _found(engine, data, loader, thresholds, progress)
    if isinstance(data, MaskSet):
        return [count_labels(data, range(len(data)) if indices is None else indices, found)]
    return [own.torch() for own in found]


def _thresholds(engine: Engine, max_detections: int) -> Thresholds:
    if getattr(engine.info, 'outputs', None) != 'detections':
        return replace(COCO_EVALUATION, max_detections=max_detections)
    _logger.warning(
        'NMS is inside the graph, with score_thresh %g and iou_thresh %g: the figures are of what it keeps, and '
        'lower than those of a file exported without --nms',
        engine.thresholds.score_thresh,
        engine.thresholds.iou_thresh,
    )
    return engine.thresholds


def _collect_sliced(
    detector: ModelNetwork | Engine,
    data: DetectionSet,
    slicing: Slicing,
    batch_size: int,
    image_size: int | tuple[int, int] | None,
    progress: Callable[[int], object] | None,
    indices: Sequence[int],
) -> list[Any]:
    """As `collect`, in tiles: each keeps as many detections as an image of COCO."""
    engine = as_engine(detector)
    size = input_size(engine, image_size)
    batch_size = images_per_batch(batch_size, size, len(data.class_names))
    paths = [data.records.paths[i] for i in indices]
    thresholds = _thresholds(engine, COCO_EVALUATION.max_detections)
    most_pixels = max(MAX_PIXELS, int(data.records.sizes.prod(1).max()))
    found = []
    for own in find_sliced(engine, paths, slicing, size, batch_size, thresholds, most_pixels, most=_MOST_SLICED):
        if isinstance(own, Picture):
            check_is_there(Path(str(own.path)), ValueError(own.error))
            warnings.warn(f'{own.error}; taken as an empty picture', stacklevel=2)
            own = Detections.empty(data.class_names, path=own.path)
        found.append(own.torch())
        if progress:
            progress(1)
    return found


def _found(
    engine: Engine,
    data: DetectionSet | MaskSet,
    loader: DataLoader,
    thresholds: Thresholds,
    progress: Callable[[int], object] | None,
) -> Iterator[Any]:
    """What is found in the images of a loader of `EvalSamples`, one after the other."""
    for images, numbers in loader:
        records = [data.records[number] for number in numbers.tolist()]
        places = [
            (Letterbox.fit(record.size, (images.shape[2], images.shape[3])), str(record.path)) for record in records
        ]
        yield from find(engine, images.numpy(), places, thresholds)
        if progress:
            progress(len(numbers))
