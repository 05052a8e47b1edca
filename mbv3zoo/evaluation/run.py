"""Runs a detector over a labelled dataset."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from torch.utils.data import DataLoader, Dataset, Subset

from mbv3zoo.data.load import load_split
from mbv3zoo.data.loader import ignore_interruptions
from mbv3zoo.data.records import DetectionSet
from mbv3zoo.data.samples import EvalSamples
from mbv3zoo.detections import Detections
from mbv3zoo.evaluation.coco import score
from mbv3zoo.evaluation.metrics import Evaluation, Metrics
from mbv3zoo.images.letterbox import Letterbox
from mbv3zoo.models.postprocess.thresholds import COCO_EVALUATION
from mbv3zoo.prediction.engine import Engine, as_engine, input_size
from mbv3zoo.utils.sizes import MOST_WORKERS, images_per_batch, whole_number

if TYPE_CHECKING:
    from mbv3zoo.models.network import DetectorNetwork

_logger = logging.getLogger(__name__)


def evaluate(
    detector: DetectorNetwork | Engine,
    data: str | Path | DetectionSet,
    *,
    split: str | Path | None = None,
    images: str | Path | None = None,
    batch_size: int = 32,
    workers: int = 0,
    image_size: int | tuple[int, int] | None = None,
    max_pixels: int | None = None,
) -> Metrics:
    """COCO average precision of a detector on a labelled dataset.

    Args:
        detector: A `Detector`, or an exported one as `mbv3zoo.load('model.onnx')` opens it; its classes must be those
            of the dataset, in the same order. Of a file with NMS inside the figures are of what its own thresholds
            keep, and lower; a warning says so. It runs on the device and in the type that its weights have.
        data: A dataset that `mbv3zoo.load_dataset` reads, or what it returned.
        split: Split of the dataset, 'val' by default, or the `val.txt` of a run. A COCO file is one split, and data
            that is read already takes neither this nor `images` or `max_pixels`.
        images: Folder of a COCO file's images, as for `mbv3zoo.load_dataset`.
        batch_size, image_size: As for `mbv3zoo.prediction.predict.predict`.
        workers: Processes that read images, up to 1024; 0 reads them in this one.
        max_pixels: Most pixels of an image, as for `mbv3zoo.load_dataset`.

    Returns:
        The figures, in 0..1: `metrics.ap`, `metrics.ap50`, `metrics.per_class['cat']`, ..., and the score threshold
        with the best F1, `metrics.best_threshold`, for `predict`.

    Raises:
        ValueError: There is no such dataset, `split` or `images` does not apply to it, the detector has other classes
            or does not take this size.

    Example:
        >>> detector = mbv3zoo.load('mbv3_yolo_small.synth')
        >>> metrics = mbv3zoo.evaluate(detector, 'data.yaml')
        >>> metrics.images, metrics.ap50 > 0.5
        (4, True)
    """
    if isinstance(data, DetectionSet):
        for name, value in (('split', split), ('images', images), ('max_pixels', max_pixels)):
            if value is not None:
                raise ValueError(
                    f'{name}={str(value)!r} is for data that is to be read; leave it out for a DetectionSet'
                )
        labelled = data
    else:
        labelled = load_split(data, split, images, max_pixels)
    return run_evaluation(detector, labelled, batch_size=batch_size, workers=workers, image_size=image_size).metrics


def run_evaluation(
    detector: DetectorNetwork | Engine,
    data: DetectionSet,
    *,
    batch_size: int = 32,
    workers: int = 0,
    image_size: int | tuple[int, int] | None = None,
    progress: Callable[[int], object] | None = None,
) -> Evaluation:
    """As `evaluate`, with all that was found, for reports.

    Args:
        detector, batch_size, workers, image_size: As for `evaluate`.
        data: The labelled set.
        progress: Called with the number of images after each batch.

    Raises:
        ValueError: As `evaluate`.
    """
    check_classes(detector, data)
    return score(data, collect(detector, data, batch_size, workers, image_size, progress))


def check_classes(detector: DetectorNetwork | Engine, data: DetectionSet) -> None:
    """Raises ValueError where a detector's classes are not a set's."""
    own, given = as_engine(detector).info.class_names, data.class_names
    if own != given:
        known = set(own)
        only = [name for name in given if name not in known][:5]
        hint = f'; unknown to the detector: {only}' if only else '; the order differs' if len(own) == len(given) else ''
        raise ValueError(f'the detector has {len(own)} classes, the data set {len(given)}{hint}')


def collect(
    detector: DetectorNetwork | Engine,
    data: DetectionSet,
    batch_size: int = 32,
    workers: int = 0,
    image_size: int | tuple[int, int] | None = None,
    progress: Callable[[int], object] | None = None,
    indices: Sequence[int] | None = None,
    max_detections: int = COCO_EVALUATION.max_detections,
) -> list[Detections]:
    """Detections of every image, in the set's order, with the thresholds of COCO evaluation.

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
    thresholds = replace(COCO_EVALUATION, max_detections=max_detections)
    if getattr(engine.info, 'outputs', None) == 'detections':
        thresholds = engine.thresholds
        _logger.warning(
            'NMS is inside the graph, with score_thresh %g and iou_thresh %g: the figures are of what it keeps, and '
            'lower than those of a file exported without --nms',
            thresholds.score_thresh,
            thresholds.iou_thresh,
        )
    samples: Dataset = EvalSamples(data, size, engine.info.in_chans)
    if indices is not None:
        samples = Subset(samples, indices)
    found = []
    for images, numbers in DataLoader(samples, batch_size, num_workers=workers, worker_init_fn=ignore_interruptions):
        kept = engine.detect(images.numpy(), thresholds)
        for (boxes, scores, labels), number in zip(kept, numbers.tolist(), strict=True):
            record = data.records[number]
            boxes = Letterbox.fit(record.size, size).boxes_to_original(boxes)
            own = Detections(boxes, scores, labels, data.class_names, record.size, str(record.path))
            found.append(own.torch())
        if progress:
            progress(len(numbers))
    return found
