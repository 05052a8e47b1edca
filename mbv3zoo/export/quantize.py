"""int8 files: post-training static quantisation, calibrated on images."""

from __future__ import annotations

import random
import threading
import warnings
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import numpy as np

from mbv3zoo.data.load import load_dataset
from mbv3zoo.images.reader import read_pictures
from mbv3zoo.images.sources import expand_source
from mbv3zoo.runtimes.export_info import ExportInfo
from mbv3zoo.runtimes.table import FORMATS, format_of

# Images to read ahead.
_AHEAD = 8
_quantizing = threading.Lock()


def quantize(path: str | Path, info: ExportInfo, pixels: Sequence[np.ndarray]) -> None:
    """Replaces an exported float file by its int8 version.

    Weights have one scale per channel, feature maps one scale each. Some layers stay in float: see
    `mbv3zoo.export.float_layers.float_layers`.

    Args:
        path: The float file, .onnx, or .xml with its .bin beside it; it gives raw maps.
        info: Its record; the int8 file gets it with `precision` 'int8'.
        pixels: Images to calibrate on, letterboxed to `info.image_size`: uint8 [1, C, H, W] each. A few hundred.

    Raises:
        ValueError: There are no images, one has another size or type, or the format has no int8.
        ImportError: A package is not installed.
    """
    path = Path(path)
    file_format = format_of(path)
    if 'int8' not in file_format.precisions:
        able = ' or '.join(row.suffix for row in FORMATS.values() if 'int8' in row.precisions)
        raise ValueError(f'{path}: {file_format.name} files cannot be int8; expected {able}')
    if info.outputs != 'maps':
        raise ValueError(f'{path}: a graph that suppresses inside cannot be int8; export it without nms')
    file_format.check_installed('int8')
    _check(info, pixels)
    info = info.model_copy(update={'precision': 'int8'})
    batches = _batches(info, pixels)
    # One at a time: they change loggers and standard output for a while, which are the whole process's.
    with _quantizing:
        import_module(f'mbv3zoo.export.quantize_{file_format.name}').quantize(path, info, batches)


def calibration_pixels(
    data: str | Path, split: str, info: ExportInfo, count: int = 300, seed: int = 0
) -> list[np.ndarray]:
    """Reads images to calibrate on.

    Args:
        data: A dataset as of `mbv3zoo.data.load.load_dataset`, or a folder of images.
        split: Split of the dataset that is taken where it has no 'train'.
        info: Record of the graph: number of channels and image size.
        count: Largest number of images; they are drawn at random.
        seed: Seed of the draw.

    Returns:
        uint8 [1, C, H, W] each, letterboxed to `info.image_size`.

    Raises:
        ValueError: There are no images.

    Warns:
        UserWarning: Some cannot be read, and are left out.
    """
    items = _named_files(data, split, info)
    chosen = sorted(random.Random(seed).sample(range(len(items)), min(count, len(items))))
    pictures = read_pictures([items[i] for i in chosen], info.in_chans, info.image_size, _AHEAD, raise_unreadable=False)
    found, errors = [], []
    for picture in pictures:
        if picture.pixels is None:
            errors.append(picture.error)
        else:
            found.append(picture.pixels[None])
    if not found:
        raise ValueError(f'{data}: no picture of it can be read; expected pictures to calibrate on')
    if errors:
        warnings.warn(
            f'{data}: {len(errors)} of {len(chosen)} images are left out of the calibration: {errors[0]}', stacklevel=2
        )
    return found


def _named_files(data: str | Path, split: str, info: ExportInfo) -> list[Path | str]:
    """Images of a dataset, or of a folder."""
    errors = []
    # Not those that AP may be measured on, where there are others.
    for name in dict.fromkeys(('train', split)):
        try:
            return [record.path for record in load_dataset(data, name, task=info.task).records]
        except ValueError as error:
            errors.append(error)
    try:
        return expand_source(str(data))[0]
    except ValueError:
        raise ValueError(
            f'{data}: expected a data set or a folder of pictures to calibrate on: {errors[-1]}'
        ) from errors[-1]


def _check(info: ExportInfo, pixels: Sequence[np.ndarray]) -> None:
    expected = (1, info.in_chans, *info.image_size)
    if not len(pixels):
        raise ValueError('there are no pictures to calibrate on; give at least one, better a few hundred')
    for index, picture in enumerate(pixels):
        if picture.shape != expected or picture.dtype != np.uint8:
            raise ValueError(
                f'picture {index} of the calibration is {picture.dtype} {picture.shape}; expected uint8 {expected}, '
                "letterboxed to the file's image_size"
            )


def _batches(info: ExportInfo, pixels: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Batches as the graph takes them; the last one is padded with its last image."""
    size = 1 if info.dynamic else info.batch_size
    chunks = [pixels[start : start + size] for start in range(0, len(pixels), size)]
    chunks = [[*chunk, *[chunk[-1]] * (size - len(chunk))] for chunk in chunks]
    return [np.concatenate(chunk).astype(info.input_dtype, copy=False) for chunk in chunks]
