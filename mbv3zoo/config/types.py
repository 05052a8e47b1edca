"""Types that several settings share."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, PositiveFloat


def _pair(value: Any) -> Any:
    return (value, value) if isinstance(value, int) and not isinstance(value, bool) else value


Side = Annotated[int, Field(ge=32, le=16384)]
# (height, width) in pixels; an int means a square.
ImageSize = Annotated[tuple[Side, Side], BeforeValidator(_pair)]
Fraction = Annotated[float, Field(ge=0, le=1)]
# Per stride a list of (width, height) in pixels of the network's input.
LevelAnchors = tuple[Annotated[tuple[tuple[PositiveFloat, PositiveFloat], ...], Field(max_length=64)], ...]


def one_line(value: str) -> str:
    # It comes from other people's repositories, and is shown in terminals and cards.
    if not value.isprintable():
        raise ValueError('must be one line of printable characters')
    return value


ClassNames = tuple[Annotated[str, AfterValidator(one_line)], ...]
