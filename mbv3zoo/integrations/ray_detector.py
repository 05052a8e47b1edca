"""A detector as an actor of Ray Data, which predicts millions of images on many machines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Unpack

import numpy as np

from mbv3zoo.prediction.predict import PredictOptions, predict
from mbv3zoo.utils.text import shown


class RayDetector:
    """A class for `ray.data.Dataset.map_batches`: each actor opens a detector once, and predicts batches with it.

    It needs nothing of Ray itself. With `num_gpus=1` each actor has a GPU of its own.

    Args:
        model: As for `mbv3zoo.load`.
        column: The column of images: uint8 arrays [H, W, 3], as `ray.data.read_images` gives them, or paths.
        runtime, device: As for `mbv3zoo.load`.
        **settings: As for `mbv3zoo.Detector.predict`, such as `score_thresh`.

    Raises:
        ValueError: As `mbv3zoo.load`.

    Example:
        >>> import numpy as np
        >>> find = mbv3zoo.RayDetector('mbv3_yolo_small.synth', score_thresh=0.3)
        >>> found = find({'image': np.zeros((2, 96, 128, 3), np.uint8), 'name': np.array(['a', 'b'])})
        >>> sorted(found), [boxes.shape for boxes in found['boxes']]
        (['boxes', 'labels', 'name', 'names', 'scores'], [(0, 4), (0, 4)])
    """

    def __init__(
        self,
        model: str,
        *,
        column: str = 'image',
        runtime: str | None = None,
        device: str | None = None,
        **settings: Unpack[PredictOptions],
    ) -> None:
        from mbv3zoo.loading import load

        self.detector: Any = load(model, runtime=runtime, device=device)
        self.column, self.settings = column, settings

    def __call__(self, batch: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """Predicts a batch of rows.

        Args:
            batch: Columns, of which one has the images.

        Returns:
            The other columns, and for each row `boxes` (float32 [N, 4] xyxy in pixels), `scores` (float32 [N]),
            `labels` (int64 [N]) and the `names` of their classes.

        Raises:
            ValueError: There is no such column, or an image cannot be read.
        """
        if self.column not in batch:
            raise ValueError(f'the batch has no column {self.column!r}, only {shown(list(batch))}; name it with column')
        images = [str(each) if isinstance(each, str) else each for each in batch[self.column]]
        results = predict(self.detector, images, **self.settings)
        for image, found in zip(images, results, strict=True):
            if found.error:
                raise ValueError(found.error if isinstance(image, str) else f'an image of the batch: {found.error}')
        own = [found.numpy() for found in results]
        rows = {
            'boxes': [found.boxes for found in own],
            'scores': [found.scores for found in own],
            'labels': [found.labels for found in own],
            'names': [[found.class_names[label] for label in found.labels] for found in own],
        }
        kept = {name: values for name, values in batch.items() if name != self.column}
        return kept | {name: _ragged(values) for name, values in rows.items()}


def _ragged(values: list[Any]) -> np.ndarray:
    """Arrays of any lengths as one column."""
    column = np.empty(len(values), object)
    for row, value in enumerate(values):
        column[row] = value
    return column
