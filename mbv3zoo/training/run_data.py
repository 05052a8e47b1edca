"""The data of a run: its training and its validation set, which `val_share` divides, and the record of that."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

from mbv3zoo.config.model import Task
from mbv3zoo.config.training import DataConfig, TrainConfig
from mbv3zoo.data.coco_layout import is_coco
from mbv3zoo.data.detection_set import DetectionSet
from mbv3zoo.data.hub_dataset import check_installed
from mbv3zoo.data.load import is_hub, load_dataset, load_listed, picture_root, undivided
from mbv3zoo.data.masks import MaskSet
from mbv3zoo.data.share import picture_names, split_dataset
from mbv3zoo.data.tiles import cut_into_tiles
from mbv3zoo.images.tiles import Slicing, read_slicing
from mbv3zoo.training.progress import class_changes
from mbv3zoo.utils.atomic import atomic_write
from mbv3zoo.utils.yaml import read_mapping

_logger = logging.getLogger(__name__)

# The names of the validation images of a run that took them from its one split.
VAL_LIST = 'val.txt'
_OFFER = (
    'name the validation data with --val-data, keep a part of the pictures for it with --val-share 0.2, or divide them '
    'with mbv3zoo split'
)


def load_data(config: DataConfig, seed: int = 0, run: Path | None = None, task: Task = 'detection') -> tuple[Any, Any]:
    """The training and the validation set.

    Args:
        config: Where they are.
        seed: Draws the validation images, with `val_share`.
        run: Folder of a run that is resumed: its validation images stay what they were.
        task: Whether they have boxes or masks.

    Raises:
        ValueError: One is missing, or they have different classes; or `val_share` does not apply.
    """
    check_installed(config.data, config.val_data)
    _logger.info('reading the labels of %s', config.data)
    if config.val_share is not None:
        return _divided(config, config.val_share, seed, run, task)
    if not config.val_data:
        _check_has_validation(config.data, task)
    train_set = load_dataset(config.data, 'train', config.images, config.max_pixels, task)
    val_source = config.val_data or config.data
    val_set = load_dataset(val_source, 'val', config.val_images, config.max_pixels, task)
    # Before weights are fetched.
    if changes := class_changes(train_set.class_names, val_set.class_names):
        raise ValueError(f'{val_source}: the validation split has other classes than the training split ({changes})')
    return train_set, val_set


def _check_has_validation(source: str, task: Task) -> None:
    if is_coco(source):
        raise ValueError(
            f'{source} is one split; name the COCO .json of the validation split too, with --val-data, or keep a part '
            'of the pictures for it with --val-share 0.2'
        )
    if (name := undivided(source, task)) is not None:
        what = f'has no split to validate on, only {name!r}' if name else 'is one split, with none to validate on'
        raise ValueError(f'{source}: {what}; {_OFFER}')


def _divided(config: DataConfig, share: float, seed: int, run: Path | None, task: Task) -> tuple[Any, Any]:
    name = undivided(config.data, task)
    if name is None:
        raise ValueError(
            f'{config.data}: --val-share is for data of one split, and this has a validation split or none to train '
            'on; leave --val-share out, or name the training data alone'
        )
    if run is not None:
        return load_listed(config.data, run / VAL_LIST, config.images, config.max_pixels, task)
    data = load_dataset(config.data, name or 'train', config.images, config.max_pixels, task)
    try:
        train_set, val_set = split_dataset(data, share, seed)
    except ValueError as error:
        raise ValueError(f'{config.data}: {error}') from error
    _logger.info('%d pictures are trained on, %d are kept for validation', len(train_set), len(val_set))
    return train_set, val_set


def slicing_of(config: TrainConfig) -> Slicing | None:
    """How a run cuts its images into tiles; None where it does not.

    Raises:
        ImportError: supervision, which evaluates in tiles, is not installed.
    """
    return None if config.slice is None else read_slicing(config.slice, config.overlap, config.slice_only)


def cut(train_set: Any, config: TrainConfig) -> Any:
    """The training set as it is trained on: in tiles with `slice`, and else as it is."""
    slicing = slicing_of(config)
    if slicing is None:
        return train_set
    tiles = cut_into_tiles(train_set, slicing, config.seed)
    empty = int((tiles.records.starts.diff() == 0).sum())
    advice = '' if config.cache != 'no' else '; each decodes its picture, and --cache disk keeps them decoded'
    height, width = slicing.size
    _logger.info(
        '%d pictures are cut into %d tiles of %d x %d pixels, %d of them without objects%s',
        len(train_set), len(tiles), height, width, empty, advice,
    )  # fmt: skip
    return tiles


def write_val_list(config: DataConfig, val_set: DetectionSet | MaskSet, run: Path) -> None:
    """Writes the names of the validation images into the folder of a run with `val_share`."""
    names = picture_names(val_set, picture_root(config.data))
    atomic_write(run / VAL_LIST, ''.join(f'{name}\n' for name in sorted(names)).encode('utf-8'))


def validation_list(model: str | Path, data: str | Path) -> str | None:
    """The list of the images that a run kept for validation, given a detector of the run and the run's data.

    Args:
        model: A folder or file in the folder of a run, or anything else.
        data: What is to be evaluated on.

    Returns:
        The path of the list; None if this is no such run, or other data.
    """
    path = Path(os.path.abspath(model))
    for run in (path, *path.parents[:2]):
        if (run / VAL_LIST).is_file() and (run / 'run.yaml').is_file():
            own = (read_mapping(run / 'run.yaml').get('data') or {}).get('data')
            return str(run / VAL_LIST) if isinstance(own, str) and _is_same(own, str(data)) else None
    return None


def _is_same(own: str, given: str) -> bool:
    """Whether two names are of one dataset: a folder, say, and the data.yaml in it."""
    if is_hub(own) or is_hub(given) or (is_coco(own) and is_coco(given)):
        return own == given or os.path.realpath(own) == os.path.realpath(given)
    roots = [picture_root(source) for source in (own, given)]
    return os.path.realpath(str(roots[0])) == os.path.realpath(str(roots[1]))
