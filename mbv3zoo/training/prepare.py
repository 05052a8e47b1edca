"""What is checked and set before a training starts."""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator, DataLoaderConfiguration

from mbv3zoo.checks.dataset import quick_check
from mbv3zoo.config.model import ModelConfig
from mbv3zoo.config.presets import OPTIMIZERS
from mbv3zoo.config.training import TrainConfig
from mbv3zoo.data.boxes import MIN_SIDE
from mbv3zoo.data.detection_set import DetectionSet
from mbv3zoo.data.masks import MaskSet
from mbv3zoo.evaluation.run import check_classes
from mbv3zoo.model import Model
from mbv3zoo.models.dtypes import computes_bfloat16
from mbv3zoo.training.anchor_fit import are_targets
from mbv3zoo.training.devices import process_state
from mbv3zoo.training.trackers import tracker_names
from mbv3zoo.utils.files import file_digest

Labelled = DetectionSet | MaskSet

_logger = logging.getLogger(__name__)

# Share of the boxes that may be lost without a word, and most classes that are named.
_MOST_LOST, _SHOWN = 0.01, 10
# How many times the usual learning rate is told to be high.
_HIGH_LR = 10


def check_data(detector: Model, train_set: Labelled, val_set: Labelled | None) -> None:
    """Raises ValueError if the data does not fit the detector, or has nothing to learn.

    Warns where part of the boxes or classes cannot be learned, or the validation set tells nothing.
    """
    for data in (train_set, *([val_set] if val_set else [])):
        check_classes(detector, data)
    check_images(detector.config, train_set, val_set)


def check_images(config: ModelConfig, train_set: Labelled, val_set: Labelled | None) -> None:
    """As `check_data`, for a detector that has the classes of the data."""
    if config.in_chans not in (1, 3):
        raise ValueError(f'training reads RGB or grey pictures; the detector has in_chans={config.in_chans}')
    if isinstance(train_set, MaskSet):
        seen = {label for record in train_set.records for label in record.classes}
        _warn_of_unseen([name for label, name in enumerate(train_set.class_names) if label not in seen], train_set)
    else:
        _check_targets(train_set, config.image_size)
        for text in quick_check(train_set, config.image_size):
            _logger.warning('%s (mbv3zoo check shows where)', text)
    if val_set:
        _check_validation(train_set, val_set)


def _check_targets(data: DetectionSet, image_size: tuple[int, int]) -> None:
    """Refuses a training set without any box to learn, and warns of what is lost."""
    records = data.records
    targets = torch.bincount(records.labels[are_targets(data, image_size)], minlength=len(data.class_names))
    boxes, crowd = len(records.boxes), int(records.iscrowd.sum())
    small = boxes - crowd - int(targets.sum())
    size = f'{image_size[0]} x {image_size[1]}'
    reasons = {
        f'{crowd} are crowds or difficult': crowd,
        f'{small} have a side under {MIN_SIDE:g} pixels at the input size {size} (height x width)': small,
        f'{data.dropped} were dropped when they were read': data.dropped,
    }
    lost, why = sum(reasons.values()), ', '.join(reason for reason, count in reasons.items() if count)
    if not targets.any():
        hint = f'; {len(data.problems)} label problems, such as {data.problems[0]}' if data.problems else ''
        if not lost:
            advice = 'check the label files, or train a segmenter (mbv3_lraspp_small) where it has masks'
            raise ValueError(f'none of the {len(data)} training pictures has a label; {advice}{hint}')
        raise ValueError(f'none of the {lost} boxes of the training set can be trained on: {why}{hint}')
    share = lost / (boxes + data.dropped)
    if share > _MOST_LOST:
        _logger.warning('%.1f %% of the training boxes are not trained on: %s', 100 * share, why)
    unseen = [name for name, count in zip(data.class_names, targets.tolist(), strict=True) if not count]
    _warn_of_unseen(unseen, data)


def _warn_of_unseen(unseen: list[str], data: Labelled) -> None:
    if unseen:
        what = 'pixel' if isinstance(data, MaskSet) else 'box'
        shown = ', '.join(unseen[:_SHOWN]) + (f' and {len(unseen) - _SHOWN} more' if len(unseen) > _SHOWN else '')
        _logger.warning('%d of %d classes have no %s to train on: %s', len(unseen), len(data.class_names), what, shown)


