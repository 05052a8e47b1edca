"""The objects that were found in one image, as a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple, Self
from weakref import ReferenceType

import numpy as np

from mbv3zoo.detections.classes import class_indices
from mbv3zoo.detections.found import Found
from mbv3zoo.utils.tensors import is_tensor

if TYPE_CHECKING:
    from torch import Tensor


class Row(NamedTuple):
    """One detection in plain Python values.

    Attributes:
        box: xyxy in pixels of the original image.
        score: 0..1.
        label: Index into `class_names`.
        name: The name of the class.
    """

    box: list[float]
    score: float
    label: int
    name: str


@dataclass(eq=False, repr=False)
class Table(Found):
    """The columns of `Detections`, which says what they hold, and how rows of them are picked."""

    boxes: Tensor | np.ndarray
    scores: Tensor | np.ndarray
    labels: Tensor | np.ndarray
    class_names: tuple[str, ...]
    image_size: tuple[int, int]
    path: str | None = None
    error: str | None = None
    track_ids: Tensor | np.ndarray | None = None
    memory: ReferenceType[Any] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        parts = (self.boxes, self.scores, self.labels)
        as_own = np.asarray if all(isinstance(part, np.ndarray) for part in parts) else _as_tensor
        self.boxes = as_own(self.boxes, 'float32')
        self.scores = as_own(self.scores, 'float32')
        self.labels = as_own(self.labels, 'int64')
        self.class_names = tuple(self.class_names)
        self.image_size = (int(self.image_size[0]), int(self.image_size[1]))
        if self.track_ids is not None:
            self.track_ids = as_own(self.track_ids, 'int64')
        shapes = [tuple(part.shape) for part in (self.boxes, self.scores, self.labels)]
        count = len(self.scores) if self.scores.ndim else 0
        if shapes != [(count, 4), (count,), (count,)]:
            raise ValueError(
                f'boxes, scores and labels have shapes {shapes[0]}, {shapes[1]} and {shapes[2]}; '
                'expected [N, 4], [N] and [N] with one N'
            )
        if self.track_ids is not None and tuple(self.track_ids.shape) != (count,):
            raise ValueError(f'track_ids have shape {tuple(self.track_ids.shape)}; expected [{count}], one per box')
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
    ) -> Self:
        """Detections with N = 0, as numpy arrays; the image size is (0, 0) where it is not known.

        Example:

            >>> mbv3zoo.Detections.empty(('cat', 'dog'), (480, 640))
            Detections(0 objects in an image, 480 x 640)
        """
        none = np.zeros(0, np.float32)
        return cls(none.reshape(0, 4), none, none, tuple(class_names), image_size, path, error)

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, index: Any) -> Self:
        """Picks detections by a slice, a boolean mask `[N]`, a list of indices or one index.

        The result is a `Detections` in every case, also for one index.
        """
        if isinstance(index, slice):
            index = range(len(self))[index]
        index = np.asarray(index.cpu() if is_tensor(index) else index).reshape(-1)
        # An empty list becomes an array of floats, which cannot be an index.
        index = index if len(index) else index.astype(np.int64)
        index = index if isinstance(self.scores, np.ndarray) else _as_tensor(index)
        numbers = None if self.track_ids is None else self.track_ids[index]
        boxes, scores, labels = self.boxes[index], self.scores[index], self.labels[index]
        return replace(self, boxes=boxes, scores=scores, labels=labels, track_ids=numbers)

    def __iter__(self) -> Iterator[Self]:
        """One `Detections` per object; `rows()` has the values."""
        return (self[index] for index in range(len(self)))

    @property
    def summary(self) -> str:
        """How many objects of which classes, the most frequent first; 'nothing found' without any."""
        counts = Counter(self.names).most_common()
        return ', '.join(f'{number} {name}' for name, number in counts) or 'nothing found'

    @property
    def names(self) -> list[str]:
        """The class name of each detection."""
        return [self.class_names[label] for label in self.labels.tolist()]

    def rows(self) -> list[Row]:
        """Lists the detections as plain Python values.

        Example:

            >>> found = mbv3zoo.load('mbv3_yolo_small.synth').predict('a.jpg')
            >>> for box, score, label, name in found[:2].rows():
            ...     print(name, label, f'{score:.2f}', [round(side) for side in box])
            triangle 14 0.92 [0, 173, 213, 393]
            heart 8 0.90 [460, 225, 593, 349]
        """
        values = zip(self.boxes.tolist(), self.scores.tolist(), self.labels.tolist(), self.names, strict=True)
        return [Row(*row) for row in values]

    def shares(self) -> list[list[float]]:
        """Lists the boxes as shares of the image's sides, clipped to it: [x, y, width, height] in 0..1.

        Raises:
            ValueError: if there are boxes, and `image_size` is not known.

        Example:

            >>> mbv3zoo.Detections([[16, 12, 48, 36]], [0.5], [0], ('cat',), (48, 64)).shares()
            [[0.25, 0.25, 0.5, 0.5]]
        """
        if len(self) and not all(self.image_size):
            raise ValueError(f'image_size is {self.image_size}; boxes are shares of a known size only, so give it')
        height, width = self.image_size
        limits = np.array([width, height, width, height], np.float64)
        boxes = (np.asarray(self.boxes, np.float64) / np.maximum(limits, 1)).clip(0, 1)
        return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], 1).tolist()

    def filter(self, classes: str | int | Iterable[str | int] | None = None, min_score: float = 0.0) -> Self:
        """Keeps the detections of some classes, or with a good score.

        Args:
            classes: names or indices of classes, or one of them; None keeps every class.
            min_score: the least score that is kept, 0..1.

        Raises:
            ValueError: if there is no such class (the nearest are named), or `min_score` is not in 0..1.

        Example:

            >>> found = mbv3zoo.load('mbv3_yolo_small.synth').predict('a.jpg')
            >>> found.filter(['heart', 'gear', 'ring'], min_score=0.5)
            Detections(2 objects in a.jpg, 480 x 640: 1 heart 0.90, 1 gear 0.85)
        """
        if not 0 <= min_score <= 1:
            raise ValueError(f'min_score is {min_score}; expected a score in 0..1')
        mask = np.asarray(self.scores) >= min_score
        if classes is not None:
            mask &= np.isin(np.asarray(self.labels), class_indices(classes, self.class_names))
        return self[mask]

    def torch(self) -> Self:
        """Returns the same detections as torch tensors.

        Example:

            >>> mbv3zoo.Detections.empty().torch().boxes
            tensor([], size=(0, 4))
        """
        numbers = None if self.track_ids is None else _as_tensor(self.track_ids)
        boxes, scores, labels = map(_as_tensor, (self.boxes, self.scores, self.labels))
        return replace(self, boxes=boxes, scores=scores, labels=labels, track_ids=numbers)

    def numpy(self) -> Self:
        """Returns the same detections as numpy arrays.

        Example:

            >>> mbv3zoo.load('mbv3_yolo_small.synth').predict('a.jpg')[:2].numpy().labels
            array([14,  8])
        """
        numbers = None if self.track_ids is None else np.asarray(self.track_ids).copy()
        boxes, scores, labels = (np.asarray(part).copy() for part in (self.boxes, self.scores, self.labels))
        return replace(self, boxes=boxes, scores=scores, labels=labels, track_ids=numbers)


def _as_tensor(values: Any, dtype: str | None = None) -> Tensor:
    import torch

    return torch.as_tensor(values, dtype=getattr(torch, dtype) if dtype else None, device='cpu').detach()
