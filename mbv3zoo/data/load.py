"""Reads a dataset of any supported format."""

from __future__ import annotations

import os
from pathlib import Path

from mbv3zoo.data import hub_dataset
from mbv3zoo.data.coco_layout import is_coco
from mbv3zoo.data.hub_dataset import load_hub_dataset
from mbv3zoo.data.layouts import recognise
from mbv3zoo.data.records import DetectionSet
from mbv3zoo.images.opening import pixel_limit
from mbv3zoo.utils.text import shown

_ACCEPTED = (
    'a YOLO data.yaml or obj.data, a COCO .json, a folder of a YOLO, COCO or Pascal VOC data set, or '
    "'hub:org/name' of a Hugging Face data set"
)

# Where a split need not be said.
DEFAULT_SPLIT = 'val'


def load_dataset(
    source: str | Path, split: str, images: str | Path | None = None, max_pixels: int | None = None
) -> DetectionSet:
    """Reads one split of a dataset.

    Args:
        source: One of

            * a YOLO data.yaml, or a folder that holds one;
            * a COCO .json, which is one split already, or a folder with `annotations/instances_<split>.json` (also
              `instances_<split>2017.json`, `<split>.json`) or `<split>/_annotations.coco.json`;
            * a Pascal VOC folder, or a folder of split folders that hold images and .xml files;
            * 'hub:org/name', 'hub:org/name@revision' or 'hub:folder', a Hugging Face dataset.
        split: 'train', 'val', ...; not used for a COCO file. 'val' also finds 'valid', 'validation' and 'dev'.
        images: Folder of a COCO file's images, if they are in none of the usual places; for COCO only.
        max_pixels: Most pixels (width x height) of an image, 100 million by default. Those with more are left out, and
            told as a problem.

    Raises:
        ValueError: There is no such dataset, it is empty, or `images` is given for another format.
        ConnectionError: The Hub is needed and cannot be reached.

    Example:
        >>> data = mbv3zoo.load_dataset('data.yaml', 'val')
        >>> len(data), data.class_names[:3]
        (4, ('arrow', 'ball', 'bolt'))
    """
    limit = pixel_limit(max_pixels)
    if str(source).startswith(hub_dataset.PREFIX):
        _refuse_images(source, 'a data set of the Hub', images)
        return load_hub_dataset(str(source), split, limit)
    source = Path(source)
    # Unlike Path's own, this takes names that no file can have.
    if not os.path.exists(source):
        raise ValueError(f'{source}: no such data set file or folder; expected {_ACCEPTED}')
    found = recognise(source)
    if found.kind != 'COCO':
        _refuse_images(source, f'a {found.kind} data set', images)
    key = found.split(split)
    return found.read(split if key is None else key, images, limit)


def load_split(
    source: str | Path, split: str | None, images: str | Path | None = None, max_pixels: int | None = None
) -> DetectionSet:
    """As `load_dataset`, for callers to whom a split need not be said.

    Args:
        source, images, max_pixels: As for `load_dataset`.
        split: The split, by default `DEFAULT_SPLIT`.

    Raises:
        ValueError: As `load_dataset`, or the file is a COCO .json, which is one split, and its name does not have the
            split that is asked for.
    """
    if split is not None and not (isinstance(split, str) and split):
        raise ValueError(f'split is {shown(split)}; expected its name, such as {DEFAULT_SPLIT!r}')
    if not isinstance(source, (str, Path)) or not str(source):
        raise ValueError(f'data is {shown(source)}; expected a path, or hub: and a name')
    if is_coco(source) and split not in (None, DEFAULT_SPLIT) and split not in Path(source).stem:
        raise ValueError(
            f'{source}: a COCO .json is one split, and its name does not say that it is {split!r}; leave split out'
        )
    return load_dataset(source, DEFAULT_SPLIT if split is None else split, images, max_pixels)


def _refuse_images(source: str | Path, what: str, images: str | Path | None) -> None:
    if images is not None:
        raise ValueError(f'{source}: the folder of images {str(images)!r} is for COCO files, and this is {what}')
