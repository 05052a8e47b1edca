"""Prediction of images by several processes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from mbv3zoo.prediction.predict import iter_predict
from mbv3zoo.utils.processes import Processes

# Images that a process predicts before results are exchanged.
_PART = 64


def predict_together(group: Processes, detector: Any, items: Sequence[Any], **settings: Any) -> Iterator[Any]:
    """As `iter_predict`: each process runs its parts of the images, and all of them yield the results of all, in order.

    Args:
        group: The processes, all of which call this.
        detector: As for `iter_predict`, the same in each.
        items: The images, the same in each.
        **settings: As for `iter_predict`.

    Raises:
        ValueError: As `iter_predict`; or one of the others failed, whose error it has.
    """
    for start in range(0, len(items), group.count * _PART):
        first = start + group.index * _PART
        own = items[first : first + _PART]
        try:
            found: list[Any] = list(iter_predict(detector, own, **settings)) if own else []
        except Exception as error:
            # Else the others would wait for it.
            group.gather([error if isinstance(error, ValueError | OSError) else ValueError(str(error))])
            raise
        for each in group.gather(found):
            if isinstance(each, Exception):
                raise each
            yield each
