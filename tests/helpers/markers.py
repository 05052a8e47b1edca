"""Pictures whose objects can be found again by their colour, whatever was done to the picture."""

import numpy as np
import torch

# Corners of the colour cube: each differs from the others and from the grey ground by at least 127 in some channel.
COLOURS = (
    (255, 0, 0),
    (0, 255, 0),
    (0, 0, 255),
    (255, 255, 0),
    (0, 255, 255),
    (255, 0, 255),
    (255, 255, 255),
    (0, 0, 0),
)
GROUND = 128
# A pixel that belongs by more than half to a marker on the ground is its own.
_TOLERANCE = 64


def draw_markers(
    rng: np.random.Generator, height: int, width: int, labels: list[int], min_side: int = 12
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """One filled rectangle for each label, in its colour, none over another: side by side in columns.

    Returns:
        uint8 [3, height, width], boxes float32 [N, 4] xyxy pixels, labels int64 [N].
    """
    image = torch.full((3, height, width), GROUND, dtype=torch.uint8)
    boxes = []
    column = width // max(len(labels), 1)
    for i, label in enumerate(labels):
        box_width = int(rng.integers(min(min_side, column - 4), column - 3))
        box_height = int(rng.integers(min(min_side, height - 4), height - 3))
        x = i * column + 2 + int(rng.integers(column - 3 - box_width))
        y = 2 + int(rng.integers(height - 3 - box_height))
        image[:, y : y + box_height, x : x + box_width] = torch.tensor(COLOURS[label], dtype=torch.uint8)[:, None, None]
        boxes.append([x, y, x + box_width, y + box_height])
    return image, torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4), torch.tensor(labels, dtype=torch.int64)


def marker_mask(image: torch.Tensor, label: int) -> torch.Tensor:
    """Which pixels of uint8 [3, H, W] show a label's marker: bool [H, W]."""
    colour = torch.tensor(COLOURS[label])[:, None, None]
    return ((image.int() - colour).abs() < _TOLERANCE).all(0)


def marker_box(image: torch.Tensor, label: int) -> list[float] | None:
    """The box around all pixels of a label's marker, xyxy; None where there is none."""
    rows, columns = marker_mask(image, label).nonzero(as_tuple=True)
    if not len(rows):
        return None
    return [columns.min().item(), rows.min().item(), columns.max().item() + 1, rows.max().item() + 1]
