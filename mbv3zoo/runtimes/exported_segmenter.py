"""A segmenter in an exported file or a runtime: the same `predict` as `Segmenter`, without torch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mbv3zoo.detections.segmentation import Segmentation
from mbv3zoo.prediction.predict import iter_predict, predict
from mbv3zoo.runtimes.exported_model import ExportedModel


class ExportedSegmenter(ExportedModel):
    """Finds the class of every pixel with what a runtime runs; arguments and attributes as for `ExportedModel`.

    Example:
        >>> path = mbv3zoo.create_segmenter('mbv3_lraspp_small', num_classes=3, image_size=128).export('segmenter.onnx')
        >>> segmenter = mbv3zoo.load(path)
        >>> segmenter.runtime, segmenter.info.task
        ('onnxruntime', 'segmentation')
    """

    def predict(
        self,
        source: Any,
        *,
        batch_size: int = 8,
        image_size: int | tuple[int, int] | None = None,
        max_pixels: int | None = None,
    ) -> Segmentation | list[Segmentation]:
        """Finds the class of every pixel of one image or many; as `Segmenter.predict`.

        Raises:
            ValueError: As there; or the file takes no images of this size.

        Example:
            >>> mbv3zoo.load('segmenter.onnx').predict('a.jpg').image_size
            (480, 640)
        """
        found: Segmentation | list[Segmentation] = predict(
            self, source, batch_size=batch_size, image_size=image_size, max_pixels=max_pixels
        )
        return found

    def iter_predict(
        self,
        source: Any,
        *,
        batch_size: int = 8,
        image_size: int | tuple[int, int] | None = None,
        max_pixels: int | None = None,
    ) -> Iterator[Segmentation]:
        """As `predict`, one image after the other; see `mbv3zoo.prediction.predict.iter_predict`.

        Example:
            >>> for found in mbv3zoo.load('segmenter.onnx').iter_predict(['a.jpg']):
            ...     print(found.image_size)
            (480, 640)
        """
        return iter_predict(self, source, batch_size=batch_size, image_size=image_size, max_pixels=max_pixels)
