"""Reads a dataset of any supported format."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, get_args

from mbv3zoo.config.model import Task
from mbv3zoo.data import hub_dataset
from mbv3zoo.data.coco_layout import is_coco
from mbv3zoo.data.hub_dataset import hub_splits, load_hub_dataset, load_hub_masks
from mbv3zoo.data.label_values import read_list
from mbv3zoo.data.layouts import Found, recognise, undivided_split
from mbv3zoo.data.share import split_by_names
from mbv3zoo.images.opening import pixel_limit
from mbv3zoo.utils.text import shown

_ACCEPTED = (
    'a YOLO data.yaml or obj.data, a COCO .json, a folder of a YOLO, COCO or Pascal VOC data set, or '
    "'hub:org/name' of a Hugging Face data set"
)

# Where a split need not be said.
DEFAULT_SPLIT = 'val'


def load_dataset(
    source: str | Path,
    split: str | Path,
    images: str | Path | None = None,
    max_pixels: int | None = None,
    task: Task = 'detection',
) -> Any:
    """Reads one split of a dataset.

    Args:
        source: One of

            * a YOLO data.yaml or Darknet's obj.data, or a folder that holds one;
            * a folder of images and YOLO label files with `classes.txt`, in any of the usual layouts;
            * a COCO .json, which is one split already, or a folder with `annotations/instances_<split>.json` (also
              `instances_<split>2017.json`, `<split>.json`), `<split>/_annotations.coco.json`, or one .json;
            * a Pascal VOC folder, or a folder of images and .xml files, or of split folders that hold these;
            * 'hub:org/name', 'hub:org/name@revision' or 'hub:folder', a Hugging Face dataset.
        split: 'train', 'val', ...; not used for data of one split, such as a COCO file. 'val' also finds 'valid',
            'validation' and 'dev'. Or the path of a run's `val.txt`: the images that it kept for validation.
        images: Folder of a COCO file's images, if they are in none of the usual places; for COCO only.
        max_pixels: Most pixels (width x height) of an image, 100 million by default. Those with more are left out, and
            told as a problem.
        task: 'segmentation' reads masks: `images/` and `masks/` (PNG, indexed or grey; docs/segmentation.md has all
            layouts), Pascal VOC's `SegmentationClass`, COCO's polygons and run lengths, a Hub dataset with a column of
            masks.

    Returns:
        A `DetectionSet`, or for 'segmentation' a `MaskSet`; both have `records`, `class_names`, `problems`, `draw`.

    Raises:
        ValueError: There is no such dataset, it is empty, or `images` is given for another format.
        ConnectionError: The Hub is needed and cannot be reached.

    Example:
        >>> data = mbv3zoo.load_dataset('data.yaml', 'val')
        >>> len(data), data.class_names[:3]
        (4, ('arrow', 'ball', 'bolt'))
    """
    if task not in get_args(Task):
        raise ValueError(f'task is {shown(task)}; expected one of {list(get_args(Task))}')
    if str(split).endswith('.txt') and os.path.isfile(split):
        return load_listed(source, Path(split), images, max_pixels, task)[1]
    split = str(split)
    limit = pixel_limit(max_pixels)
    if is_hub(source):
        _refuse_images(source, 'a data set of the Hub', images)
        return (load_hub_dataset if task == 'detection' else load_hub_masks)(str(source), split, limit)
    found = _recognised(source, task)
    if found.kind != 'COCO':
        _refuse_images(source, f'a {found.kind} data set', images)
    key = found.split(split)
    return found.read(split if key is None else key, images, limit)


def load_listed(
    source: str | Path,
    file: Path,
    images: str | Path | None = None,
    max_pixels: int | None = None,
    task: Task = 'detection',
) -> tuple[Any, Any]:
    """Divides a dataset by a list of the images to validate on, as runs with `val_share` write it.

    Returns:
        The training set, which has all that is not listed, and the validation set.

    Raises:
        ValueError: The list, the dataset or one of the listed images is missing.
    """
    if not file.is_file():
        raise ValueError(f'{file} is missing; expected the names of the validation pictures, so put it back')
    names = read_list(file)
    data = load_dataset(source, undivided(source, task) or 'train', images, max_pixels, task)
    train_set, val_set, lost = split_by_names(data, picture_root(source), names)
    if lost:
        raise ValueError(
            f'{file}: {len(lost)} of its {len(names)} pictures are not in {source}, such as {shown(lost[0])}; put them '
            'back, or take them out of the list'
        )
    if not train_set.records:
        raise ValueError(f'{file}: lists all pictures of {source}; expected some of them')
    return train_set, val_set


def dataset_splits(source: str | Path, task: Task = 'detection') -> tuple[str, ...]:
    """The names of a dataset's splits; '' is one without a name.

    Raises:
        ValueError: There is no such dataset.
    """
    return hub_splits(str(source)) if is_hub(source) else _recognised(source, task).splits


def picture_root(source: str | Path) -> Path | None:
    """The folder that names of images in lists are relative to; None is the one that holds all images."""
    if is_hub(source):
        return None
    return Path(source) if os.path.isdir(source) else Path(source).absolute().parent


def is_hub(source: str | Path) -> bool:
    """Whether a dataset is one of the Hub, or a folder in its format."""
    return str(source).startswith(hub_dataset.PREFIX)


def undivided(source: str | Path, task: Task = 'detection') -> str | None:
    """The split to train on of a dataset that has none for validation, '' if it has no name; None if it has one.

    Raises:
        ValueError: There is no such dataset.
    """
    return undivided_split(dataset_splits(source, task))


def _recognised(source: str | Path, task: Task) -> Found:
    # Unlike Path's own, this takes names that no file can have.
    if not os.path.exists(source):
        raise ValueError(f'{source}: no such data set file or folder; expected {_ACCEPTED}')
    return recognise(Path(source), task)


def load_split(
    source: str | Path,
    split: str | Path | None,
    images: str | Path | None = None,
    max_pixels: int | None = None,
    task: Task = 'detection',
) -> Any:
    """As `load_dataset`, for callers to whom a split need not be said.

    Args:
        source, images, max_pixels, task: As for `load_dataset`.
        split: The split, by default `DEFAULT_SPLIT`.

    Raises:
        ValueError: As `load_dataset`, or the file is a COCO .json, which is one split, and its name does not have the
            split that is asked for.
    """
    split = str(split) if isinstance(split, Path) else split
    if split is not None and not (isinstance(split, str) and split):
        raise ValueError(f'split is {shown(split)}; expected its name, such as {DEFAULT_SPLIT!r}')
    if not isinstance(source, (str, Path)) or not str(source):
        raise ValueError(f'data is {shown(source)}; expected a path, or hub: and a name')
    is_list = split is not None and split.endswith('.txt')
    if is_coco(source) and split not in (None, DEFAULT_SPLIT) and split not in Path(source).stem and not is_list:
        raise ValueError(
            f'{source}: a COCO .json is one split, and its name does not say that it is {split!r}; leave split out'
        )
    return load_dataset(source, DEFAULT_SPLIT if split is None else split, images, max_pixels, task)


def _refuse_images(source: str | Path, what: str, images: str | Path | None) -> None:
    if images is not None:
        raise ValueError(f'{source}: the folder of images {str(images)!r} is for COCO files, and this is {what}')
