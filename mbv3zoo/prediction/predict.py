"""From sources to what is found: read, letterbox, batch, run the model, map its results back."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict

import numpy as np

from mbv3zoo.detections import Detections
from mbv3zoo.detections.classes import class_indices
from mbv3zoo.detections.found import remember
from mbv3zoo.detections.segmentation import Segmentation
from mbv3zoo.images.opening import pixel_limit
from mbv3zoo.images.reader import Picture, read_pictures
from mbv3zoo.images.sources import expand_source
from mbv3zoo.images.tiles import Slicing, read_slicing
from mbv3zoo.models.postprocess.thresholds import Thresholds
from mbv3zoo.prediction.engine import Engine, as_engine, check_detects, find, finds_labels, input_size
from mbv3zoo.prediction.slicing import find_sliced
from mbv3zoo.utils.sizes import images_per_batch
from mbv3zoo.utils.text import printable

if TYPE_CHECKING:
    from mbv3zoo.models.base_network import ModelNetwork

# The options that cut images, where they are not cut.
_WHOLE = {'slice': None, 'overlap': None, 'slice_only': False}


class FrameOptions(TypedDict, total=False):
    """The keyword arguments of `predict`, which has the defaults, but for the batch size: videos have their own."""

    score_thresh: float | None
    iou_thresh: float | None
    max_detections: int | None
    classes: str | int | Iterable[str | int] | None
    agnostic_nms: bool
    image_size: int | tuple[int, int] | None


class PredictOptions(FrameOptions, total=False):
    """The keyword arguments of `predict`, which has the defaults."""

    batch_size: int
    max_pixels: int | None
    slice: int | tuple[int, int] | None
    overlap: float | None
    slice_only: bool


class _Settings(NamedTuple):
    thresholds: Thresholds
    batch_size: int
    image_size: tuple[int, int]
    max_pixels: int
    slicing: Slicing | None


def predict(
    detector: ModelNetwork | Engine,
    source: Any,
    *,
    score_thresh: float | None = None,
    iou_thresh: float | None = None,
    max_detections: int | None = None,
    classes: str | int | Iterable[str | int] | None = None,
    agnostic_nms: bool = False,
    batch_size: int = 8,
    image_size: int | tuple[int, int] | None = None,
    max_pixels: int | None = None,
    slice: int | tuple[int, int] | None = None,
    overlap: float | None = None,
    slice_only: bool = False,
) -> Any:
    """Finds objects, or the class of every pixel, in one image or in many.

    A torch model runs in eval mode and without gradients, whatever its training flags are; they stay as they are.
    Several threads may predict with one detector at once, also while another one trains it.

    Args:
        detector: a `Detector` or `Segmenter`; its `config` says the image size, the input channels and the class
            names. Or an `Engine`, such as an exported detector.
        source: what `mbv3zoo.images.sources.expand_source` takes: a path, PIL image, array or tensor for one
            image; a list of those, a directory, a glob pattern or a batch for many.
        score_thresh: detections with a lower score are dropped, 0..1; the default of this and the next two is in
            `mbv3zoo.models.postprocess.thresholds`.
        iou_thresh: of two boxes of a class with a larger IoU, the one with the lower score is dropped, 0..1.
        max_detections: the most detections kept per image. An exported graph with NMS inside has its own thresholds
            in place of these three.
        classes: names or indices of the classes to find, or one of them; all by default. Others are dropped before
            `max_detections` is applied.
        agnostic_nms: whether boxes of different classes suppress each other too, so that an object has one box. An
            exported graph with NMS inside keeps the classes apart, and refuses it.
        batch_size: images per batch, 1..65536; fewer run at once where they would have more than 8192 x 8192 pixels in
            all, or, with more than 128 classes, too many logits, which makes no difference to what is found.
        image_size: side, or (height, width), in pixels that images are letterboxed to, 32..8192; the detector's own by
            default.
        max_pixels: the most pixels (width x height) of an image file, which is refused above it before it is decoded;
            by default `mbv3zoo.images.opening.MAX_PIXELS`. Images in memory may have more.
        slice: side, or (height, width), in pixels of tiles that images are cut into, 32..8192; each is letterboxed to
            `image_size`, so that small objects are seen. Needs supervision. By default images are not cut.
        overlap: fraction of a tile that the next one has too, 0 and above, below 1; 0.2 by default. An object should
            fit into it.
        slice_only: whether the whole image is not looked at besides; objects larger than a tile are lost then.

    Returns:
        `Detections` in pixels of the original image, or a segmenter's `Segmentation` of its size, for one image; for
        many a list in the order of the source. A file among many that cannot be read gives a warning and an empty one
        whose `error` says why.

    Raises:
        ValueError: if a single image cannot be read, an array or tensor is not an image, there are no
            images, a class is unknown (the nearest are named), a setting is out of range, or one of detectors is given
            to a segmenter.
    """
    engine = as_engine(detector)
    options = score_thresh, iou_thresh, max_detections, classes, agnostic_nms, batch_size, image_size, max_pixels
    slicing = {'slice': slice, 'overlap': overlap, 'slice_only': slice_only}
    settings = _settings(engine, *options, slicing=slicing)
    items, is_single = expand_source(source)
    found = list(_run(engine, items, settings, raise_unreadable=is_single))
    if not is_single:
        return found
    if found[0].path is None:
        remember(found[0], items[0])
    return found[0]


def iter_predict(
    detector: ModelNetwork | Engine,
    source: Any,
    *,
    score_thresh: float | None = None,
    iou_thresh: float | None = None,
    max_detections: int | None = None,
    classes: str | int | Iterable[str | int] | None = None,
    agnostic_nms: bool = False,
    batch_size: int = 8,
    image_size: int | tuple[int, int] | None = None,
    max_pixels: int | None = None,
    slice: int | tuple[int, int] | None = None,
    overlap: float | None = None,
    slice_only: bool = False,
) -> Iterator[Any]:
    """Like `predict`, but yields what is found in one image after the other, in order.

    Threads read a few batches ahead, so any number of images fits in memory. Settings and the source are checked
    immediately, before the first image is requested.
    """
    engine = as_engine(detector)
    options = score_thresh, iou_thresh, max_detections, classes, agnostic_nms, batch_size, image_size, max_pixels
    slicing = {'slice': slice, 'overlap': overlap, 'slice_only': slice_only}
    settings = _settings(engine, *options, slicing=slicing)
    items, is_single = expand_source(source)
    return _run(engine, items, settings, raise_unreadable=is_single)


def _settings(
    engine: Engine,
    score_thresh: float | None,
    iou_thresh: float | None,
    max_detections: int | None,
    classes: str | int | Iterable[str | int] | None,
    agnostic_nms: bool,
    batch_size: int,
    image_size: int | tuple[int, int] | None,
    max_pixels: int | None,
    slicing: dict[str, Any],
) -> _Settings:
    given: dict[str, Any] = {'score_thresh': score_thresh, 'iou_thresh': iou_thresh, 'max_detections': max_detections}
    if agnostic_nms:
        given['class_agnostic'] = True
    if classes is not None:
        given['classes'] = tuple(class_indices(classes, engine.info.class_names))
    given = {name: value for name, value in given.items() if value is not None}
    of_detectors = ['agnostic_nms' if name == 'class_agnostic' else name for name in given]
    cut = {name: value for name, value in slicing.items() if value != _WHOLE[name]}
    check_detects(engine, [*of_detectors, *cut])
    thresholds = replace(engine.thresholds, **given)
    size = input_size(engine, image_size)
    batch_size = images_per_batch(batch_size, size, len(engine.info.class_names))
    return _Settings(thresholds, batch_size, size, pixel_limit(max_pixels), read_slicing(**cut) if cut else None)


def _run(engine: Engine, items: list[Any], settings: _Settings, raise_unreadable: bool) -> Iterator[Any]:
    if settings.slicing is not None:
        yield from _run_sliced(engine, items, settings, settings.slicing, raise_unreadable)
        return
    info, size = engine.info, settings.batch_size
    kind = Segmentation if finds_labels(engine) else Detections
    pictures = read_pictures(items, info.in_chans, settings.image_size, 2 * size, raise_unreadable, settings.max_pixels)
    while batch := list(islice(pictures, size)):
        readable = [picture.pixels for picture in batch if picture.pixels is not None]
        places = [(picture.letterbox, picture.path) for picture in batch if picture.letterbox is not None]
        results = find(engine, np.stack(readable), places, settings.thresholds) if readable else iter(())
        for picture in batch:
            found = next(results) if picture.pixels is not None else _unread(kind, picture, info.class_names)
            yield found.torch() if engine.tensors and isinstance(found, Detections) else found


def _run_sliced(
    engine: Engine, items: list[Any], settings: _Settings, slicing: Slicing, raise_unreadable: bool
) -> Iterator[Any]:
    place = (settings.image_size, settings.batch_size, settings.thresholds, settings.max_pixels)
    for found in find_sliced(engine, items, slicing, *place, raise_unreadable):
        own = _unread(Detections, found, engine.info.class_names) if isinstance(found, Picture) else found
        yield own.torch() if engine.tensors else own


def _unread(kind: Any, picture: Picture, names: tuple[str, ...]) -> Any:
    warnings.warn(f'{printable(str(picture.error))}; its result is empty', stacklevel=3)
    return kind.empty(names, path=picture.path, error=picture.error)
