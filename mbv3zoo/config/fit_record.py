"""What a model was fitted to, and what that cost: the record that is saved in its config."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from mbv3zoo.config.base import Config
from mbv3zoo.config.types import ImageSize, one_line

_Text = Annotated[str, Field(max_length=200), AfterValidator(one_line)]
_Milliseconds = Annotated[float, Field(gt=0)]
_Quality = Annotated[float, Field(ge=0, le=1)] | None


class FitRecord(Config):
    """How `mbv3zoo.fit` made a model narrower. Times are medians, measured in turns with the model before."""

    image_size: ImageSize
    """Input size (height, width) in pixels that was timed."""
    budget_ms: _Milliseconds
    """Most milliseconds of a call that were asked for."""
    measured_ms: _Milliseconds
    """Milliseconds that a call takes."""
    predicted_ms: _Milliseconds
    """Milliseconds that were predicted before the graph was timed, where the model before takes `before_ms`."""
    before_ms: _Milliseconds
    """Milliseconds of the model before, at its own input size, in the same turns as `measured_ms`."""
    spread: Annotated[float, Field(ge=0)]
    """How much the turns differ: the 90th less the 10th percentile of `measured_ms`, divided by it."""
    runtime: _Text
    """Runtime and its version."""
    machine: _Text
    """Processor."""
    threads: Annotated[int, Field(ge=1)] | None
    """Threads per call; None where the runtime chose."""
    precision: Literal['float32', 'int8']
    """What the graph computes in."""
    measure: Literal['AP', 'mIoU']
    """What quality is measured by, in 0..1, on the validation split; int8 graphs are measured in float32."""
    quality_before: _Quality
    """Of the model before."""
    quality_narrowed: _Quality
    """Of the narrower model, before it was trained."""
    quality_after: _Quality
    """Of the fitted model; None where it was not trained."""
