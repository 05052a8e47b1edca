"""Finds the small objects of large images: in tiles, whose detections are merged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np

from mbv3zoo.detections import Detections
from mbv3zoo.images.letterbox import Letterbox
from mbv3zoo.images.reader import Picture, read_pictures
from mbv3zoo.images.regions import Regions, UnreadableRegion
from mbv3zoo.images.tiles import Slicing
from mbv3zoo.models.postprocess.thresholds import Thresholds
from mbv3zoo.prediction.engine import Engine, find

# Boxes of one class are of one object where they share so much of the smaller one (as in SAHI, Akyon et al.,
# https://arxiv.org/abs/2202.06934): a tile has only a part of what its border cuts. The best is kept; their union,
# which SAHI takes, has 2 to 3 AP less (docs/prediction.md).
_SHARED = 0.5
# Pixels from the border of a tile, or of the image, in which a box ends that it cuts.
_BORDER = 1.5
_TOUCHING = 'touching'


def find_sliced(
    engine: Engine,
    items: Sequence[Any],
    slicing: Slicing,
    image_size: tuple[int, int],
    batch_size: int,
    thresholds: Thresholds,
    max_pixels: int,
    raise_unreadable: bool = False,
    most: int | None = None,
) -> Iterator[Detections | Picture]:
    """Finds objects in images by their tiles, one image after the other.

    Args:
        items: What `mbv3zoo.images.read.read_image` takes.
        max_pixels: Most pixels of a file.
        raise_unreadable: Whether a damaged file raises ValueError.
        engine, slicing, image_size, batch_size, thresholds, most: As for `find_in_tiles`.

    Yields:
        The detections of each image; for one that cannot be read, a `Picture` with the reason.
    """
    place = (image_size, batch_size, thresholds, most)
    # One image ahead, as they are large, and at their own size.
    for picture in read_pictures(items, engine.info.in_chans, None, 1, raise_unreadable, max_pixels):
        image = picture.pixels if picture.regions is None else picture.regions
        if image is None:
            yield picture
            continue
        try:
            with picture.regions or nullcontext():
                found = find_in_tiles(engine, image, picture.path, slicing, *place)
        except UnreadableRegion as error:
            if raise_unreadable:
                raise
            yield Picture(picture.path, error=str(error))
            continue
        yield found


def find_in_tiles(
    engine: Engine,
    pixels: np.ndarray | Regions,
    path: str | None,
    slicing: Slicing,
    image_size: tuple[int, int],
    batch_size: int,
    thresholds: Thresholds,
    most: int | None = None,
) -> Detections:
    """Finds objects in an image by its tiles.

    Args:
        engine: The detector.
        pixels: uint8 [C, H, W], the image at its own size; or a file of which no more than a few tiles are in memory.
        path: Its file, where it came from one.
        slicing: How it is cut.
        image_size: (height, width) in pixels that tiles, and the whole image, are letterboxed to.
        batch_size: Tiles per call.
        thresholds: What is kept of each tile.
        most: The most detections of the whole image; None takes `thresholds.max_detections`.

    Returns:
        The detections in pixels of the image, the best first.
    """
    import supervision

    image: Any = pixels if isinstance(pixels, Regions) else pixels.transpose(1, 2, 0)
    height, width = image.shape[:2]

    def detect(tiles: Sequence[np.ndarray], original: tuple[int, int] | None = None) -> list[Any]:
        places = [Letterbox.fit(original or tile.shape[:2], image_size) for tile in tiles]
        inputs = np.stack([place.apply_array(tile) for place, tile in zip(places, tiles, strict=True)])
        parts = []
        for own in find(engine, inputs, [(place, None) for place in places], thresholds):
            boxes = np.asarray(own.boxes, np.float32).reshape(-1, 4)
            scores, labels = np.asarray(own.scores, np.float32), np.asarray(own.labels, np.int64)
            part = supervision.Detections(boxes, confidence=scores, class_id=labels)
            part.data[_TOUCHING] = _touches(boxes, own.image_size)
            parts.append(part)
        return parts

    tall, wide = slicing.size
    fits = height <= tall and width <= wide

    def detect_whole() -> list[Any]:
        if not isinstance(image, Regions):
            return detect([image])
        return detect([image.smaller(Letterbox.fit((height, width), image_size).resized)], (height, width))

    if fits:
        parts = detect_whole()
    else:
        slicer = supervision.InferenceSlicer(
            detect,
            slice_wh=(wide, tall),
            overlap_wh=(int(wide * slicing.overlap), int(tall * slicing.overlap)),
            overlap_filter=supervision.OverlapFilter.NONE,
            # It calls with lists from 2 on.
            batch_size=max(2, batch_size),
        )
        parts = [slicer(image), *(detect_whole() if slicing.whole else [])]
    merged: Any = supervision.Detections.merge(parts)
    boxes, scores, labels = merged.xyxy.astype(np.float32), merged.confidence, merged.class_id
    # What ends at the border of a tile, inside the image, may be a part: whole objects come first.
    cut = (merged.data[_TOUCHING] & ~_touches(boxes, (height, width))).any(1) if len(boxes) else np.zeros(0, bool)
    apart = np.zeros_like(labels) if thresholds.class_agnostic else labels
    kept = np.arange(len(boxes)) if fits else _without_parts(boxes, scores + ~cut, apart)
    kept = kept[np.argsort(-scores[kept], kind='stable')][: most or thresholds.max_detections]
    names = engine.info.class_names
    return Detections(boxes[kept], scores[kept], labels[kept], names, (height, width), path)


def _without_parts(boxes: np.ndarray, rank: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Greedy suppression of each label by itself, one box against the rest at a time: there may be 100,000.

    Returns:
        Indices of the boxes that share at most `_SHARED` with none of a higher rank that is kept.
    """
    kept: list[int] = []
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    for label in np.unique(labels):
        left = np.flatnonzero(labels == label)
        left = left[np.argsort(-rank[left], kind='stable')]
        while len(left):
            best, left = left[0], left[1:]
            kept.append(int(best))
            low, high = np.maximum(boxes[best, :2], boxes[left, :2]), np.minimum(boxes[best, 2:], boxes[left, 2:])
            shared = np.prod(np.maximum(high - low, 0), axis=1)
            left = left[shared <= _SHARED * np.minimum(areas[best], areas[left])]
    return np.array(kept, int)


def _touches(boxes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Whether the sides of boxes [N, 4] xyxy lie at those of an image of (height, width) pixels, bool [N, 4]."""
    return np.concatenate([boxes[:, :2] <= _BORDER, boxes[:, 2:] >= np.array(size[::-1]) - _BORDER], 1)
