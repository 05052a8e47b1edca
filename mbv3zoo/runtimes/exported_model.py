"""What an exported detector and an exported segmenter have in common: a graph in a runtime, without torch."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn, Self

import numpy as np

from mbv3zoo.config.tasks import KINDS
from mbv3zoo.models.postprocess.thresholds import Thresholds
from mbv3zoo.runtimes.export_info import ExportInfo, read_info
from mbv3zoo.runtimes.parts import settled
from mbv3zoo.runtimes.session import Session, open_session
from mbv3zoo.runtimes.table import find_format
from mbv3zoo.utils.text import shown


class ExportedModel:
    """What a runtime runs; `ExportedDetector` and `ExportedSegmenter` add how they predict.

    Args:
        session: The graph, open in a runtime.
        info: What it says about itself.
        tensors: Whether detections hold torch tensors; numpy arrays, unless asked for.

    Attributes:
        session, info, tensors: As given.
        runtime: The runtime's name.
        thresholds: What is kept by default; where NMS is inside the graph, the thresholds in there.
    """

    detect: Any  # of detectors only

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
        """Raises ValueError: an exported model is not called.

        Example:
            >>> mbv3zoo.load('model.onnx')('a.jpg')
            Traceback (most recent call last):
            ValueError: an exported detector is not called: predict() takes images and files, given 'a.jpg', ...
        """
        given = shown(images) if isinstance(images, str | Path) else type(images).__name__
        raise ValueError(
            f'an exported {KINDS[self.info.task]} is not called: predict() takes images and files, given {given}, and '
            "run() gives the graph's own outputs of uint8 [B, C, H, W]"
        )

    @staticmethod
    def of(session: Session, info: ExportInfo, tensors: bool = False) -> Any:
        """The exported detector or segmenter that a graph is; arguments as for the class.

        Example:
            >>> detector = mbv3zoo.load('model.onnx')
            >>> type(detector.of(detector.session, detector.info)).__name__
            'ExportedDetector'
        """
        name = KINDS[info.task]
        kind = getattr(import_module(f'mbv3zoo.runtimes.exported_{name}'), f'Exported{name.title()}')
        return kind(session, info, tensors)

    @classmethod
    def open(
        cls, path: str | Path, runtime: str | None = None, *, threads: int | None = None, device: str | None = None
    ) -> Self:
        """Opens an exported file.

        Args:
            path, runtime, threads, device: As for `mbv3zoo.runtimes.session.open_session`.

        Raises:
            ValueError: There is no such file, no runtime opens it, nothing says what is in it, or it is of the other
                kind.
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
        found = cls.of(session, info)
        if not isinstance(found, cls):
            raise ValueError(f'{path} holds a {KINDS[info.task]}; open it with mbv3zoo.load, or {type(found).__name__}')
        return found

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


def _join(found: list[list[np.ndarray]], counts: list[int], size: int) -> np.ndarray:
    """Rows [N, 7] of several calls, with the image's number in the whole batch."""
    rows = []
    for index, ((part,), count) in enumerate(zip(found, counts, strict=True)):
        part = part[part[:, 0] < count].copy()
        part[:, 0] += index * size
        rows.append(part)
    return np.concatenate(rows)
