"""A training run from its settings: data, detector, trainer. And how to resume one."""

from __future__ import annotations

from pathlib import Path
from typing import Unpack

import torch
import yaml

from mbv3zoo.config.training import DataConfig, RunConfig
from mbv3zoo.create import create_detector
from mbv3zoo.data.hub_dataset import PREFIX as HUB_PREFIX
from mbv3zoo.data.load import load_dataset
from mbv3zoo.data.records import DetectionSet
from mbv3zoo.evaluation.metrics import Metrics
from mbv3zoo.licenses import trained_on
from mbv3zoo.saving.config import read_folder_config
from mbv3zoo.training.anchor_fit import choose_anchors
from mbv3zoo.training.checkpoint import STATE_NAME
from mbv3zoo.training.settings import TrainSettings
from mbv3zoo.training.trainer import Trainer
from mbv3zoo.utils.atomic import atomic_write
from mbv3zoo.utils.folders import check_new_folder
from mbv3zoo.utils.yaml import read_mapping
from mbv3zoo.zoo.resolve import resolve

CONFIG_NAME = 'run.yaml'


def run_config(
    data: str | Path,
    *,
    model: str | Path | None,
    pretrained: bool,
    image_size: int | tuple[int, int] | None,
    val_data: str | Path | None,
    images: str | Path | None,
    data_license: str | None,
    **settings: Unpack[TrainSettings],
) -> RunConfig:
    """The settings of a run from the arguments of `mbv3zoo.train`, which explains them.

    Raises:
        ValueError: A setting is unknown or out of range; the message names it.
    """
    places = {'data': data, 'val_data': val_data, 'images': images}
    texts = {key: None if place is None else str(place) for key, place in places.items()}
    return RunConfig.parse(
        {
            **({} if model is None else {'model': str(model)}),
            'pretrained': pretrained,
            'image_size': image_size,
            'data': {**texts, 'license': data_license},
            'train': settings,
        }
    )


def start(config: RunConfig, run: str | Path) -> Metrics | None:
    """Trains a detector for a dataset's classes.

    Args:
        config: What to train, on what, how.
        run: Folder of the run; must not exist yet, or be empty.

    Returns:
        The last evaluation.

    Raises:
        ValueError: The folder is in use, or model or data are missing or do not fit.
        TrainingDiverged: The loss is no longer finite.
        TrainingStopped: Data or disk failed; the last checkpoint is kept.
    """
    run = Path(run)
    check_new_folder(run)
    trainer = _trainer(config, run, resume=False)
    run.mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump(_with_absolute_paths(config).model_dump(mode='json'), sort_keys=False)
    atomic_write(run / CONFIG_NAME, text.encode('utf-8'))
    return trainer.fit()


def resume(run: str | Path) -> Metrics | None:
    """Goes on with a run that was stopped, from its last whole epoch; what was lost is trained again.

    Raises:
        ValueError: The folder holds no run, or a damaged one.
    """
    run = Path(run)
    path = run / CONFIG_NAME
    if not path.is_file():
        raise ValueError(f'{run}: no run to resume; {CONFIG_NAME} is not there')
    config = RunConfig.parse(read_mapping(path), path)
    return _trainer(config, run, resume=True).fit()


def preview(config: RunConfig, path: str | Path) -> None:
    """Draws 16 training images as they would be trained on, with their boxes, and trains nothing.

    Args:
        config: As for `start`.
        path: The PNG to write; its folder is made.

    Raises:
        ValueError: Model or data are missing or do not fit.
    """
    path = Path(path)
    _trainer(config, path.parent, resume=False).preview(path)


def load_data(config: DataConfig) -> tuple[DetectionSet, DetectionSet]:
    """The training and the validation set."""
    if config.data.endswith('.json') and not config.val_data:
        raise ValueError(f'{config.data} is one split; name the COCO .json of the validation split too')
    return (
        load_dataset(config.data, 'train', config.images),
        load_dataset(config.val_data or config.data, 'val', config.images),
    )


def _with_absolute_paths(config: RunConfig) -> RunConfig:
    # A run may be resumed from another working folder than it was started from.
    paths = {key: _absolute(value) for key, value in config.data if value is not None and key != 'license'}
    place = resolve(config.model).path
    model = config.model if place is None else str(place.resolve())
    return config.model_copy(update={'model': model, 'data': config.data.model_copy(update=paths)})


def _absolute(source: str) -> str:
    prefix = HUB_PREFIX if source.startswith(HUB_PREFIX) else ''
    place = source.removeprefix(prefix)
    return source if prefix and not Path(place).is_dir() else prefix + str(Path(place).resolve())


def _dataset_name(source: str) -> str:
    if source.startswith(HUB_PREFIX):
        return source.removeprefix(HUB_PREFIX)
    path = Path(source)
    return path.parent.name if path.name == 'data.yaml' else path.stem


def _trainer(config: RunConfig, run: Path, resume: bool) -> Trainer:
    train_set, val_set = load_data(config.data)
    torch.manual_seed(config.train.seed)  # the first weights are drawn too
    going_on = resume and (run / STATE_NAME).exists()
    detector = create_detector(
        config.model,
        pretrained=config.pretrained and not going_on,
        class_names=train_set.class_names,
        image_size=config.image_size,
    )
    given = detector.config
    assert not isinstance(given.anchors, int)  # the network has replaced a number by the default anchors
    before = read_folder_config(run / 'last').licenses if going_on else given.licenses
    name = _dataset_name(config.data.data)
    detector.config = given.model_copy(update={'licenses': trained_on(before, name, config.data.license)})
    detector.set_anchors(
        choose_anchors(train_set, given.image_size, given.anchors, config.train.anchors, config.train.anchor_ratio)
    )
    card_data = {'dataset': name, 'split': 'val', 'train': config.train, 'command': 'mbv3zoo train'}
    return Trainer(detector, train_set, val_set, config.train, run, resume, card_data)
