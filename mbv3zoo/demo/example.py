"""The picture that visitors of a page can try at once."""

from __future__ import annotations

from pathlib import Path

from mbv3zoo.images.read import read_image
from mbv3zoo.zoo.registry import known_weights

_PACKAGE = Path(__file__).parents[1]
# In a checkout among the pages, in an installed package within it.
_SCENES = (_PACKAGE / 'scene.jpg', _PACKAGE.parent / 'docs' / 'scene.jpg')
# What every browser shows.
_SUFFIXES = ('.jpg', '.jpeg', '.png', '.webp')


def example_picture(model: str | Path, example: str | Path | None) -> Path | None:
    """The example of a page: the given one, of a packaged model a drawn scene, else none.

    Args:
        model: The name of the model.
        example: A JPEG, PNG or WebP file.

    Raises:
        ValueError: It is no such file, or cannot be read.
    """
    if example is None:
        packaged = isinstance(known_weights().get(str(model)), Path)
        return next((path for path in _SCENES if path.is_file()), None) if packaged else None
    path = Path(example)
    if path.suffix.lower() not in _SUFFIXES:
        raise ValueError(
            f'{example}: browsers may not show it; expected an example that ends in {", ".join(_SUFFIXES)}'
        )
    read_image(path)
    return path
