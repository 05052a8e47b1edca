"""What a segmenter found in one image: the class of every pixel."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Self
from weakref import ReferenceType

import numpy as np
from PIL import Image

from mbv3zoo.detections.found import Found
from mbv3zoo.images.masks import IGNORE_INDEX, draw_labels, mask_png
from mbv3zoo.utils.atomic import atomic_write
from mbv3zoo.utils.sizes import share
from mbv3zoo.utils.text import one_line

# Classes that a repr shows at most.
_CLASSES = 5


class Segmentation(Found):
    """The class of every pixel of one image.

    Attributes:
        labels: uint8 [H, W], a NumPy array of the original image's size: indices into `class_names`, or 255 for none.
        class_names: The name of each class that the segmenter knows.
        path: The file that the image came from, if it came from one.
        error: Why the image could not be read; `labels` has no pixels then. None otherwise.
        memory: A weak reference to the image, where `predict` was given that one in memory. Not saved.

    Raises:
        ValueError: The labels are no integers [H, W], or one has no class name.

    Example:
        >>> found = mbv3zoo.Segmentation([[0, 0, 0, 1]], ('background', 'cat'), 'a.jpg')
        >>> found
        Segmentation(a.jpg, 1 x 4: 75% background, 25% cat)
        >>> found.image_size, found.areas
        ((1, 4), {'background': 0.75, 'cat': 0.25})
        >>> found.labels == found.class_names.index('cat')
        array([[False, False, False,  True]])
    """

    def __init__(
        self, labels: Any, class_names: Sequence[str], path: str | None = None, error: str | None = None
    ) -> None:
        labels = np.asarray(labels)
        if labels.ndim != 2 or labels.dtype.kind not in 'iu':
            raise ValueError(f'labels are {labels.dtype} {labels.shape}; expected integers [H, W]')
        self.class_names = tuple(class_names)
        wrong = labels[((labels < 0) | (labels >= len(self.class_names))) & (labels != IGNORE_INDEX)]
        if wrong.size:
            raise ValueError(
                f'a label is {wrong[0]}, but there are {len(self.class_names)} class names; expected labels in '
                f'0..{len(self.class_names) - 1}, or {IGNORE_INDEX} for no class'
            )
        self.labels = labels.astype(np.uint8, copy=False)
        self.path, self.error = path, error
        self.image_size = (labels.shape[0], labels.shape[1])
        self.memory: ReferenceType[Any] | None = None

    @classmethod
    def empty(cls, class_names: Sequence[str] = (), path: str | None = None, error: str | None = None) -> Self:
        """A segmentation without pixels, of an image that could not be read.

        Example:
            >>> mbv3zoo.Segmentation.empty(('background', 'cat'), 'b.jpg', 'b.jpg: no such file')
            Segmentation(error: b.jpg: no such file)
        """
        return cls(np.zeros((0, 0), np.uint8), class_names, path, error)

    @property
    def areas(self) -> dict[str, float]:
        """Name -> share of the image's pixels, 0..1, of each class that is there, the largest first."""
        return {row['name']: row['share'] for row in self._classes()}

    def _classes(self) -> list[dict[str, Any]]:
        counts = np.bincount(self.labels.ravel(), minlength=IGNORE_INDEX)[: len(self.class_names)]
        found = [label for label in (-counts).argsort(kind='stable').tolist() if counts[label]]
        return [
            {'label': label, 'name': self.class_names[label], 'share': counts[label].item() / self.labels.size}
            for label in found
        ]

    @property
    def summary(self) -> str:
        """The share of each class, the largest first."""
        return self._summary(len(self.class_names))

    def _summary(self, most: int) -> str:
        rows = [*self.areas.items()]
        parts = [f'{100 * area:.{0 if area >= 0.01 else 2}f}% {one_line(name, 30)}' for name, area in rows[:most]]
        return ', '.join([*parts, f'{len(rows) - most} more classes'] if len(rows) > most else parts) or 'no class'

    def _around_place(self) -> tuple[str, str]:
        return '', f': {self._summary(_CLASSES)}'

    def draw(self, image: Any = None, opacity: float = 0.5) -> Image.Image:
        """Draws the classes in their colours, with their names, over a copy of the image.

        A class called 'background' is not drawn, nor are pixels of no class.

        Args:
            image: The image, in any form that `predict` takes; read again from `path` when left out, or the one in
                memory while it is there.
            opacity: Of the colours, 0..1.

        Returns:
            A new RGB image of the original size.

        Raises:
            ValueError: There is no image to draw on, it has another size, or `opacity` is out of range.

        Example:
            >>> found = mbv3zoo.load('mbv3_lraspp_small.synth').predict('a.jpg')
            >>> found.draw(opacity=0.3).size
            (640, 480)
        """
        return draw_labels(self._image(image), self.labels, self.class_names, share(opacity, 'opacity'))

    def save_mask(self, path: str | PathLike) -> Path:
        """Writes the labels as a PNG file whose pixels are the indices of the classes, with a palette of their colours.

        Args:
            path: The file; one that is there is replaced.

        Returns:
            The path.

        Raises:
            ValueError: Its name does not end in .png, or there are no pixels.
            OSError: The file cannot be written.

        Example:
            >>> import numpy
            >>> from PIL import Image
            >>> found = mbv3zoo.Segmentation([[0, 0, 0, 1]], ('background', 'cat'))
            >>> numpy.asarray(Image.open(found.save_mask('mask.png')))
            array([[0, 0, 0, 1]], dtype=uint8)
        """
        path = Path(path)
        if path.suffix.lower() != '.png':
            raise ValueError(f'{path}: a mask is saved as PNG, expected a name that ends in .png')
        if not self.labels.size:
            raise ValueError(f'{path}: there are no pixels to save: {self.error or "the image has none"}')
        atomic_write(path, mask_png(self.labels))
        return path

    def to_dict(self) -> dict[str, Any]:
        """Returns what is known but for the pixels, as plain, JSON-ready values; see `save_mask` for those.

        Example:
            >>> mbv3zoo.Segmentation([[0, 0, 0, 1]], ('background', 'cat')).to_dict()['classes']
            [{'label': 0, 'name': 'background', 'share': 0.75}, {'label': 1, 'name': 'cat', 'share': 0.25}]
        """
        height, width = self.image_size
        return {
            'path': self.path,
            'error': self.error,
            'image_size': {'height': height, 'width': width},
            'classes': self._classes(),
        }
