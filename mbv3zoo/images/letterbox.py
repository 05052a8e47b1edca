"""Fits an image into a fixed size without changing its aspect ratio, for training and for prediction."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from torch import Tensor

PAD_VALUE: Final = 114
# Arrays give arrays, tensors give tensors.
Boxes = TypeVar('Boxes', np.ndarray, 'Tensor')


@dataclass(frozen=True)
class Letterbox:
    """Where an image lies inside its letterbox: scaled to fit, centred, the rest filled with grey (114).

    Attributes:
        scale: target pixels for one original pixel, before rounding to whole pixels.
        pad_left: grey columns left of the image.
        pad_top: grey rows above the image.
        original: (height, width) of the image in pixels.
        target: (height, width) of the letterbox in pixels.
    """

    scale: float
    pad_left: int
    pad_top: int
    original: tuple[int, int]
    target: tuple[int, int]

    @classmethod
    def fit(cls, original_hw: tuple[int, int], target_hw: tuple[int, int]) -> Letterbox:
        """Scales an image, up or down, to the largest size that fits, and centres it.

        Args:
            original_hw: (height, width) of the image in pixels.
            target_hw: (height, width) of the letterbox in pixels.

        Raises:
            ValueError: if a side is not a whole number of at least 1.
        """
        for name, size in (('original', original_hw), ('target', target_hw)):
            if len(size) != 2 or any(side != int(side) or side < 1 for side in size):
                raise ValueError(f'{name} size is {size}; expected (height, width), whole numbers >= 1')
        original = (int(original_hw[0]), int(original_hw[1]))
        target = (int(target_hw[0]), int(target_hw[1]))
        scale = min(target[0] / original[0], target[1] / original[1])
        height, width = _resized(scale, original)
        return cls(
            scale=scale,
            pad_left=(target[1] - width) // 2,
            pad_top=(target[0] - height) // 2,
            original=original,
            target=target,
        )

    @property
    def resized(self) -> tuple[int, int]:
        """(height, width) in pixels of the image inside the letterbox, at least 1 each."""
        return _resized(self.scale, self.original)

    def apply(self, image: Tensor) -> Tensor:
        """Resizes (bilinear, antialiased) and pads an image.

        Args:
            image: uint8 `[C, H, W]` with (H, W) = `original`, or a smaller copy of it.

        Returns:
            uint8 `[C, target height, target width]`.

        Raises:
            ValueError: if the image has another type or shape.
        """
        from torchvision.transforms.v2 import functional

        self._check(image, image.shape[1:])
        height, width = self.resized
        pad_right = self.target[1] - width - self.pad_left
        pad_bottom = self.target[0] - height - self.pad_top
        image = functional.resize(image, [height, width], antialias=True)
        return functional.pad(image, [self.pad_left, self.pad_top, pad_right, pad_bottom], fill=PAD_VALUE)

    def apply_array(self, image: np.ndarray) -> np.ndarray:
        """The same as `apply` for an array; works without torch, with equal pixels.

        Args:
            image: uint8 `[H, W, C]` with (H, W) = `original`, or a smaller copy of it.

        Returns:
            uint8 `[C, target height, target width]`.

        Raises:
            ValueError: if the image has another type or shape.
        """
        self._check(image, image.shape[:2])
        if 'torchvision' in sys.modules:
            # Several times as fast as PIL, which has no vector code.
            import torch

            return self.apply(torch.from_numpy(image).permute(2, 0, 1)).numpy()
        return self.apply_without_torch(image)

    def apply_without_torch(self, image: np.ndarray) -> np.ndarray:
        """The same as `apply_array`, always with PIL."""
        self._check(image, image.shape[:2])
        (height, width), channels = self.resized, image.shape[2]
        if image.shape[:2] != (height, width):
            # PIL knows 1 and 3 channels only; others are resized one by one.
            parts = [image] if channels == 3 else [image[:, :, i] for i in range(channels)]
            resized = [np.asarray(Image.fromarray(p).resize((width, height), Image.Resampling.BILINEAR)) for p in parts]
            image = resized[0] if channels == 3 else np.stack(resized, 2)
        out = np.full((channels, *self.target), PAD_VALUE, np.uint8)
        inside = out[:, self.pad_top : self.pad_top + height, self.pad_left : self.pad_left + width]
        inside[:] = image.transpose(2, 0, 1)
        return out

    def _check(self, image: Tensor | np.ndarray, size: tuple[int, ...]) -> None:
        height, width = self.original
        # A smaller copy has the image's aspect ratio, give or take its last row and column.
        fits = image.ndim == 3 and size[0] <= height and abs(size[0] * width - size[1] * height) <= max(height, width)
        if not str(image.dtype).endswith('uint8') or not fits:
            raise ValueError(
                f'letterbox was given a {image.dtype} image of shape {tuple(image.shape)}; '
                f'expected uint8 pixels of a picture of {height} x {width} (height x width)'
            )

    def boxes_to_original(self, boxes: Boxes) -> Boxes:
        """Maps boxes from the letterbox back onto the original image, clipped to it.

        Args:
            boxes: `[N, 4]` xyxy in pixels of the letterbox.

        Returns:
            float `[N, 4]` xyxy in pixels of the original image, x in 0..width, y in 0..height.
        """
        ratios, pads = self._ratios_and_pads(boxes)
        boxes = (boxes - pads) / ratios
        height, width = self.original
        limits = _like([width, height, width, height], boxes)
        return boxes.clip(limits * 0, limits)

    def _ratios_and_pads(self, boxes: Boxes) -> tuple[Boxes, Boxes]:
        if boxes.ndim != 2 or boxes.shape[1] != 4:
            raise ValueError(f'boxes have shape {tuple(boxes.shape)}; expected [N, 4] xyxy')
        # The resized image and the space around it are whole pixels, hence rounded. YOLOv5 maps boxes as if they were
        # not. The average of both mappings is within half a pixel of each.
        (height, width), (rows, columns) = self.original, self.resized
        ratio_x, ratio_y = (columns / width + self.scale) / 2, (rows / height + self.scale) / 2
        pad_x = (self.pad_left + (self.target[1] - columns) / 2) / 2
        pad_y = (self.pad_top + (self.target[0] - rows) / 2) / 2
        return _like([ratio_x, ratio_y] * 2, boxes), _like([pad_x, pad_y] * 2, boxes)


def _like(values: list[float], boxes: Any) -> Any:
    """The values as an array or a tensor like `boxes`, float64 where those are, else float32."""
    if isinstance(boxes, np.ndarray):
        return np.array(values, np.float64 if boxes.dtype == np.float64 else np.float32)
    import torch

    return torch.tensor(
        values, dtype=boxes.dtype if boxes.dtype == torch.float64 else torch.float32, device=boxes.device
    )


def _resized(scale: float, original: tuple[int, int]) -> tuple[int, int]:
    return max(1, round(scale * original[0])), max(1, round(scale * original[1]))
