"""What a detector found in one image: the table, its picture and its words."""

from __future__ import annotations

import io
import math
from os import PathLike
from pathlib import Path, PurePath
from typing import Any
from weakref import ref

from PIL import Image

from mbv3zoo.detections.exchange import Exchange
from mbv3zoo.images.draw import draw_captioned
from mbv3zoo.images.read import read_image
from mbv3zoo.utils.atomic import atomic_write
from mbv3zoo.utils.sizes import MAX_PIXELS
from mbv3zoo.utils.text import one_line, utf8

# What a repr shows at most: classes, scores per class; and the longer side of an image in notebooks, in pixels.
_CLASSES, _SCORES, _NOTEBOOK_SIDE = 5, 3, 1024

# The formats that images are saved in: suffix -> PIL's name of it, and options.
_FORMATS: dict[str, tuple[str, dict[str, Any]]] = {
    '.jpg': ('JPEG', {'quality': 92}),
    '.jpeg': ('JPEG', {'quality': 92}),
    '.png': ('PNG', {}),
    '.webp': ('WEBP', {'quality': 90}),
    '.bmp': ('BMP', {}),
    '.tif': ('TIFF', {}),
    '.tiff': ('TIFF', {}),
}
# The image in memory that was given last: a notebook shows it although nothing else holds it any more.
_last: list[Any] = [None]


def remember(found: Detections, image: Any) -> None:
    """Lets detections find the image in memory that they were made on, while it is there.

    They hold it by a weak reference: an hour of frames is not kept alive by what was found in them. The one that was
    given last stays.
    """
    found.memory, _last[0] = ref(image), image


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

    def save(self, path: str | PathLike, image: Any = None) -> Path:
        """Writes the image with its boxes, or, where the name ends in .json, what `to_dict` gives.

        Args:
            path: The file; its suffix names the format: .jpg, .png, .webp, .bmp, .tif or .json. One that is there is
                replaced, as `PIL.Image.save` does; its folder must exist.
            image: As for `draw`.

        Returns:
            The path.

        Raises:
            ValueError: if the suffix is another, or as for `draw`. The file is what it was.
            OSError: if the file cannot be written.

        Example:

            >>> found = mbv3zoo.load('mbv3_yolo_small.synth').predict('a.jpg')
            >>> found.save('a_with_boxes.png').name, found.save('a.json').name
            ('a_with_boxes.png', 'a.json')
        """
        path = Path(path)
        suffix = path.suffix.lower()
        if suffix == '.json':
            atomic_write(path, utf8(f'{self.to_json(indent=2)}\n'))
        elif suffix in _FORMATS:
            format, options = _FORMATS[suffix]
            content = io.BytesIO()
            self.draw(image).save(content, format, **options)
            atomic_write(path, content.getvalue())
        else:
            raise ValueError(f'{path}: cannot be saved by this suffix; expected one of {", ".join(_FORMATS)}, .json')
        return path

    def _image(self, image: Any) -> Image.Image:
        if image is None:
            image = self.path if self.path is not None else self.memory and self.memory()
            if image is None:
                raise ValueError('these detections name no image file; pass the image, as in draw(image)')
        # Whoever made these has read it, whatever its size is.
        pixels = read_image(image, max_pixels=max(MAX_PIXELS, math.prod(self.image_size)))
        if pixels.shape[:2] != self.image_size:
            raise ValueError(
                f'the image is {pixels.shape[0]} x {pixels.shape[1]} (height x width), '
                f'the detections were made on {self.image_size[0]} x {self.image_size[1]}; '
                'pass the original image'
            )
        return Image.fromarray(pixels)
