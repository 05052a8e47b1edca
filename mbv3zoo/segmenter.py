"""Segmenter: a network that names the class of every pixel, with everything a user does with it."""

from __future__ import annotations

from typing import Any

from mbv3zoo.detections.segmentation import Segmentation
from mbv3zoo.model import Model
from mbv3zoo.models.segmenter_network import SegmenterNetwork
from mbv3zoo.prediction.predict import predict


class Segmenter(Model, SegmenterNetwork):
    """A semantic segmenter: any timm backbone with the LR-ASPP head of MobileNetV3.

    Call it with float images [B, C, H, W] in 0..1 for logits [B, K, H, W] (see `forward`), or use `predict`.
    `create_segmenter` builds one, `Segmenter.from_pretrained` loads one; saving, publishing and exporting are those of
    `Detector`.

    Example:
        >>> segmenter = mbv3zoo.Segmenter.from_pretrained('mbv3_lraspp_small.synth')
        >>> segmenter.predict('a.jpg').labels.shape
        (480, 640)
    """

    def predict(
        self,
        source: Any,
        *,
        batch_size: int = 8,
        image_size: int | tuple[int, int] | None = None,
        max_pixels: int | None = None,
        runtime: str | None = None,
        threads: int | None = None,
        device: str | None = None,
    ) -> Segmentation | list[Segmentation]:
        """Finds the class of every pixel of one image or many.

        Args:
            source, batch_size, image_size, max_pixels, runtime, threads, device: As for `Detector.predict`.

        Returns:
            `Segmentation` of one image, with labels of the original image's size; a list of them for many.

        Raises:
            ValueError, ImportError: As `Detector.predict`.

        Example:
            >>> segmentation = mbv3zoo.load('mbv3_lraspp_small.synth').predict('a.jpg')
            >>> drawn = segmentation.draw()
        """
        engine = self._engine(runtime, image_size, threads, device)
        return predict(engine, source, batch_size=batch_size, image_size=image_size, max_pixels=max_pixels)
