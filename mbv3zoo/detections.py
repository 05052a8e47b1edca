"""What a detector found in one image."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from PIL import Image

from mbv3zoo.images.draw import draw_boxes
from mbv3zoo.images.read import read_image
from mbv3zoo.utils.sizes import MAX_PIXELS
from mbv3zoo.utils.tensors import is_tensor
from mbv3zoo.utils.text import json_text, nearest, one_line

if TYPE_CHECKING:
    from torch import Tensor

# What a repr shows at most: classes, scores per class; and the longer side of an image in notebooks, in pixels.
_CLASSES, _SCORES, _NOTEBOOK_SIDE = 5, 3, 1024


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
class Detections:
    """The objects found in one image: a table of N rows, N may be 0.

    `boxes`, `scores` and `labels` are torch tensors; where numpy arrays are given, as an exported file's detector does,
    which works without torch, they stay arrays.

    Attributes:
        boxes: float32 `[N, 4]` xyxy in pixels of the original image, on the CPU.
        scores: float32 `[N]` in 0..1.
        labels: int64 `[N]`, indices into `class_names`.
        class_names: the name of each class the detector knows.
        image_size: (height, width) of the original image in pixels.
        path: the file the image came from, if it came from one.
        error: why the image could not be read; there are no detections then. None otherwise.

    Raises:
        ValueError: if shapes disagree or a label has no class name.

    Example:

        >>> boxes = [[10, 20, 60, 80], [5, 5, 30, 25]]
        >>> found = mbv3zoo.Detections(boxes, [0.91, 0.55], [0, 1], ('cat', 'dog'), (480, 640), 'a.jpg')
        >>> found
        Detections(2 objects in a.jpg, 480 x 640: 1 cat 0.91, 1 dog 0.55)
        >>> len(found), found.names, found[found.scores > 0.6].names
        (2, ['cat', 'dog'], ['cat'])
        >>> [len(one) for one in found]
        [1, 1]
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
        """Detections with N = 0, as numpy arrays; the image size is (0, 0) where it is not known.

        Example:

            >>> mbv3zoo.Detections.empty(('cat', 'dog'), (480, 640))
            Detections(0 objects in an image, 480 x 640)
        """
        none = np.zeros(0, np.float32)
        return cls(none.reshape(0, 4), none, none, tuple(class_names), image_size, path, error)

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, index: Any) -> Detections:
        """Picks detections by a slice, a boolean mask `[N]`, a list of indices or one index.

        The result is a `Detections` in every case, also for one index.
        """
        if isinstance(index, slice):
            index = range(len(self))[index]
        index = np.asarray(index.cpu() if is_tensor(index) else index).reshape(-1)
        # An empty list becomes an array of floats, which cannot be an index.
        index = index if len(index) else index.astype(np.int64)
        index = index if isinstance(self.scores, np.ndarray) else _as_tensor(index)
        return replace(self, boxes=self.boxes[index], scores=self.scores[index], labels=self.labels[index])

    def __iter__(self) -> Iterator[Detections]:
        """One `Detections` per object; `rows()` has the values."""
        return (self[index] for index in range(len(self)))

    def __repr__(self) -> str:
        if self.error is not None:
            return f'Detections(error: {one_line(self.error, 200)})'
        count = f'{len(self)} object{"" if len(self) == 1 else "s"}'
        place = one_line(PurePath(self.path).name, 60) if self.path else 'an image'
        scores: dict[int, list[float]] = {}
        for row in self.rows():
            scores.setdefault(row.label, []).append(row.score)
        classes = sorted(scores.items(), key=lambda item: -len(item[1]))
        parts = [self._class_summary(*item) for item in classes[:_CLASSES]]
        parts += [f'{len(classes) - _CLASSES} more classes'] if len(classes) > _CLASSES else []
        found = f': {", ".join(parts)}' if parts else ''
        return f'Detections({count} in {place}, {self.image_size[0]} x {self.image_size[1]}{found})'

    def _class_summary(self, label: int, scores: list[float]) -> str:
        best = ' '.join(f'{score:.2f}' for score in sorted(scores, reverse=True)[:_SCORES])
        name = one_line(self.class_names[label], 30)
        return f'{len(scores)} {name} {best}{" ..." if len(scores) > _SCORES else ""}'

    def _repr_png_(self) -> bytes | None:
        """The image with its boxes, shown by notebooks; None where the image cannot be read again."""
        try:
            drawn = self.draw()
        except ValueError:
            return None
        drawn.thumbnail((_NOTEBOOK_SIDE, _NOTEBOOK_SIDE))
        file = io.BytesIO()
        drawn.save(file, 'PNG')
        return file.getvalue()

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

    def filter(self, classes: str | int | Iterable[str | int] | None = None, min_score: float = 0.0) -> Detections:
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

    def crops(self, image: Any = None) -> list[Image.Image]:
        """Cuts each object out of the image.

        Args:
            image: the image, in any form `read_image` takes; read again from `path` when left out.

        Returns:
            N new RGB images: the pixels that each box touches, inside the image. A box without area, or outside the
            image, gives the pixel nearest to it.

        Raises:
            ValueError: as for `draw`.

        Example:

            >>> found = mbv3zoo.load('mbv3_yolo_small.synth').predict('a.jpg')
            >>> [crop.size for crop in found[:2].crops()]
            [(213, 221), (134, 125)]
        """
        whole = self._image(image)
        crops = []
        for left, top, right, bottom in self.boxes.tolist():
            left, top = min(max(0, math.floor(left)), whole.width - 1), min(max(0, math.floor(top)), whole.height - 1)
            right, bottom = min(math.ceil(right), whole.width), min(math.ceil(bottom), whole.height)
            crops.append(whole.crop((left, top, max(right, left + 1), max(bottom, top + 1))))
        return crops

    def draw(self, image: Any = None) -> Image.Image:
        """Draws boxes, class names and scores on a copy of the image.

        Args:
            image: the image, in any form `read_image` takes; read again from `path` when left out.

        Returns:
            A new RGB image of the original size.

        Raises:
            ValueError: if there is no image to draw on or it has another size than `image_size`.

        Example:

            >>> found = mbv3zoo.load('mbv3_yolo_small.synth').predict('a.jpg')
            >>> found.draw().save('a_with_boxes.png')
        """
        canvas = self._image(image)
        longest = max(canvas.size)
        # The highest score last, so that it is on top.
        rows = sorted(self.rows(), key=lambda row: row.score)
        captioned = [(row.box, row.label, f'{row.name} {row.score:.2f}') for row in rows]
        draw_boxes(canvas, captioned, line_width=max(1, round(longest / 320)), font_size=max(10, round(longest / 45)))
        return canvas

    def _image(self, image: Any) -> Image.Image:
        if image is None:
            if self.path is None:
                raise ValueError('these detections name no image file; pass the image, as in draw(image)')
            image = self.path
        # Whoever made these has read it, whatever its size is.
        pixels = read_image(image, max_pixels=max(MAX_PIXELS, math.prod(self.image_size)))
        if pixels.shape[:2] != self.image_size:
            raise ValueError(
                f'the image is {pixels.shape[0]} x {pixels.shape[1]} (height x width), '
                f'the detections were made on {self.image_size[0]} x {self.image_size[1]}; '
                'pass the original image'
            )
        return Image.fromarray(pixels)

    def to_coco(
        self, image_id: int | str, category_ids: Sequence[int | str] | Mapping[int, int] | None = None
    ) -> list[dict[str, Any]]:
        """Lists the detections as COCO results.

        Args:
            image_id: the id of the image in the COCO file.
            category_ids: the COCO category id of each label; label + 1 when left out.

        Returns:
            For each detection `image_id`, `category_id`, `bbox` ([x, y, width, height] in pixels) and
            `score`, as plain Python numbers.

        Raises:
            ValueError: if `category_ids` has no id for a label.

        Example:

            >>> found = mbv3zoo.Detections([[10, 20, 60, 80]], [0.5], [0], ('cat',), (480, 640))
            >>> found.to_coco(image_id=7)
            [{'image_id': 7, 'category_id': 1, 'bbox': [10.0, 20.0, 50.0, 60.0], 'score': 0.5}]
        """
        results = []
        for (left, top, right, bottom), score, label, name in self.rows():
            try:
                category_id = label + 1 if category_ids is None else category_ids[label]
            except LookupError:
                raise ValueError(
                    f'category_ids has no id for label {label} ({name!r}); '
                    f'expected one for each of the {len(self.class_names)} classes'
                ) from None
            bbox = [left, top, right - left, bottom - top]
            # Plain numbers also where they were of numpy.
            category_id = category_id if isinstance(category_id, str) else int(category_id)
            results.append({'image_id': image_id, 'category_id': category_id, 'bbox': bbox, 'score': score})
        return results

    def to_dict(self) -> dict[str, Any]:
        """Returns everything as plain, JSON-ready values; `box` is xyxy in pixels of the original image.

        Example:

            >>> found = mbv3zoo.Detections([[10, 20, 60, 80]], [0.5], [0], ('cat',), (480, 640))
            >>> found.to_dict()['detections']
            [{'box': [10.0, 20.0, 60.0, 80.0], 'score': 0.5, 'label': 0, 'name': 'cat'}]
        """
        return {
            'path': self.path,
            'error': self.error,
            'image_size': {'height': self.image_size[0], 'width': self.image_size[1]},
            'detections': [row._asdict() for row in self.rows()],
        }

    def to_json(self, indent: int | None = None) -> str:
        """Returns `to_dict()` as JSON text, which can be written as UTF-8 whatever the name of the file is.

        Example:

            >>> mbv3zoo.Detections.empty(image_size=(480, 640)).to_json()
            '{"path": null, "error": null, "image_size": {"height": 480, "width": 640}, "detections": []}'
        """
        return json_text(self.to_dict(), indent)

    def to_supervision(self) -> Any:
        """Returns a `supervision.Detections` with the class names under `data['class_name']`.

        Raises:
            ImportError: if supervision is not installed.

        Example:

            >>> found = mbv3zoo.Detections([[10, 20, 60, 80]], [0.5], [0], ('cat',), (480, 640))
            >>> found.to_supervision().class_id
            array([0])
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
        """Returns the same detections as torch tensors.

        Example:

            >>> mbv3zoo.Detections.empty().torch().boxes
            tensor([], size=(0, 4))
        """
        boxes, scores, labels = map(_as_tensor, (self.boxes, self.scores, self.labels))
        return replace(self, boxes=boxes, scores=scores, labels=labels)

    def numpy(self) -> Detections:
        """Returns the same detections as numpy arrays.

        Example:

            >>> mbv3zoo.load('mbv3_yolo_small.synth').predict('a.jpg')[:2].numpy().labels
            array([14,  8])
        """
        boxes, scores, labels = (np.asarray(part).copy() for part in (self.boxes, self.scores, self.labels))
        return replace(self, boxes=boxes, scores=scores, labels=labels)


def class_indices(classes: str | int | Iterable[str | int], class_names: Sequence[str]) -> list[int]:
    """Indices of classes that are given by name or by index.

    Args:
        classes: names or indices, or one of them.
        class_names: the name of each class.

    Raises:
        ValueError: if there is no such class; the nearest names are given.
    """
    indices = []
    for given in classes if isinstance(classes, Iterable) and not isinstance(classes, str) else [classes]:
        own = [i for i, name in enumerate(class_names) if given in (name, i)]
        if not own:
            names = ', '.join(class_names[:10]) + (', ...' if len(class_names) > 10 else '')
            hint = nearest(str(given), class_names, f'the {len(class_names)} classes are {names}')
            raise ValueError(f'unknown class {given!r}; {hint}')
        indices += own
    return indices


def _as_tensor(values: Any, dtype: str | None = None) -> Tensor:
    import torch

    return torch.as_tensor(values, dtype=getattr(torch, dtype) if dtype else None, device='cpu').detach()
