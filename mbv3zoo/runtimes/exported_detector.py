"""A detector in an exported file, or a graph that a runtime holds: the same `predict` as `Detector`, without torch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mbv3zoo.detections import Detections
from mbv3zoo.models.postprocess.arrays import postprocess
from mbv3zoo.models.postprocess.decoding import Kept
from mbv3zoo.models.postprocess.thresholds import Thresholds
from mbv3zoo.prediction.predict import iter_predict, predict
from mbv3zoo.runtimes.export_info import ExportInfo, read_info
from mbv3zoo.runtimes.session import Session, open_session


class ExportedDetector:
    """Predicts with what a runtime runs.

    Args:
        session: The graph, open in a runtime.
        info: What it says about itself.
        tensors: Whether detections hold torch tensors; numpy arrays, unless asked for.

    Attributes:
        session, info, tensors: As given.
        runtime: The runtime's name.
    """

    def __init__(self, session: Session, info: ExportInfo, tensors: bool = False) -> None:
        self.session = session
        self.info = info
        self.tensors = tensors
        self.runtime = session.runtime

    @classmethod
    def open(
        cls, path: str | Path, runtime: str | None = None, *, threads: int | None = None, device: str | None = None
    ) -> ExportedDetector:
        """Opens an exported file.

        Args:
            path, runtime, threads, device: As for `mbv3zoo.runtimes.session.open_session`.

        Raises:
            ValueError: There is no such file, no runtime opens it, or nothing says what is in it.
            ImportError: The runtime is not installed.
        """
        session = open_session(path, runtime, threads=threads, device=device)
        info = read_info(Path(path), session.metadata)
        if info is None:
            raise ValueError(
                f'{path}: it does not say which classes and anchors it has, as files that mbv3zoo exports do; '
                f'expected the certificate {Path(path).name}.json beside it'
            )
        return cls(session, info)

    def predict(self, source: Any, **options: Any) -> Detections | list[Detections]:
        """Finds objects in one picture or many; as `Detector.predict`, but the detections hold numpy arrays.

        Raises:
            ValueError: As there; or an option asks for what is fixed in the file, such as its picture's size.
        """
        return predict(self, source, **options)

    def iter_predict(self, source: Any, **options: Any) -> Iterator[Detections]:
        """As `predict`, one picture after the other; see `mbv3zoo.prediction.predict.iter_predict`."""
        return iter_predict(self, source, **options)

    def run(self, images: np.ndarray) -> list[np.ndarray]:
        """The graph's own outputs.

        Args:
            images: uint8 [B, C, H, W], letterboxed; any B, where the graph takes one only, it runs so often.

        Returns:
            As `info.outputs` says, of the whole batch; float32.

        Raises:
            ValueError: The graph takes pictures of another size.
        """
        self._check(images)
        images = images.astype(self.info.input_dtype, copy=False)
        if self.info.dynamic or len(images) == self.info.batch_size:
            return self.session(np.ascontiguousarray(images))
        size = self.info.batch_size
        # The last call is filled up with its last picture.
        chunks = [images[start : start + size] for start in range(0, len(images), size)]
        found = [
            self.session(np.ascontiguousarray(np.pad(c, [(0, size - len(c)), (0, 0), (0, 0), (0, 0)], 'edge')))
            for c in chunks
        ]
        if self.info.outputs == 'detections':
            return [_join(found, [len(c) for c in chunks], size)]
        return [np.concatenate(parts)[: len(images)] for parts in zip(*found, strict=True)]

    def detect(self, images: np.ndarray, **thresholds: Any) -> list[Kept]:
        """What is kept of each picture.

        Args:
            images: As for `run`.
            **thresholds: Fields of `mbv3zoo.models.postprocess.thresholds.Thresholds`; where the graph suppresses by
                itself, they can only ask for less than it gives.

        Returns:
            One `Kept` a picture: boxes in pixels of the letterbox, scores, labels; the best first.

        Raises:
            ValueError: They ask for more, or the graph takes pictures of another size.
        """
        if self.info.outputs == 'maps':
            return postprocess(self.run(images), self.info.anchors, self.info.strides, Thresholds(**thresholds))
        self._check_thresholds(thresholds)
        return _split(self.run(images)[0], len(images), thresholds)

    def _check(self, images: np.ndarray) -> None:
        height, width = images.shape[2:]
        if self.info.dynamic:
            self.info.check_sides((height, width))
        elif (height, width) != self.info.image_size:
            raise ValueError(
                f'image_size is {(height, width)}, but the exported graph takes {self.info.image_size} only; leave '
                'image_size out, or export it with dynamic=True'
            )

    def _check_thresholds(self, thresholds: dict[str, Any]) -> None:
        info = self.info
        low = thresholds.get('score_thresh', info.score_thresh) < info.score_thresh
        many = thresholds.get('max_detections', info.max_detections) > info.max_detections
        if low or many or thresholds.get('iou_thresh', info.iou_thresh) != info.iou_thresh:
            raise ValueError(
                f'the exported graph suppresses with score_thresh {info.score_thresh}, iou_thresh {info.iou_thresh} '
                f'and max_detections {info.max_detections} inside, given {thresholds}; leave them out, or export it '
                'without nms'
            )


def _join(found: list[list[np.ndarray]], counts: list[int], size: int) -> np.ndarray:
    """Rows [N, 7] of several calls, with the picture's number in the whole batch."""
    rows = []
    for index, ((part,), count) in enumerate(zip(found, counts, strict=True)):
        part = part[part[:, 0] < count].copy()
        part[:, 0] += index * size
        rows.append(part)
    return np.concatenate(rows)


def _split(rows: np.ndarray, count: int, thresholds: dict[str, Any]) -> list[Kept]:
    """Rows [N, 7] of a batch -> what is kept of each picture."""
    rows = rows[rows[:, 5] > thresholds.get('score_thresh', 0)]
    own = [rows[rows[:, 0] == index][: thresholds.get('max_detections')] for index in range(count)]
    return [Kept(part[:, 1:5], part[:, 5], part[:, 6].astype(np.int64)) for part in own]
