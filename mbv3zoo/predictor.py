"""From sources to detections: read, letterbox, batch, run the detector, map boxes back."""

import json
import os
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from mbv3zoo.atomic import atomic_write
from mbv3zoo.data.letterbox import Letterbox
from mbv3zoo.data.sources import expand_source
from mbv3zoo.detections import Detections
from mbv3zoo.folders import check_new_folder
from mbv3zoo.images import read_image
from mbv3zoo.models.modes import evaluation_mode


@dataclass(frozen=True)
class _Settings:
    score_thresh: float
    iou_thresh: float
    max_detections: int
    batch_size: int
    image_size: tuple[int, int]


@dataclass(frozen=True)
class _Picture:
    """One item on its way through: either its letterboxed pixels or the reason there are none."""

    path: str | None
    letterbox: Letterbox | None = None
    pixels: Tensor | None = None
    error: str | None = None


def predict(
    detector: nn.Module,
    source: Any,
    *,
    score_thresh: float = 0.25,
    iou_thresh: float = 0.45,
    max_detections: int = 300,
    batch_size: int = 8,
    image_size: int | tuple[int, int] | None = None,
) -> Detections | list[Detections]:
    """Finds objects in one picture or in many.

    The detector runs in evaluation mode and without gradients; its training flags are as before afterwards.

    Args:
        detector: a detector; its `config` says the image size, the input channels and the class names.
        source: what `mbv3zoo.data.sources.expand_source` takes: a path, PIL image, array or tensor for one
            picture; a list of those, a directory, a glob pattern or a batch for many.
        score_thresh: detections scored lower are dropped, 0..1.
        iou_thresh: of two boxes of a class that overlap more than this, the lower scored is dropped, 0..1.
        max_detections: the most detections kept for one picture.
        batch_size: how many pictures are read and run at a time.
        image_size: side, or (height, width), in pixels that pictures are letterboxed to; the detector's own
            when left out.

    Returns:
        `Detections` in pixels of the original picture for one picture; for many a list in the order of the
        source and of its length. A file among many that cannot be read is named in a warning, and its place
        holds empty `Detections` whose `error` says why.

    Raises:
        ValueError: if a single picture cannot be read, an array or tensor is not an image, there are no
            pictures, or a setting is out of range.
    """
    settings = _settings(detector, score_thresh, iou_thresh, max_detections, batch_size, image_size)
    items, is_single = expand_source(source)
    found = list(_run(detector, items, settings, raise_unreadable=is_single))
    return found[0] if is_single else found


def iter_predict(
    detector: nn.Module,
    source: Any,
    *,
    score_thresh: float = 0.25,
    iou_thresh: float = 0.45,
    max_detections: int = 300,
    batch_size: int = 8,
    image_size: int | tuple[int, int] | None = None,
) -> Iterator[Detections]:
    """Like `predict`, but yields the `Detections` of one picture after the other, in order.

    Pictures are read a batch at a time, so that any number of them fits in memory. Settings and the source
    are checked at once, before the first picture is asked for. A single picture is yielded alone.
    """
    settings = _settings(detector, score_thresh, iou_thresh, max_detections, batch_size, image_size)
    items, is_single = expand_source(source)
    return _run(detector, items, settings, raise_unreadable=is_single)


def _settings(
    detector: nn.Module,
    score_thresh: float,
    iou_thresh: float,
    max_detections: int,
    batch_size: int,
    image_size: int | tuple[int, int] | None,
) -> _Settings:
    for name, value in (('score_thresh', score_thresh), ('iou_thresh', iou_thresh)):
        if not 0 <= value <= 1:
            raise ValueError(f'{name} is {value}; expected a number in 0..1')
    for name, value in (('max_detections', max_detections), ('batch_size', batch_size)):
        if value < 1:
            raise ValueError(f'{name} is {value}; expected at least 1')
    if image_size is None:
        image_size = detector.config.image_size
    elif isinstance(image_size, int):
        image_size = (image_size, image_size)
    return _Settings(score_thresh, iou_thresh, max_detections, batch_size, tuple(image_size))


