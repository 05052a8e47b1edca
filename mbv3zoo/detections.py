"""What a detector found in one picture."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from mbv3zoo.images.draw import draw_boxes
from mbv3zoo.images.read import read_image
from mbv3zoo.utils.tensors import is_tensor

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(eq=False)
class Detections:
    """The objects found in one picture, N of them, N may be 0.

    `boxes`, `scores` and `labels` are torch tensors; where numpy arrays are given, as an exported file's detector does,
    which works without torch, they stay arrays.

    Attributes:
        boxes: float32 `[N, 4]` xyxy in pixels of the original picture, on the CPU.
        scores: float32 `[N]` in 0..1.
        labels: int64 `[N]`, indices into `class_names`.
        class_names: the name of each class the detector knows.
        image_size: (height, width) of the original picture in pixels.
        path: the file the picture came from, if it came from one.
        error: why the picture could not be read; there are no detections then. None otherwise.

    Raises:
        ValueError: if shapes disagree or a label has no class name.
    """

    boxes: Tensor | np.ndarray
    scores: Tensor | np.ndarray
    labels: Tensor | np.ndarray
    class_names: tuple[str, ...]
    image_size: tuple[int, int]
    path: str | None = None
    error: str | None = None

    def __post_init__(self) -> None:
        parts = (self.boxes, self.scores, self.labels)
        as_own = np.asarray if all(isinstance(part, np.ndarray) for part in parts) else _as_tensor
        self.boxes = as_own(self.boxes, 'float32')
        self.scores = as_own(self.scores, 'float32')
        self.labels = as_own(self.labels, 'int64')
        self.class_names = tuple(self.class_names)
        self.image_size = (int(self.image_size[0]), int(self.image_size[1]))
        shapes = [tuple(part.shape) for part in (self.boxes, self.scores, self.labels)]
        count = len(self.scores) if self.scores.ndim else 0
        if shapes != [(count, 4), (count,), (count,)]:
            raise ValueError(
                f'boxes, scores and labels have shapes {shapes[0]}, {shapes[1]} and {shapes[2]}; '
                'expected [N, 4], [N] and [N] with one N'
            )
        if count and not (self.labels.min() >= 0 and self.labels.max() < len(self.class_names)):
            raise ValueError(
                f'labels are in {self.labels.min()}..{self.labels.max()}, but there are '
                f'{len(self.class_names)} class names; expected labels in 0..{len(self.class_names) - 1}'
            )

    @classmethod
    def empty(
        cls,
        class_names: Sequence[str] = (),
        image_size: tuple[int, int] = (0, 0),
        path: str | None = None,
        error: str | None = None,
    ) -> Detections:
        """Detections with N = 0, as numpy arrays; the image size is (0, 0) where it is not known."""
        none = np.zeros(0, np.float32)
        return cls(none.reshape(0, 4), none, none, tuple(class_names), image_size, path, error)

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, index: Any) -> Detections:
        """Picks detections by a slice, a boolean mask `[N]`, a list of indices or one index.

        The result is a `Detections` in every case, also for one index.
        """
        if not isinstance(index, slice):
            index = np.asarray(index.cpu() if is_tensor(index) else index).reshape(-1)
            # An empty list becomes an array of floats, which cannot be an index.
            index = index if len(index) else index.astype(np.int64)
            index = index if isinstance(self.scores, np.ndarray) else _as_tensor(index)
        return replace(self, boxes=self.boxes[index], scores=self.scores[index], labels=self.labels[index])

    @property
    def names(self) -> list[str]:
        """The class name of each detection."""
        return [self.class_names[label] for label in self.labels.tolist()]

    def draw(self, image: Any = None) -> Image.Image:
        """Draws boxes, class names and scores on a copy of the picture.

        Args:
            image: the picture, in any form `read_image` takes; read again from `path` when left out.

        Returns:
            A new RGB image of the original size.

        Raises:
            ValueError: if there is no picture to draw on or it has another size than `image_size`.
        """
        if image is None:
            if self.path is None:
                raise ValueError('these detections name no image file; pass the picture: draw(image)')
            image = self.path
        canvas = Image.fromarray(read_image(image))
        if (canvas.height, canvas.width) != self.image_size:
            raise ValueError(
                f'the picture to draw on is {canvas.height} x {canvas.width} (height x width), '
                f'the detections were made on {self.image_size[0]} x {self.image_size[1]}; '
                'pass the original picture'
            )
        longest = max(canvas.size)
        # The surest last, so that it stays on top.
        rows = sorted(self._rows(), key=lambda row: row[1])
        captioned = [(box, label, f'{self.class_names[label]} {score:.2f}') for box, score, label in rows]
        draw_boxes(canvas, captioned, line_width=max(1, round(longest / 320)), font_size=max(10, round(longest / 45)))
        return canvas

    def to_coco(
        self, image_id: int | str, category_ids: Sequence[int] | Mapping[int, int] | None = None
    ) -> list[dict[str, Any]]:
        """Lists the detections as COCO results.

        Args:
            image_id: the id of the picture in the COCO file.
            category_ids: the COCO category id of each label; label + 1 when left out.

        Returns:
            For each detection `image_id`, `category_id`, `bbox` ([x, y, width, height] in pixels) and
            `score`, as plain Python numbers.

        Raises:
            ValueError: if `category_ids` has no id for a label.
        """
        results = []
        for box, score, label in self._rows():
            try:
                category_id = label + 1 if category_ids is None else int(category_ids[label])
            except LookupError:
                raise ValueError(
                    f'category_ids has no id for label {label} ({self.class_names[label]!r}); '
                    f'expected one for each of the {len(self.class_names)} classes'
                ) from None
            left, top, right, bottom = box
            bbox = [left, top, right - left, bottom - top]
            results.append({'image_id': image_id, 'category_id': category_id, 'bbox': bbox, 'score': score})
        return results

    def to_dict(self) -> dict[str, Any]:
        """Returns everything as plain, JSON-ready values; `box` is xyxy in pixels of the original picture."""
        return {
            'path': self.path,
            'error': self.error,
            'image_size': {'height': self.image_size[0], 'width': self.image_size[1]},
            'detections': [
                {'box': box, 'score': score, 'label': label, 'name': self.class_names[label]}
                for box, score, label in self._rows()
            ],
        }

    def to_json(self, indent: int | None = None) -> str:
        """Returns `to_dict()` as JSON text."""
        return json.dumps(self.to_dict(), indent=indent, ensure_ascii=False)

    def to_supervision(self) -> Any:
        """Returns a `supervision.Detections` with the class names under `data['class_name']`.

        Raises:
            ImportError: if supervision is not installed.
        """
        try:
            import supervision
        except ImportError as error:
            raise ImportError(
                'to_supervision() needs the package supervision: pip install "mbv3zoo[supervision]"'
            ) from error
        return supervision.Detections(
            xyxy=np.asarray(self.boxes).copy(),
            confidence=np.asarray(self.scores).copy(),
            class_id=np.asarray(self.labels).copy(),
            data={'class_name': np.array(self.names, dtype=str)},
        )

    def torch(self) -> Detections:
        """Returns the same detections as torch tensors."""
        parts = {name: _as_tensor(getattr(self, name)) for name in ('boxes', 'scores', 'labels')}
        return replace(self, **parts)

    def numpy(self) -> Detections:
        """Returns the same detections as numpy arrays."""
        parts = {name: np.asarray(getattr(self, name)).copy() for name in ('boxes', 'scores', 'labels')}
        return replace(self, **parts)

    def _rows(self) -> zip:
        return zip(self.boxes.tolist(), self.scores.tolist(), self.labels.tolist(), strict=True)


def _as_tensor(values: Any, dtype: str | None = None) -> Tensor:
    import torch

    return torch.as_tensor(values, dtype=dtype and getattr(torch, dtype), device='cpu').detach()
