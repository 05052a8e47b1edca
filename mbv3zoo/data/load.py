"""Reads a dataset of any supported format."""

from __future__ import annotations

import os
from pathlib import Path

from mbv3zoo.data import hub_dataset
from mbv3zoo.data.coco import load_coco
from mbv3zoo.data.coco_layout import find_coco, is_coco
from mbv3zoo.data.hub_dataset import load_hub_dataset
from mbv3zoo.data.records import DetectionSet, find_split
from mbv3zoo.data.voc import is_voc, load_voc
from mbv3zoo.data.yolo import load_yolo
from mbv3zoo.images.opening import pixel_limit
from mbv3zoo.utils.text import shown

_COCO_IN_SPLIT = '_annotations.coco.json'
_ACCEPTED = (
    'a YOLO data.yaml or the folder that holds one, a COCO .json, a folder with annotations/instances_<split>.json or '
    '<split>/_annotations.coco.json, a Pascal VOC folder (Annotations/, or <split>/ with pictures and .xml), or '
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
    # Unlike Path's own, these take names that no file can have.
    if os.path.isdir(source):
        return _load_folder(source, split, images, limit)
    if not os.path.isfile(source):
        raise ValueError(f'{source}: no such data set file or folder; expected {_ACCEPTED}')
    if is_coco(source):
        return load_coco(source, images, limit)
    _refuse_images(source, 'a YOLO data set', images)
    return load_yolo(source, split, limit)


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


def _load_folder(folder: Path, split: str, images: str | Path | None, max_pixels: int) -> DetectionSet:
    # A data.yaml goes first, as it describes the folder.
    if (folder / 'data.yaml').is_file():
        _refuse_images(folder, 'a YOLO data set', images)
        return load_yolo(folder / 'data.yaml', split, max_pixels)
    coco = {path.parent.name: path for path in sorted(folder.glob(f'*/{_COCO_IN_SPLIT}'))}
    if coco:
        key = find_split(split, coco)
        if key is None:
            raise ValueError(f'{folder}: has no split {split!r}; folders in it with {_COCO_IN_SPLIT} are {list(coco)}')
        return load_coco(coco[key], images or coco[key].parent, max_pixels)
    own = find_coco(folder, split)
    if own is not None:
        return load_coco(own, images, max_pixels)
    if is_voc(folder):
        _refuse_images(folder, 'a Pascal VOC data set', images)
        return load_voc(folder, split, max_pixels)
    raise ValueError(f'{folder / "data.yaml"}: no such data set file, nor another data set; expected {_ACCEPTED}')


def _refuse_images(source: str | Path, what: str, images: str | Path | None) -> None:
    if images is not None:
        raise ValueError(f'{source}: the folder of images {str(images)!r} is for COCO files, and this is {what}')
