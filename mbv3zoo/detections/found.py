"""What results of every task share: they are drawn on their image, saved and shown."""

from __future__ import annotations

import io
import math
from abc import abstractmethod
from os import PathLike
from pathlib import Path, PurePath
from typing import Any
from weakref import ReferenceType, ref

from PIL import Image

from mbv3zoo.images.read import read_image
from mbv3zoo.utils.atomic import atomic_write
from mbv3zoo.utils.sizes import MAX_PIXELS
from mbv3zoo.utils.text import json_text, one_line, utf8

# The longer side of an image in notebooks, in pixels.
_NOTEBOOK_SIDE = 1024

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


def remember(found: Found, image: Any) -> None:
    """Lets a result find the image in memory that it was made on, while it is there.

    It holds it by a weak reference: an hour of frames is not kept alive by what was found in them. The one that was
    given last stays.
    """
    found.memory, _last[0] = ref(image), image


class Found:
    """What was found in one image, whatever a model looks for; `Detections` and `Segmentation` say what it is."""

    class_names: tuple[str, ...]
    image_size: tuple[int, int]
    path: str | None
    error: str | None
    memory: ReferenceType[Any] | None

    def __repr__(self) -> str:
        kind = type(self).__name__
        if self.error is not None:
            return f'{kind}(error: {one_line(self.error, 200)})'
        place = one_line(PurePath(self.path).name, 60) if self.path else 'an image'
        before, after = self._around_place()
        return f'{kind}({before}{place}, {self.image_size[0]} x {self.image_size[1]}{after})'

    @abstractmethod
    def _around_place(self) -> tuple[str, str]:
        """What a repr says before and after the image's name and size."""

    def __getstate__(self) -> dict[str, Any]:
        # Copies and other processes get no hold of an image.
        return {**self.__dict__, 'memory': None}

    @property
    @abstractmethod
    def summary(self) -> str:
        """What was found, in a few words."""

    @abstractmethod
    def draw(self, image: Any = None) -> Image.Image:
        """Draws it on a copy of the image."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Returns it as plain, JSON-ready values."""

    def to_json(self, indent: int | None = None) -> str:
        """Returns `to_dict()` as JSON text, which can be written as UTF-8 whatever the name of the file is.

        Example:

            >>> mbv3zoo.Detections.empty(image_size=(480, 640)).to_json()
            '{"path": null, "error": null, "image_size": {"height": 480, "width": 640}, "detections": []}'
        """
        return json_text(self.to_dict(), indent)

    def _repr_png_(self) -> bytes | None:
        """What `draw` gives, shown by notebooks; None where the image cannot be read again."""
        try:
            drawn = self.draw()
        except ValueError:
            return None
        drawn.thumbnail((_NOTEBOOK_SIDE, _NOTEBOOK_SIDE))
        file = io.BytesIO()
        drawn.save(file, 'PNG')
        return file.getvalue()

    def save(self, path: str | PathLike, image: Any = None) -> Path:
        """Writes what `draw` gives, or, where the name ends in .json, what `to_dict` gives.

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
                raise ValueError('it was found in no image file; pass the image, as in draw(image)')
        # Whoever made these has read it, whatever its size is.
        pixels = read_image(image, max_pixels=max(MAX_PIXELS, math.prod(self.image_size)))
        if pixels.shape[:2] != self.image_size:
            raise ValueError(
                f'the image is {pixels.shape[0]} x {pixels.shape[1]} (height x width), what was found is of one of '
                f'{self.image_size[0]} x {self.image_size[1]}; pass the original image'
            )
        return Image.fromarray(pixels)
