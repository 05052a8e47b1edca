"""A detector in an exported file, or a graph that a runtime holds: the same `predict` as `Detector`, without torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from mbv3zoo.detections import Detections
from mbv3zoo.models.postprocess.arrays import postprocess
from mbv3zoo.models.postprocess.decoding import Kept
from mbv3zoo.models.postprocess.thresholds import Thresholds
from mbv3zoo.prediction.predict import iter_predict, predict
from mbv3zoo.runtimes.export_info import ExportInfo, read_info
from mbv3zoo.runtimes.parts import settled
from mbv3zoo.runtimes.session import Session, open_session
from mbv3zoo.runtimes.table import find_format
from mbv3zoo.utils.text import shown


class ExportedDetector:
    """Predicts with what a runtime runs.

    Args:
        session: The graph, open in a runtime.
        info: What it says about itself.
        tensors: Whether detections hold torch tensors; numpy arrays, unless asked for.

    Attributes:
        session, info, tensors: As given.
        runtime: The runtime's name.
        thresholds: What is kept by default; where NMS is inside the graph, the thresholds in there.

    Example:
        >>> detector = mbv3zoo.load('model.onnx')
        >>> detector.runtime, detector.info.image_size
        ('onnxruntime', (320, 320))
    """

    def __init__(self, session: Session, info: ExportInfo, tensors: bool = False) -> None:
        self.session = session
        self.info = info
        self.tensors = tensors
        self.runtime = session.runtime
        inside = {name: getattr(info, name) for name in ('score_thresh', 'iou_thresh', 'max_detections')}
        self.thresholds = Thresholds(**{name: value for name, value in inside.items() if value is not None})

    @property
    def class_names(self) -> tuple[str, ...]:
        """Name of each class, by its label.

        Example:
            >>> mbv3zoo.load('model.onnx').class_names[:2]
            ('arrow', 'ball')
        """
        return self.info.class_names

    @property
    def device(self) -> str:
        """Where it runs, as its runtime names it.

        Example:
            >>> mbv3zoo.load('model.onnx').device
            'cpu'
        """
        return str(self.session.device)

    def __call__(self, images: Any) -> NoReturn:
        """Raises ValueError: an exported detector is not called.

        Example:
            >>> mbv3zoo.load('model.onnx')('a.jpg')
            Traceback (most recent call last):
            ValueError: an exported detector is not called: predict() takes images and files, given 'a.jpg', ...
        """
        given = shown(images) if isinstance(images, str | Path) else type(images).__name__
        raise ValueError(
            f'an exported detector is not called: predict() takes images and files, given {given}, and run() '
            "gives the graph's own outputs of uint8 [B, C, H, W]"
        )

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

        Example:
            >>> detector = mbv3zoo.ExportedDetector.open('model.onnx', 'onnxruntime', threads=1)
        """

        def read() -> tuple[Session, ExportInfo | None]:
            session = open_session(path, runtime, threads=threads, device=device)
            return session, read_info(Path(path), session.metadata)

        session, info = settled(Path(path), read) if find_format(path) else read()
        if info is None:
            raise ValueError(
                f'{path}: it does not say which classes and anchors it has, as files that mbv3zoo exports do; '
                f'expected the certificate {Path(path).name}.json beside it'
            )
        return cls(session, info)

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
        )

    def run(self, images: np.ndarray) -> list[np.ndarray]:
        """The graph's own outputs.

        Args:
            images: uint8 [B, C, H, W], letterboxed; any B, where the graph takes one only, it runs so often.

        Returns:
            As `info.outputs` says, of the whole batch; float32.

        Raises:
            ValueError: The graph takes images of another size.

        Example:
            >>> import numpy
            >>> maps = mbv3zoo.load('model.onnx').run(numpy.zeros((1, 3, 320, 320), numpy.uint8))
            >>> [level.shape for level in maps]
            [(1, 63, 40, 40), (1, 63, 20, 20), (1, 63, 10, 10)]
        """
        self.check_size(images.shape[2:])
        images = images.astype(self.info.input_dtype, copy=False)
        if self.info.dynamic or len(images) == self.info.batch_size:
            return self.session(np.ascontiguousarray(images))
        size = self.info.batch_size
        # The last batch is padded with its last image.
        chunks = [images[start : start + size] for start in range(0, len(images), size)]
        found = [
            self.session(np.ascontiguousarray(np.pad(c, [(0, size - len(c)), (0, 0), (0, 0), (0, 0)], 'edge')))
            for c in chunks
        ]
        if self.info.outputs == 'detections':
            return [_join(found, [len(c) for c in chunks], size)]
        return [np.concatenate(parts)[: len(images)] for parts in zip(*found, strict=True)]

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
            return postprocess(self.run(images), self.info.anchors, self.info.strides, thresholds)
        self._check_thresholds(thresholds)
        return _split(self.run(images)[0], len(images), thresholds)

    def check_size(self, image_size: tuple[int, int]) -> None:
        """Raises ValueError where the graph does not take images of (height, width) pixels.

        Example:
            >>> mbv3zoo.load('model.onnx').check_size((320, 320))
        """
        height, width = image_size
        if self.info.dynamic:
            self.info.check_sides((height, width))
        elif (height, width) != self.info.image_size:
            raise ValueError(
                f'image_size is {(height, width)}, but the exported graph takes {self.info.image_size} only; leave '
                'image_size out, or export it with dynamic=True'
            )

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


def _join(found: list[list[np.ndarray]], counts: list[int], size: int) -> np.ndarray:
    """Rows [N, 7] of several calls, with the image's number in the whole batch."""
    rows = []
    for index, ((part,), count) in enumerate(zip(found, counts, strict=True)):
        part = part[part[:, 0] < count].copy()
        part[:, 0] += index * size
        rows.append(part)
    return np.concatenate(rows)


def _split(rows: np.ndarray, count: int, thresholds: Thresholds) -> list[Kept[np.ndarray]]:
    """Rows [N, 7] of a batch -> what is kept of each image."""
    rows = rows[rows[:, 5] > thresholds.score_thresh]
    if thresholds.classes is not None:
        rows = rows[np.isin(rows[:, 6], thresholds.classes)]
    own = [rows[rows[:, 0] == index][: thresholds.max_detections] for index in range(count)]
    return [Kept(part[:, 1:5], part[:, 5], part[:, 6].astype(np.int64)) for part in own]
