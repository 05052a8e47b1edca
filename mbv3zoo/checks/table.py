"""The objects of a split as columns."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch

from mbv3zoo.checks.findings import MOST_SHOWN, Example
from mbv3zoo.data.detection_set import DetectionSet


class Objects(NamedTuple):
    """The training targets of a split; crowds are left out.

    Attributes:
        picture: Index of the record of each, int64 [N].
        place: Index among the boxes of its record, int64 [N].
        width, height: In pixels of the image, float64 [N].
        label: Its class, int64 [N].
    """

    picture: np.ndarray
    place: np.ndarray
    width: np.ndarray
    height: np.ndarray
    label: np.ndarray

    @classmethod
    def of(cls, data: DetectionSet) -> Objects:
        """The objects of a split."""
        records = data.records
        chosen = torch.nonzero(~records.iscrowd).flatten()
        owners = records.owners[chosen]
        width, height = (records.boxes[chosen, 2:] - records.boxes[chosen, :2]).double().numpy().T
        place = chosen - records.starts[owners]
        return cls(owners.numpy(), place.numpy(), width, height, records.labels[chosen].numpy())

    def examples(
        self, data: DetectionSet, chosen: np.ndarray, badness: np.ndarray, caption: Callable[[np.ndarray], str]
    ) -> tuple[Example, ...]:
        """The images with the worst of some objects.

        Args:
            data: The split.
            chosen: Which objects, bool [N].
            badness: How bad each object is, [N].
            caption: Says what is to be seen, given the indices of the objects of one image.
        """
        rows = np.flatnonzero(chosen)
        rows = rows[np.argsort(-badness[rows], kind='stable')]
        _, first = np.unique(self.picture[rows], return_index=True)
        shown = self.picture[rows[np.sort(first)[:MOST_SHOWN]]]
        own = [rows[self.picture[rows] == picture] for picture in shown]
        return tuple(
            Example(data.records[picture], self.place[each].tolist(), caption(each))
            for picture, each in zip(shown.tolist(), own, strict=True)
        )
