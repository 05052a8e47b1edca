"""Types that several settings share."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, PositiveFloat

from mbv3zoo.utils.sizes import parse_image_size
from mbv3zoo.utils.text import is_text


def _image_size(value: Any) -> tuple[int, int]:
    return parse_image_size(value, name='')


# (height, width) in pixels; an int means a square.
ImageSize = Annotated[tuple[int, int], BeforeValidator(_image_size)]
Fraction = Annotated[float, Field(ge=0, le=1)]
# Per stride a list of (width, height) in pixels of the network's input.
LevelAnchors = tuple[Annotated[tuple[tuple[PositiveFloat, PositiveFloat], ...], Field(max_length=64)], ...]


def one_line(value: str) -> str:
    """A text of one line, in any script.

    Raises:
        ValueError: It has line ends, control characters, or others that change what surrounds them.
    """
    # It comes from other people's repositories, and is shown in terminals and cards.
    if not all(map(is_text, value)):
        raise ValueError('must be one line of text')
    return value


def class_name(value: str) -> str:
    """A name that a class may have: one line of text, not empty.

    Raises:
        ValueError: It is none.
    """
    if not value.strip():
        raise ValueError('must not be empty')
    return one_line(value)


ClassNames = tuple[Annotated[str, AfterValidator(class_name)], ...]
