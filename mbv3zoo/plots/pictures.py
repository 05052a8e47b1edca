"""Images with boxes: predictions beside the ground truth, and training batches."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from mbv3zoo.data.detection_set import DetectionSet
from mbv3zoo.data.masks import MaskSet
from mbv3zoo.data.pictures import empty_picture, read_or_none
from mbv3zoo.data.records import Record
from mbv3zoo.detections import Detections
from mbv3zoo.detections.segmentation import Segmentation
from mbv3zoo.evaluation.f1 import as_predicted
from mbv3zoo.evaluation.masks import spread
from mbv3zoo.images.masks import IGNORE_INDEX, draw_labels
from mbv3zoo.models.postprocess.thresholds import PREDICTION
from mbv3zoo.plots.sheet import cell_size, centred, draw_cell, fitted, write_sheet

_CAPTION = 58  # characters that fit under a cell


def plot_predictions(
    data: DetectionSet,
    detections: list[Detections],
    path: str | Path,
    count: int = 12,
    score_thresh: float = PREDICTION.score_thresh,
) -> None:
    """Draws images in pairs: the ground truth left, the detections right.

    Args:
        data: The labelled set.
        detections: One per record; only those that `predict` would return are drawn.
        path: The PNG file to write.
        count: How many images, evenly spaced over the set.
        score_thresh: Detections with a lower score are not drawn, 0..1.
    """
    if len(detections) != len(data):
        raise ValueError(f'given detections for {len(detections)} pictures; the set has {len(data)}')

    def pair(i: int, image: Image.Image, size: tuple[int, int]) -> tuple[list[Image.Image], str]:
        record, found = data.records[i], as_predicted(detections[i], score_thresh)
        # The highest score last, so that it is on top.
        found = found[torch.as_tensor(found.scores).argsort(stable=True)]
        scored = [f'{name} {score:.2f}' for name, score in zip(found.names, found.scores.tolist(), strict=True)]
        cells = [
            draw_cell(image, record.boxes, record.labels, _true_captions(record, data.class_names), size),
            draw_cell(image, torch.as_tensor(found.boxes), torch.as_tensor(found.labels), scored, size),
        ]
        return cells, f'{_count(int((~record.iscrowd).sum()), "object")}, {_count(len(found), "detection")}'

    title = f'Left: truth. Right: detections with a score of at least {score_thresh:g}.'
    _write_pairs(data, spread(len(data), count), pair, title, path)


def plot_label_maps(data: MaskSet, shown: Mapping[int, Segmentation], path: str | Path) -> None:
    """Draws images in pairs: the classes of the mask left, those that were found right.

    Args:
        data: The labelled set.
        shown: What was found in some of its records, by their index.
        path: The PNG file to write.
    """

    def pair(i: int, image: Image.Image, size: tuple[int, int]) -> tuple[list[Image.Image], str]:
        truth, found = data.records[i].read(), shown[i].labels
        cells = [_label_cell(image, labels, data.class_names, size) for labels in (truth, found)]
        known = truth != IGNORE_INDEX
        return cells, f'{(truth == found)[known].sum() / max(1, known.sum()):.1%} of pixels right'

    _write_pairs(data, sorted(shown), pair, 'Left: truth. Right: the classes that were found.', path)


def _label_cell(
    image: Image.Image, labels: np.ndarray, class_names: Sequence[str], size: tuple[int, int]
) -> Image.Image:
    """An image with the classes of its pixels, scaled to fit a cell."""
    canvas = fitted(image, size)
    # Drawn after scaling, so that names have the same size in all cells.
    small = np.asarray(Image.fromarray(labels).resize(canvas.size, Image.Resampling.NEAREST))
    return centred(draw_labels(canvas, small, class_names, font_size=12), size)


def _write_pairs(
    data: DetectionSet | MaskSet, chosen: Sequence[int], pair: Callable, title: str, path: str | Path
) -> None:
    """Writes a sheet of some records: `pair` draws one's image in two cells of a size, and says what is in them."""
    size = cell_size([data.records[i].size for i in chosen])
    rows, captions = [], []
    for i in chosen:
        record = data.records[i]
        pixels = read_or_none(record.path, size=record.size)
        cells, words = pair(i, _to_image(empty_picture(3, record.size) if pixels is None else pixels), size)
        rows.append(cells)
        captions.append(f'{record.path.name}: {words}{", cannot be read" if pixels is None else ""}')
    write_sheet(rows, captions, title, 3, path)


def plot_batch(
    images: torch.Tensor,
    targets: Any,
    class_names: Sequence[str],
    path: str | Path,
    count: int = 16,
    *,
    title: str | None = None,
    names: Sequence[Sequence[str]] | None = None,
) -> None:
    """Draws a training batch with its boxes or masks, as the network sees it.

    Args:
        images: uint8 [B, C, H, W] with C = 3 (RGB) or 1 (grey).
        targets: image_index int64 [N], labels int64 [N], boxes [N, 4] xyxy pixels of the input; or masks [B, H, W].
        class_names: One per class.
        path: The PNG file to write.
        count: At most this many images are drawn, from the first on.
        title: The line above; None says how many images there are, and their size.
        names: The files that each image is made of, written under it; None writes nothing.

    Raises:
        ValueError: The images have another dtype or shape.
    """
    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] not in (1, 3):
        raise ValueError(
            f'images are {images.dtype} {tuple(images.shape)}; expected uint8 [B, 3, H, W] or [B, 1, H, W]'
        )
    masks = targets.cpu().numpy() if isinstance(targets, torch.Tensor) else None
    image_index, labels, boxes = (part.cpu() for part in targets) if masks is None else [torch.zeros(0)] * 3
    height, width = images.shape[2:]
    size = cell_size([(height, width)])
    rows, captions = [], []
    for i, pixels in enumerate(images[:count].cpu()):
        if masks is not None:
            rows.append([_label_cell(_to_image(pixels), masks[i], class_names, size)])
            known = [class_names[label] for label in np.unique(masks[i]) if label < len(class_names)]
            counted = _listed(known) or 'no class'
        else:
            own = image_index == i
            known = [class_names[label] for label in labels[own].tolist()]
            rows.append([draw_cell(_to_image(pixels), boxes[own], labels[own], known, size)])
            counted = _listed([f'{number} {name}' for name, number in Counter(known).most_common()]) or 'no boxes'
        captions.append(f'{_listed(names[i])}\n{counted}' if names else counted)
    title = title or f'Training batch: {len(rows)} of {len(images)} pictures, {width} x {height} pixels'
    write_sheet(rows, captions, title, math.ceil(math.sqrt(max(1, len(rows)))), path)


def _to_image(pixels: torch.Tensor) -> Image.Image:
    """uint8 [C, H, W], RGB or grey -> an RGB image."""
    return Image.fromarray(pixels.expand(3, -1, -1).permute(1, 2, 0).contiguous().numpy())


def _count(number: int, what: str) -> str:
    return f'{number} {what}' if number == 1 else f'{number} {what}s'


def _listed(items: Sequence[str]) -> str:
    """As many items as fit in a caption, and how many more there are."""
    text = ''
    for shown in range(len(items), 0, -1):
        text = ', '.join(items[:shown]) + (f' and {len(items) - shown} more' if shown < len(items) else '')
        if len(text) <= _CAPTION:
            break
    return text


def _true_captions(record: Record, class_names: Sequence[str]) -> list[str]:
    rows = zip(record.labels.tolist(), record.iscrowd.tolist(), strict=True)
    return [f'{class_names[label]} (crowd)' if crowd else class_names[label] for label, crowd in rows]
