"""A detector in an exported file, or a graph that a runtime holds: the same `predict` as `Detector`, without torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from mbv3zoo.detections import Detections
from mbv3zoo.models.postprocess.arrays import postprocess
from mbv3zoo.models.postprocess.decoding import Kept
from mbv3zoo.models.postprocess.thresholds import Thresholds
from mbv3zoo.prediction.predict import iter_predict, predict
from mbv3zoo.runtimes.exported_model import ExportedModel


class ExportedDetector(ExportedModel):
    """Finds objects with what a runtime runs; arguments and attributes as for `ExportedModel`.

    Example:
        >>> detector = mbv3zoo.load('model.onnx')
        >>> detector.runtime, detector.info.image_size
        ('onnxruntime', (320, 320))
    """

    def predict(
        self,
        source: Any,
        *,
        score_thresh: float | None = None,
        iou_thresh: float | None = None,
        max_detections: int | None = None,
        classes: str | int | Iterable[str | int] | None = None,
        agnostic_nms: bool = False,
        batch_size: int = 8,
        image_size: int | tuple[int, int] | None = None,
        max_pixels: int | None = None,
        slice: int | tuple[int, int] | None = None,
        overlap: float | None = None,
        slice_only: bool = False,
    ) -> Detections | list[Detections]:
        """Finds objects in one image or many; as `Detector.predict`, but the detections hold numpy arrays.

        Raises:
            ValueError: As there; or an option asks for what is fixed in the file, such as its image's size.

        Example:
            >>> mbv3zoo.load('model.onnx').predict('a.jpg', score_thresh=0.88)
            Detections(2 objects in a.jpg, 480 x 640: 1 triangle 0.92, 1 heart 0.90)
        """
        return predict(
            self,
            source,
            score_thresh=score_thresh,
            iou_thresh=iou_thresh,
            max_detections=max_detections,
            classes=classes,
            agnostic_nms=agnostic_nms,
            batch_size=batch_size,
            image_size=image_size,
            max_pixels=max_pixels,
            slice=slice,
            overlap=overlap,
            slice_only=slice_only,
        )

    def iter_predict(
        self,
        source: Any,
        *,
        score_thresh: float | None = None,
        iou_thresh: float | None = None,
        max_detections: int | None = None,
        classes: str | int | Iterable[str | int] | None = None,
        agnostic_nms: bool = False,
        batch_size: int = 8,
        image_size: int | tuple[int, int] | None = None,
        max_pixels: int | None = None,
        slice: int | tuple[int, int] | None = None,
        overlap: float | None = None,
        slice_only: bool = False,
    ) -> Iterator[Detections]:
        """As `predict`, one image after the other; see `mbv3zoo.prediction.predict.iter_predict`.

        Example:
            >>> for found in mbv3zoo.load('model.onnx').iter_predict(['a.jpg', 'a.jpg'], score_thresh=0.88):
            ...     print(found.names)
            ['triangle', 'heart']
            ['triangle', 'heart']
        """
        return iter_predict(
            self,
            source,
            score_thresh=score_thresh,
            iou_thresh=iou_thresh,
            max_detections=max_detections,
            classes=classes,
            agnostic_nms=agnostic_nms,
            batch_size=batch_size,
            image_size=image_size,
            max_pixels=max_pixels,
            slice=slice,
            overlap=overlap,
            slice_only=slice_only,
        )

    def detect(self, images: np.ndarray, thresholds: Thresholds | None = None) -> list[Kept[np.ndarray]]:
        """What is kept of each image; see `mbv3zoo.prediction.engine.Engine`.

        Args:
            images: As for `run`.
            thresholds: What is kept, by default `self.thresholds`; where NMS is inside the graph, they can only ask for
                less than it gives.

        Returns:
            One `Kept` per image: boxes in pixels of the letterbox, scores, labels; the best first.

        Raises:
            ValueError: They ask for more, or the graph takes images of another size.

        Example:
            >>> import numpy
            >>> kept = mbv3zoo.load('model.onnx').detect(numpy.zeros((2, 3, 320, 320), numpy.uint8))
            >>> len(kept), kept[0].boxes.shape[1]
            (2, 4)
        """
        thresholds = thresholds or self.thresholds
        if self.info.outputs == 'maps':
            thresholds = replace(thresholds, nms=thresholds.nms and self.info.nms)
            return postprocess(self.run(images), self.info.anchors, self.info.strides, thresholds)
        self._check_thresholds(thresholds)
        return _split(self.run(images)[0], len(images), thresholds)

    def _check_thresholds(self, asked: Thresholds) -> None:
        own = self.thresholds
        if asked.class_agnostic:
            raise ValueError(
                'the exported graph has NMS inside, which keeps the classes apart; leave agnostic_nms out, or use a '
                'file exported without nms'
            )
        more = asked.score_thresh < own.score_thresh or asked.max_detections > own.max_detections
        if more or asked.iou_thresh != own.iou_thresh or asked.multi_label:
            raise ValueError(
                f'the exported graph suppresses with score_thresh {own.score_thresh}, iou_thresh {own.iou_thresh} and '
                f'max_detections {own.max_detections} inside, one class per box, given {asked}; leave them out, or use '
                'a file exported without nms, as evaluation needs it'
            )


def _split(rows: np.ndarray, count: int, thresholds: Thresholds) -> list[Kept[np.ndarray]]:
    """Rows [N, 7] of a batch -> what is kept of each image."""
    rows = rows[rows[:, 5] > thresholds.score_thresh]
    if thresholds.classes is not None:
        rows = rows[np.isin(rows[:, 6], thresholds.classes)]
    own = [rows[rows[:, 0] == index][: thresholds.max_detections] for index in range(count)]
    return [Kept(part[:, 1:5], part[:, 5], part[:, 6].astype(np.int64)) for part in own]
