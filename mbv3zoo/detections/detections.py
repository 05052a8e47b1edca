"""What a detector found in one image: the table, its picture and its words."""

from __future__ import annotations

import math
from typing import Any

from PIL import Image

from mbv3zoo.detections.exchange import Exchange
from mbv3zoo.images.draw import draw_captioned
from mbv3zoo.utils.text import one_line

# What a repr shows at most: classes, scores per class.
_CLASSES, _SCORES = 5, 3


class Detections(Exchange):
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
        track_ids: int64 `[N]`, the number of each object in a video that is tracked, from 1 on; None otherwise.
        memory: a weak reference to the image, where `predict` was given that one in memory; see `remember`. Not saved.

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

    def _around_place(self) -> tuple[str, str]:
        scores: dict[int, list[float]] = {}
        for row in self.rows():
            scores.setdefault(row.label, []).append(row.score)
        classes = sorted(scores.items(), key=lambda item: -len(item[1]))
        parts = [self._class_summary(*item) for item in classes[:_CLASSES]]
        parts += [f'{len(classes) - _CLASSES} more classes'] if len(classes) > _CLASSES else []
        count = f'{len(self)} object{"" if len(self) == 1 else "s"} in '
        return count, f': {", ".join(parts)}' if parts else ''

    def _class_summary(self, label: int, scores: list[float]) -> str:
        best = ' '.join(f'{score:.2f}' for score in sorted(scores, reverse=True)[:_SCORES])
        name = one_line(self.class_names[label], 30)
        return f'{len(scores)} {name} {best}{" ..." if len(scores) > _SCORES else ""}'

    def crops(self, image: Any = None) -> list[Image.Image]:
        """Cuts each object out of the image.

        Args:
            image: the image, in any form `read_image` takes; read again from `path` when left out, or the one in memory
                while it is there.

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
            image: the image, in any form `read_image` takes; read again from `path` when left out, or the one in memory
                while it is there.

        Returns:
            A new RGB image of the original size.

        Raises:
            ValueError: if there is no image to draw on or it has another size than `image_size`.

        Example:

            >>> found = mbv3zoo.load('mbv3_yolo_small.synth').predict('a.jpg')
            >>> found.draw().save('a_with_boxes.png')
        """
        canvas = self._image(image)
        # The highest score last, so that it is on top.
        numbers = [''] * len(self) if self.track_ids is None else [f'#{number} ' for number in self.track_ids.tolist()]
        rows = sorted(zip(self.rows(), numbers, strict=True), key=lambda row: row[0].score)
        captioned = [(row.box, row.label, f'{number}{row.name} {row.score:.2f}') for row, number in rows]
        draw_captioned(canvas, captioned)
        return canvas
