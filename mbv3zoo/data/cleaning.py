"""What is no box inside its image is clipped or dropped, for all objects of a split at once."""

from __future__ import annotations

from collections.abc import Callable

import torch

from mbv3zoo.data.problems import LabelProblems


def clean_boxes(
    boxes: torch.Tensor, sizes: torch.Tensor, place: Callable[[int], str], problems: LabelProblems
) -> tuple[torch.Tensor, torch.Tensor]:
    """Clips boxes to their images and finds those without area in them; each change is added to `problems`.

    Args:
        boxes: float32 [N, 4] xyxy pixels.
        sizes: [N, 2], (height, width) of the image of each.
        place: File and line of a box, given its index.
        problems: Where changes are added.

    Returns:
        The clipped boxes [N, 4], and which have an area, bool [N]; the others are to be dropped.
    """
    limit = sizes.flip(1).repeat(1, 2).to(boxes.dtype)
    clipped = boxes.nan_to_num(-1).clamp(min=0).minimum(limit)
    keep = boxes.isfinite().all(1) & (clipped[:, 2] > clipped[:, 0]) & (clipped[:, 3] > clipped[:, 1])
    # Up to one pixel outside is rounding and not reported.
    outside = (boxes - clipped).abs().amax(1) > 1 if len(boxes) else keep
    for i in torch.nonzero(~keep | outside).flatten().tolist():
        box = [round(v, 1) for v in boxes[i].tolist()]
        action = 'clipped' if keep[i] else 'dropped'
        height, width = sizes[i].tolist()
        problems.add(place(i), f'box {box} (xyxy pixels) is not inside the picture of {width} x {height}; {action}')
    return clipped, keep