def _check_validation(train_set: Labelled, val_set: Labelled) -> None:
    if isinstance(val_set, DetectionSet) and val_set.records.iscrowd.all():
        _logger.warning(
            'none of the %d validation images has an object that counts; AP will be undefined', len(val_set)
        )
    shared = _shared_images(train_set, val_set)
    if shared:
        _logger.warning(
            '%d of %d validation images are training images, such as %s; the figures will be too high for others',
            len(shared), len(val_set), shared[0],
        )  # fmt: skip


def _shared_images(train_set: Any, val_set: Any) -> list[Path]:
    """The validation images that are files of the training set, or have the bytes of one."""
    train_files, val_files = _files(train_set), _files(val_set)
    known = set(_places(train_files))
    shared = {file for file, place in zip(val_files, _places(val_files), strict=True) if place in known}
    alike = _by_size(train_files)
    # Few files have one size, so few are read.
    for size, files in _by_size(file for file in val_files if file not in shared).items():
        digests = {file_digest(Path(file)) for file in alike.get(size, ())}
        shared |= {file for file in files if digests and file_digest(Path(file)) in digests}
    return [Path(file) for file in val_files if file in shared]


def _files(data: Labelled) -> list[str]:
    return list(data.records.paths) if isinstance(data, DetectionSet) else [str(each.path) for each in data.records]


def _by_size(files: Iterable[str]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for file in files:
        with suppress(OSError):  # images of the Hub are no files
            found.setdefault(os.stat(file).st_size, []).append(file)
    return found


def _places(files: Iterable[str]) -> Iterator[tuple[str, str]]:
    """The real folder and the name of each file."""
    real = functools.lru_cache(maxsize=None)(os.path.realpath)
    return ((real(folder), name) for folder, name in map(os.path.split, files))


def warn_of_lr(config: TrainConfig) -> None:
    """Warns of a learning rate far above the usual one of its optimizer."""
    usual = usual_lr(config)
    if usual is not None and config.lr > _HIGH_LR * usual:
        _logger.warning(
            'lr is %g, and %g is usual for %s: the loss may become infinite', config.lr, usual, config.optimizer
        )


def usual_lr(config: TrainConfig) -> float | None:
    """The learning rate that the preset of an optimizer has; None for one without."""
    recipe = OPTIMIZERS.get(config.optimizer.lower())
    return recipe['lr'] if recipe else None


def prepare_backbone(detector: Model, config: TrainConfig) -> None:
    """Freezes the backbone, and turns gradient checkpointing on, as `config` says.

    Comes before optimizer and moving average are made: the one leaves out what is frozen, the other is a copy.

    Raises:
        ValueError: The backbone cannot do so.
    """
    if config.freeze_backbone:
        detector.freeze_backbone(config.freeze_backbone)
    if config.freeze_norm:
        detector.freeze_norm()
    if config.grad_checkpointing:
        detector.set_grad_checkpointing()


def create_accelerator(config: TrainConfig, run: Path) -> Accelerator:
    """accelerate's part of a run: devices, processes, precision, gradient accumulation and tracker.

    Args:
        config: How to train.
        run: Folder of the run, where the tracker writes.
    """
    # Before accelerate leaves out a tracker that is not installed.
    names = tracker_names(config.tracker)
    return Accelerator(
        mixed_precision=precision(config.mixed_precision, process_state().device),
        gradient_accumulation_steps=config.accumulate,
        dataloader_config=DataLoaderConfiguration(
            use_seedable_sampler=True,
            data_seed=config.seed,
            # Batches are in pinned memory there, so that the next one is copied while a GPU computes.
            non_blocking=torch.cuda.is_available(),
        ),
        log_with=names or None,
        project_dir=run,
    )


def precision(name: str, device: torch.device) -> str:
    """What `TrainConfig.mixed_precision` is on a device."""
    if name != 'auto':
        return name
    return 'bf16' if device.type == 'cuda' and computes_bfloat16(device) else 'no'
