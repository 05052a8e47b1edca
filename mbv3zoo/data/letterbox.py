"""Fitting a picture into a fixed size without changing its shape: the one way for training and prediction."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional

PAD_VALUE = 114


@dataclass(frozen=True)
class Letterbox:
    """Where a picture lies inside its letterbox: scaled to fit, centred, the rest filled with grey 114.

    Attributes:
        scale: target pixels for one original pixel, before rounding to whole pixels.
        pad_left: grey columns left of the picture.
        pad_top: grey rows above the picture.
        original: (height, width) of the picture in pixels.
        target: (height, width) of the letterbox in pixels.
    """

    scale: float
    pad_left: int
    pad_top: int
    original: tuple[int, int]
    target: tuple[int, int]

    @classmethod
    def fit(cls, original_hw: tuple[int, int], target_hw: tuple[int, int]) -> 'Letterbox':
        """Scales a picture, up or down, to the largest size that fits, and centres it.

        Args:
            original_hw: (height, width) of the picture in pixels.
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
        """(height, width) in pixels of the picture inside the letterbox, at least 1 each."""
        return _resized(self.scale, self.original)

    def apply(self, image: Tensor) -> Tensor:
        """Resizes (bilinear, antialiased) and pads an image.

        Args:
            image: uint8 `[C, H, W]` with (H, W) = `original`.

        Returns:
            uint8 `[C, target height, target width]`.

        Raises:
            ValueError: if the image has another type or size.
        """
        if image.dtype != torch.uint8 or image.ndim != 3 or tuple(image.shape[1:]) != self.original:
            raise ValueError(
                f'letterbox was given a {image.dtype} image of shape {tuple(image.shape)}; '
                f'expected uint8 [C, {self.original[0]}, {self.original[1]}]'
            )
        height, width = self.resized
        pad_right = self.target[1] - width - self.pad_left
        pad_bottom = self.target[0] - height - self.pad_top
        image = functional.resize(image, [height, width], antialias=True)
        return functional.pad(image, [self.pad_left, self.pad_top, pad_right, pad_bottom], fill=PAD_VALUE)

    def boxes_to_letterbox(self, boxes: Tensor) -> Tensor:
        """Maps boxes from the original picture into the letterbox.

        Args:
            boxes: `[N, 4]` xyxy in pixels of the original picture.

        Returns:
            float `[N, 4]` xyxy in pixels of the letterbox, not clipped.
        """
        ratios, pads = self._ratios_and_pads(boxes)
        return boxes * ratios + pads

    def boxes_to_original(self, boxes: Tensor) -> Tensor:
        """Maps boxes from the letterbox back onto the original picture, clipped to it.

        Args:
            boxes: `[N, 4]` xyxy in pixels of the letterbox.

        Returns:
            float `[N, 4]` xyxy in pixels of the original picture, x in 0..width, y in 0..height.
        """
        ratios, pads = self._ratios_and_pads(boxes)
        boxes = (boxes - pads) / ratios
        height, width = self.original
        return boxes.clamp(min=0).minimum(boxes.new_tensor([width, height, width, height]))

    def _ratios_and_pads(self, boxes: Tensor) -> tuple[Tensor, Tensor]:
        if boxes.ndim != 2 or boxes.shape[1] != 4:
            raise ValueError(f'boxes have shape {tuple(boxes.shape)}; expected [N, 4] xyxy')
        # The picture's pixels lie on whole numbers, so that its sides and the space around it are rounded. YOLOv5 maps
        # boxes as if they were not. Halfway between, boxes are within half a pixel of both.
        (height, width), (rows, columns) = self.original, self.resized
        ratio_x, ratio_y = (columns / width + self.scale) / 2, (rows / height + self.scale) / 2
        pad_x = (self.pad_left + (self.target[1] - columns) / 2) / 2
        pad_y = (self.pad_top + (self.target[0] - rows) / 2) / 2
        dtype = boxes.dtype if boxes.dtype == torch.float64 else torch.float32
        ratios = torch.tensor([ratio_x, ratio_y] * 2, dtype=dtype, device=boxes.device)
        pads = torch.tensor([pad_x, pad_y] * 2, dtype=dtype, device=boxes.device)
        return ratios, pads


def _resized(scale: float, original: tuple[int, int]) -> tuple[int, int]:
    return max(1, round(scale * original[0])), max(1, round(scale * original[1]))
