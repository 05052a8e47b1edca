"""Runs a detector over a labelled set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from torch.utils.data import DataLoader, Dataset, Subset
from torchvision.ops import batched_nms, nms

from mbv3zoo.data.records import DetectionSet
from mbv3zoo.data.samples import EvalSamples
from mbv3zoo.detections import Detections
from mbv3zoo.evaluation.coco import score
from mbv3zoo.evaluation.metrics import Evaluation
from mbv3zoo.images.letterbox import Letterbox
from mbv3zoo.models.postprocess.thresholds import COCO_EVALUATION, PREDICTION
from mbv3zoo.prediction.engine import as_engine


def evaluate(
    detector: Any,
    data: DetectionSet,
    *,
    batch_size: int = 32,
    workers: int = 0,
    image_size: tuple[int, int] | None = None,
    progress: Callable[[int], object] | None = None,
) -> Evaluation:
    """Runs a detector over a labelled set and scores it.

    Args:
        detector: A `Detector` or an exported one (what `mbv3zoo.load` opens) whose classes are the set's, in this
            order. It runs on the device and in the type that it has.
        data: The labelled set.
        batch_size: Images at a time.
        workers: Loader processes.
        image_size: (height, width) of the letterbox; the detector's own by default.
        progress: Called with the number of images after each batch.

    Raises:
        ValueError: The detector has other classes than the set, does not take this size, or is a file with NMS inside,
            whose thresholds are not those of COCO evaluation.
    """
    check_classes(detector, data)
    return score(data, collect(detector, data, batch_size, workers, image_size, progress))


def check_classes(detector: Any, data: DetectionSet) -> None:
    """Raises ValueError where a detector's classes are not a set's."""
    own, given = as_engine(detector).info.class_names, data.class_names
    if own != given:
        only = [name for name in given if name not in own][:5]
        hint = f'; unknown to the detector: {only}' if only else '; the order differs' if len(own) == len(given) else ''
        raise ValueError(f'the detector has {len(own)} classes, the data set {len(given)}{hint}')


def collect(
    detector: Any,
    data: DetectionSet,
    batch_size: int = 32,
    workers: int = 0,
    image_size: tuple[int, int] | None = None,
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
    image_size = image_size or engine.info.image_size
    thresholds = replace(COCO_EVALUATION, max_detections=max_detections)
    samples: Dataset = EvalSamples(data, image_size, engine.info.in_chans)
    if indices is not None:
        samples = Subset(samples, indices)
    found = []
    for images, numbers in DataLoader(samples, batch_size, num_workers=workers):
        kept = engine.detect(images.numpy(), thresholds)
        for (boxes, scores, labels), number in zip(kept, numbers.tolist(), strict=True):
            record = data.records[number]
            boxes = Letterbox.fit(record.size, image_size).boxes_to_original(boxes)
            own = Detections(boxes, scores, labels, data.class_names, record.size, str(record.path))
            found.append(own.torch())
        if progress:
            progress(len(numbers))
    return found


def as_predicted(
    found: Detections, score_thresh: float = PREDICTION.score_thresh, iou_thresh: float = PREDICTION.iou_thresh
) -> Detections:
    """What `predict` would have reported of an image's detections: thresholded, one class per box, after NMS."""
    found = found[found.scores >= score_thresh]
    # A box that is reported under several classes is the same in each.
    found = found[nms(found.boxes, found.scores, 0.999)]
    return found[batched_nms(found.boxes, found.scores, found.labels, iou_thresh)]
