"""Copy-paste: objects of one image pasted into another (Ghiasi et al., https://arxiv.org/abs/2012.07177, section 3)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torchvision.ops import box_area
from torchvision.transforms.v2.functional import resize
from torchvision.tv_tensors import Mask

from mbv3zoo.data.placing import LabelledImage, uniform
from mbv3zoo.images.masks import IGNORE_INDEX

# A random subset of the objects is pasted, each in another size.
_CHOSEN, _SCALE = 0.5, (0.5, 1.5)
# Share of a box that another may cover: of one that is pasted, so that it shows one object; of one below it.
_MIXED, _COVERED = 0.1, 0.3
# Places that are tried for an object.
_TRIES = 5
# What is pasted around a box, as a fraction of its sides, fades into the image (Dwibedi et al., "Cut, Paste and Learn",
# arXiv 1708.01642: a visible edge is learned in place of the object).
_FADING = 0.1
# A class with a larger fraction of an image is its background.
_OBJECT_SHARE = 0.25


class _Cutout(NamedTuple):
    """An object: uint8 [C, h, w], opacity float32 [h, w], its box float32 [4] xyxy in these pixels, label int64 []."""

    pixels: torch.Tensor
    opacity: torch.Tensor
    box: torch.Tensor
    label: torch.Tensor


def paste_objects(image: LabelledImage, source: LabelledImage) -> LabelledImage:
    """Pastes a random half of the objects of one image into another, each in a random size at a random place.

    With boxes, an object is the content of its box, with a border that fades. Those of which another box covers more
    than a tenth are left out, as what is in them would have no label; and those for which no place is found where they
    cover at most 0.3 of any box. With masks, an object is what an image has of one class, if that is at most a quarter
    of it.

    Args:
        image: uint8 [C, H, W], with boxes float32 [N, 4] xyxy pixels and labels int64 [N], or a `Mask` uint8 [H, W].
        source: Another image, likewise, of any size.

    Returns:
        The first with what is pasted; the arguments are not changed.
    """
    masked = isinstance(source[1], Mask)
    found = _of_masks(source) if masked else _of_boxes(source)
    cutouts = [cutout for cutout in found if torch.rand(()) < _CHOSEN]
    canvas, boxes, labels = image[0].clone(), image[1].clone(), image[2]
    for cutout in cutouts:
        cutout = _scaled(cutout, canvas.shape[1:])
        for _ in range(_TRIES):
            top, left = (
                int(torch.randint(side - own + 1, ()))
                for side, own in zip(canvas.shape[1:], cutout.opacity.shape, strict=True)
            )
            box = cutout.box + torch.tensor([left, top, left, top])
            if masked or not (_covered(boxes, box) > _COVERED).any():
                area = slice(top, top + cutout.pixels.shape[1]), slice(left, left + cutout.pixels.shape[2])
                below = canvas[:, *area].float()
                canvas[:, *area] = (below + (cutout.pixels - below) * cutout.opacity).round().to(torch.uint8)
                if masked:
                    boxes[area] = torch.where(cutout.opacity > 0.5, cutout.label.to(torch.uint8), boxes[area])
                else:
                    boxes, labels = torch.cat([boxes, box[None]]), torch.cat([labels, cutout.label[None]])
                break
    return canvas, Mask(boxes) if masked else boxes, labels


def _of_boxes(source: LabelledImage) -> Iterator[_Cutout]:
    pixels, boxes, labels = source
    height, width = pixels.shape[1:]
    for i, box in enumerate(boxes):
        others = torch.cat([boxes[:i], boxes[i + 1 :]])
        shared = _intersection(box[None], others).sum() / box_area(box[None]).clamp(min=1)
        border = _FADING * (box[2:] - box[:2])
        left, top = (box[:2] - border).floor().clamp(min=0).int().tolist()
        right, bottom = (box[2:] + border).ceil().int().tolist()
        right, bottom = min(right, width), min(bottom, height)
        if shared > _MIXED or min(right - left, bottom - top) < 2:
            continue
        x, y = torch.arange(left, right) + 0.5, torch.arange(top, bottom) + 0.5
        opacity = _ramp(y, box[1], box[3], border[1])[:, None] * _ramp(x, box[0], box[2], border[0])
        yield _Cutout(pixels[:, top:bottom, left:right], opacity, box - box.new_tensor([left, top] * 2), labels[i])


def _ramp(at: torch.Tensor, low: torch.Tensor, high: torch.Tensor, border: torch.Tensor) -> torch.Tensor:
    """1 from `low` to `high`, falling to 0 over the border on each side."""
    outside = torch.maximum(low - at, at - high).clamp(min=0)
    return (1 - outside / border.clamp(min=0.5)).clamp(min=0)


def _of_masks(source: LabelledImage) -> Iterator[_Cutout]:
    pixels, mask, _ = source
    counts = torch.bincount(mask.as_subclass(torch.Tensor).flatten().int(), minlength=256)
    counts[IGNORE_INDEX] = 0
    for label in torch.nonzero((counts > 0) & (counts <= _OBJECT_SHARE * mask.numel())).flatten():
        inside = mask.as_subclass(torch.Tensor) == label
        rows, columns = (torch.nonzero(inside.any(axis)).flatten() for axis in (1, 0))
        area = slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
        opacity = inside[area].float()
        yield _Cutout(pixels[:, *area], opacity, opacity.new_tensor([0, 0, *opacity.shape[::-1]]), label)


def _scaled(cutout: _Cutout, most: tuple[int, ...]) -> _Cutout:
    """In a random size, that of the image at most."""
    sides = torch.tensor(cutout.opacity.shape)
    factor = min(uniform(*_SCALE), float((torch.tensor(most) / sides).min()))
    size = [min(max(1, round(side * factor)), limit) for side, limit in zip(sides.tolist(), most, strict=True)]
    ratio = torch.tensor(size) / sides
    return _Cutout(
        resize(cutout.pixels, size, antialias=True),
        resize(cutout.opacity[None], size, antialias=True)[0],
        cutout.box * ratio.flip(0).repeat(2),
        cutout.label,
    )


def _intersection(boxes: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """Shared area of boxes [N, 4] or [1, 4] and as many others, float32 [N]."""
    low, high = torch.maximum(boxes[:, :2], others[:, :2]), torch.minimum(boxes[:, 2:], others[:, 2:])
    return (high - low).clamp(min=0).prod(1)


def _covered(boxes: torch.Tensor, box: torch.Tensor) -> torch.Tensor:
    """The share of each of boxes [N, 4] that a box [4] covers, float32 [N]."""
    return _intersection(boxes, box[None]) / box_area(boxes).clamp(min=1)