def _run(detector: nn.Module, items: list[Any], settings: _Settings, raise_unreadable: bool) -> Iterator[Detections]:
    config = detector.config
    for start in range(0, len(items), settings.batch_size):
        batch = items[start : start + settings.batch_size]
        pictures = [_read(item, config.in_chans, settings.image_size, raise_unreadable) for item in batch]
        readable = [picture.pixels for picture in pictures if picture.error is None]
        kept = iter(_detect(detector, torch.stack(readable), settings) if readable else ())
        for picture in pictures:
            if picture.error is not None:
                yield Detections.empty(config.class_names, path=picture.path, error=picture.error)
                continue
            boxes, scores, labels = next(kept)
            yield Detections(
                boxes=picture.letterbox.boxes_to_original(boxes),
                scores=scores,
                labels=labels,
                class_names=config.class_names,
                image_size=picture.letterbox.original,
                path=picture.path,
            )


def _read(item: Any, in_chans: int, image_size: tuple[int, int], raise_unreadable: bool) -> _Picture:
    path = os.fspath(item) if isinstance(item, (str, os.PathLike)) else None
    try:
        pixels = read_image(item, channels=in_chans)
    except ValueError as error:
        # A damaged file is an accident in a large folder. An array of the wrong kind, or files for a detector
        # that does not take colours, are mistakes of the caller that every further item would repeat.
        in_file = isinstance(item, (str, os.PathLike, Image.Image)) and in_chans in (1, 3)
        if raise_unreadable or not in_file:
            raise
        warnings.warn(f'{error}; its detections are empty', stacklevel=2)
        return _Picture(path, error=str(error))
    letterbox = Letterbox.fit(pixels.shape[:2], image_size)
    return _Picture(path, letterbox, letterbox.apply(torch.from_numpy(pixels).permute(2, 0, 1)))


def _detect(detector: nn.Module, pixels: Tensor, settings: _Settings) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Boxes (xyxy, letterbox pixels), scores and labels of each picture of uint8 [B, C, H, W], on the CPU."""
    # The detector's device and type; one without weights or buffers runs on the CPU.
    weight = next(
        (part for part in chain(detector.parameters(), detector.buffers()) if part.is_floating_point()),
        torch.zeros(0),
    )
    with evaluation_mode(detector), torch.inference_mode():
        images = (pixels.to(weight.device).float() / 255).to(weight.dtype)
        kept = detector.postprocess(
            detector(images),
            score_thresh=settings.score_thresh,
            iou_thresh=settings.iou_thresh,
            max_detections=settings.max_detections,
        )
    # Cloned out here, the results are ordinary tensors that may be changed and used in autograd.
    return [tuple(part.cpu().clone() for part in parts) for parts in kept]


def write_predictions(detector: nn.Module, source: Any, out: str | Path, **settings: Any) -> Iterator[str]:
    """Predicts, writes each picture with its boxes and one `predictions.json`, and tells of each picture in a line.

    Args:
        detector, source, **settings: As for `predict`.
        out: Folder for the results; must not exist yet, or be empty.

    Yields:
        For each picture what was found in it; last, where everything is.

    Raises:
        ValueError: As `predict`, or the folder is in use.
    """
    out = Path(out)
    check_new_folder(out)
    found = iter_predict(detector, source, **settings)
    out.mkdir(parents=True, exist_ok=True)
    rows = []
    for detections in found:
        row = detections.to_dict()
        if detections.error is None:
            # Two folders may hold pictures of one name.
            name = _next_name(out, Path(detections.path).stem)
            detections.draw().save(out / name, quality=92)
            row['drawn'] = name
        rows.append(row)
        yield f'{detections.path}: {detections.error or _count_by_name(detections)}'
    atomic_write(out / 'predictions.json', (json.dumps(rows, indent=2) + '\n').encode('utf-8'))
    yield f'{len(rows)} pictures; results in {out}'


def _count_by_name(detections: Detections) -> str:
    counts = Counter(detections.names)
    return ', '.join(f'{number} {name}' for name, number in counts.most_common()) or 'nothing found'


def _next_name(folder: Path, stem: str) -> str:
    """The first of stem.jpg, stem-2.jpg, ... that is free in a folder."""
    names = chain([f'{stem}.jpg'], (f'{stem}-{i}.jpg' for i in count(2)))
    return next(name for name in names if not (folder / name).exists())
