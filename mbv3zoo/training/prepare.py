"""What is checked and set before a training starts."""

from __future__ import annotations

from pathlib import Path

from accelerate import Accelerator, DataLoaderConfiguration

from mbv3zoo.config.training import TrainConfig
from mbv3zoo.data.records import DetectionSet
from mbv3zoo.detector import Detector
from mbv3zoo.evaluation.run import check_classes


def check_data(detector: Detector, train_set: DetectionSet, val_set: DetectionSet | None) -> None:
    """Raises ValueError if the data does not fit the detector, or has nothing to learn."""
    for data in filter(None, (train_set, val_set)):
        check_classes(detector, data)
    if not any(len(record.boxes) for record in train_set.records):
        raise ValueError(f'none of the {len(train_set)} training pictures has a label; check the label files')
    if detector.config.in_chans not in (1, 3):
        raise ValueError(f'training reads RGB or grey pictures; the detector has in_chans={detector.config.in_chans}')


def prepare_backbone(detector: Detector, config: TrainConfig) -> None:
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

    Raises:
        ValueError: The tracker's package is not installed.
    """
    accelerator = Accelerator(
        mixed_precision=config.mixed_precision,
        gradient_accumulation_steps=config.accumulate,
        dataloader_config=DataLoaderConfiguration(use_seedable_sampler=True, data_seed=config.seed),
        log_with=config.tracker,
        project_dir=run,
    )
    if config.tracker and not accelerator.log_with:
        raise ValueError(f'tracker {config.tracker!r}: its package is not installed; pip install {config.tracker}')
    return accelerator
