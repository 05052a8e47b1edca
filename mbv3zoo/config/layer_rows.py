"""Rows of a YOLOv5 layer list as plain, checked values: what a config holds of them."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import AfterValidator, Field, JsonValue, model_validator

from mbv3zoo.config.base import Config

# Far beyond any use: rows may come from anywhere, and are built before their weights are looked at.
_MOST_ROWS = 1024
_LARGEST_NUMBER = 16384
_LONGEST_TEXT = 200


def _bounded(value: JsonValue) -> JsonValue:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for item in inner:
        _bounded(item)
    if isinstance(value, (int, float)) and abs(value) > _LARGEST_NUMBER:
        raise ValueError(f'numbers must be at most {_LARGEST_NUMBER}')
    if isinstance(value, str) and len(value) > _LONGEST_TEXT:
        raise ValueError(f'texts must have at most {_LONGEST_TEXT} characters')
    return value


Number = Annotated[int, Field(ge=-1, le=_MOST_ROWS)]


class LayerRow(Config):
    """One row."""

    sources: Annotated[tuple[Number, ...], Field(min_length=1, max_length=64)]
    """Numbers of the rows whose feature maps it takes."""
    repeats: Annotated[int, Field(ge=1, le=512)] = 1
    """Number of repeats, before scaling by the depth multiple."""
    block: Annotated[str, Field(max_length=100)]
    """Name of the block (`mbv3zoo.models.layer_lists.blocks`)."""
    args: Annotated[tuple[Annotated[JsonValue, AfterValidator(_bounded)], ...], Field(max_length=64)] = ()
    """Arguments of the block as in the file, channels not scaled."""


class LayerRows(Config):
    """Consecutive rows with their inputs and outputs. Numbers are those of the file, so that errors can name them."""

    rows: Annotated[tuple[LayerRow, ...], Field(max_length=_MOST_ROWS)]
    """The rows."""
    first: Annotated[int, Field(ge=0, le=_MOST_ROWS)]
    """Number of the first one."""
    inputs: Annotated[tuple[Number, ...], Field(min_length=1, max_length=64)]
    """Numbers of the feature maps that come from outside; -1 is the image."""
    strides: Annotated[tuple[Annotated[int, Field(ge=2, le=1024)], ...], Field(max_length=64)] | None = None
    """Strides of the inputs, in input pixels per cell, finest first; None takes what the backbone gives."""
    outputs: Annotated[tuple[Number, ...], Field(min_length=1, max_length=64)]
    """Numbers of the feature maps that are passed on, finest first."""

    @model_validator(mode='after')
    def _check(self) -> Self:
        if self.strides is not None and len(self.strides) != len(self.inputs):
            raise ValueError(f'{len(self.inputs)} inputs need as many strides, given {len(self.strides)}')
        if sum(row.repeats for row in self.rows) > _MOST_ROWS:
            raise ValueError(f'the rows may be repeated {_MOST_ROWS} times in all')
        known = set(self.inputs)
        for number, row in enumerate(self.rows, self.first):
            for source in row.sources:
                if source not in known:
                    raise ValueError(f'row {number} ({row.block}): {unknown_source(source, sorted(known))}')
            known.add(number)
        for output in self.outputs:
            if output not in known:
                raise ValueError(f'Detect {unknown_source(output, sorted(known))}')
        return self


def unknown_source(source: int, known: list[int]) -> str:
    """Message: a row takes its input from a row that gives no feature map before it."""
    names = ['the picture' if number == -1 else str(number) for number in known]
    return f'takes its input from row {source}, which gives no map; those before it that do are {", ".join(names)}'
