"""A training run from its settings: data, detector, trainer. And how to resume one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from time import monotonic
from typing import Any, Unpack

import torch

from mbv3zoo.config.model import ModelConfig
from mbv3zoo.config.tasks import KINDS, TRAIN_SETTINGS
from mbv3zoo.config.training import RunConfig
from mbv3zoo.create import MODELS, create_model
from mbv3zoo.data.hub_dataset import PREFIX as HUB_PREFIX
from mbv3zoo.data.naming import dataset_name
from mbv3zoo.data.samples import TrainSamples
from mbv3zoo.detector import Detector
from mbv3zoo.evaluation.metrics import Metrics
from mbv3zoo.licenses import trained_on, weights_license
from mbv3zoo.model import Model
from mbv3zoo.training.anchor_fit import choose_anchors
from mbv3zoo.training.checkpoint import STATE_NAME
from mbv3zoo.training.devices import process_state
from mbv3zoo.training.failures import telling_interruptions
from mbv3zoo.training.prepare import check_images
from mbv3zoo.training.preview import draw_preview, preview_file
from mbv3zoo.training.progress import Progress, changed_config, check_class_names, finished
from mbv3zoo.training.recipes import AUTO, NONE, Recipe, Start, choose_recipe, read_recipe
from mbv3zoo.training.results import is_reported
from mbv3zoo.training.run_data import cut, load_data, write_val_list
from mbv3zoo.training.run_folder import put_run_right, resumed_run
from mbv3zoo.training.run_yaml import CONFIG_NAME, read_run_config, write_run_config
from mbv3zoo.training.settings import TrainSettings
from mbv3zoo.training.state_checks import saved_detector_config
from mbv3zoo.training.teacher import Teacher
from mbv3zoo.training.trackers import tracker_names
from mbv3zoo.training.trainer import Trainer
from mbv3zoo.utils.folders import check_new_folder
from mbv3zoo.zoo.resolve import resolve

_logger = logging.getLogger(__name__)


def run_config(
    data: str | Path,
    *,
    model: str | Path | None,
    pretrained: bool | None,
    image_size: int | tuple[int, int] | None,
    val_data: str | Path | None,
    images: str | Path | None,
    data_license: str | None,
    recipe: str | Path | None = None,
    val_images: str | Path | None = None,
    val_share: float | None = None,
    max_pixels: int | None = None,
    **settings: Unpack[TrainSettings],
) -> RunConfig:
    """The settings of a run from the arguments of `mbv3zoo.train`, which explains them.

    Raises:
        ValueError: A setting is unknown or out of range; the message names it.
    """
    _check_task(model, settings)
    places = {'data': data, 'val_data': val_data, 'images': images, 'val_images': val_images}
    texts = {key: None if place is None else str(place) for key, place in places.items()}
    config = RunConfig.parse(
        {
            **({} if model is None else {'model': str(model)}),
            'pretrained': pretrained,
            'image_size': image_size,
            **({} if recipe is None else {'recipe': str(recipe)}),
            'data': {**texts, 'val_share': val_share, 'max_pixels': max_pixels, 'license': data_license},
            'train': settings,
        }
    )
    return config if config.recipe in (AUTO, NONE) else _with_recipe(config, read_recipe(config.recipe))


def _check_task(model: str | Path | None, settings: Mapping[str, Any]) -> None:
    """Refuses settings of the loss, anchors or augmentation that a model of another task has no use for."""
    of_task = {task: names & settings.keys() for task, names in TRAIN_SETTINGS.items()}
    if not any(of_task.values()):
        return
    task = resolve(model or RunConfig.model_fields['model'].default).read_config().task
    useless = sorted(name for other, names in of_task.items() if other != task for name in names)
    if useless:
        raise ValueError(f'{", ".join(useless)}: without effect on a {KINDS[task]}; leave it out')


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
    began, run = monotonic(), Path(run)
    check_new_folder(run)
    config = _decided(config)
    with telling_interruptions('interrupted before the training began; there is nothing to resume'):
        trainer = _trainer(config, run, resume=False)
    config = config.model_copy(update={'train': trainer.config})
    _logger.info('training starts from %s', _first_weights(config, trainer.learner.kept.config))
    run.mkdir(parents=True, exist_ok=True)
    if config.data.val_share is not None and trainer.val_set:
        write_val_list(config.data, trainer.val_set, run)
    write_run_config(_with_absolute_paths(config), run)
    trainer.pace.begin(used=monotonic() - began)
    return trainer.fit()


def resume(
    run: str | Path,
    *,
    epochs: int | None = None,
    minutes: float | None = None,
    patience: int | None = None,
    workers: int | None = None,
    threads: int | None = None,
    cache: str | None = None,
    tell: Callable[[str], object] = _logger.info,
) -> Metrics | None:
    """Goes on with a run that was stopped, from its last whole epoch; what was lost is trained again.

    Args:
        run: Folder of the run.
        epochs, minutes, patience, workers, threads, cache: As for `mbv3zoo.resume_training`.
        tell: Gets one line if the run is finished.

    Returns:
        The last evaluation; None if the run is finished, and nothing is written.

    Raises:
        ValueError: The folder holds no run, or a damaged one; another process trains it; a setting or the data does
            not fit.
    """
    began, run = monotonic(), Path(run)
    put_run_right(run)
    before, progress = read_run_config(run), Progress.read(run)
    if progress.epoch > before.train.epochs:
        raise ValueError(
            f'{run / CONFIG_NAME}: train.epochs is {before.train.epochs}, but {progress.epoch} are done according to '
            f'{STATE_NAME}; expected at least as many'
        )
    changes: dict[str, Any] = {'epochs': epochs, 'minutes': minutes, 'patience': patience}
    changes |= {'workers': workers, 'threads': threads, 'cache': cache}
    config = changed_config(before, changes, progress, run)
    if (reason := finished(run, config.train, progress)) and is_reported(run):
        tell(reason)
        return None
    with resumed_run(run):
        with telling_interruptions(f'interrupted before the training went on; {run} is as it was'):
            trainer = _trainer(config, run, resume=True)
        _logger.info('%s goes on after epoch %d of %d', run, trainer.epoch, trainer.last_epoch)
        if config != before and trainer.accelerator.is_main_process:
            write_run_config(config, run)
        trainer.pace.begin(used=(progress.pace.used if progress.pace else 0.0) + monotonic() - began)
        return trainer.fit()


def preview(config: RunConfig, path: str | Path) -> Path:
    """Draws 16 training images as they would be trained on, with their boxes, and trains nothing.

    Args:
        config: As for `start`; another seed draws other images.
        path: The PNG to write, or a folder for a `train_batch.png`; its folder is made, and what exists is kept.

    Returns:
        The file that was written.

    Raises:
        ValueError: Model or data are missing or do not fit, or the file is no PNG.
    """
    path = preview_file(path)
    task = resolve(config.model).read_config().task
    train_set, val_set = load_data(config.data, config.train.seed, task=task)
    train_set = cut(train_set, config.train)
    # Without weights: none are read or fetched for it.
    detector = create_model(
        config.model, class_names=train_set.class_names, image_size=config.image_size, device='meta'
    )
    check_images(detector.config, train_set, val_set)
    settings = config.train.model_copy(update={'cache': 'no'})
    samples = TrainSamples(train_set, detector.config.image_size, settings, detector.config.in_chans)
    draw_preview(samples, train_set.class_names, path)
    return path


def _decided(config: RunConfig) -> RunConfig:
    """The config with `pretrained` said: a saved detector brings its weights, others start from random ones."""
    if config.pretrained is not None:
        return config
    return config.model_copy(update={'pretrained': resolve(config.model).is_saved})


def _with_recipe(config: RunConfig, recipe: Recipe) -> RunConfig:
    return config.model_copy(update={'train': config.train.with_defaults(recipe.settings)})


def _start(config: RunConfig) -> Start:
    """What a training starts from."""
    if not _decided(config).pretrained:
        return 'nothing'
    return 'model' if resolve(config.model).is_saved else 'backbone'


def _first_weights(config: RunConfig, detector: ModelConfig) -> str:
    """The weights that a training starts from, for the log."""
    start = _start(config)
    if start == 'model':
        return f'the weights of {config.model}'
    if start == 'backbone':
        return f'pretrained weights of the backbone {detector.backbone}, and random ones of neck and head'
    return f'random weights, not from those of {config.model}' if resolve(config.model).is_saved else 'random weights'


def _with_absolute_paths(config: RunConfig) -> RunConfig:
    # A run may be resumed from another working folder than it was started from.
    paths = {key: _absolute(value) for key, value in config.data if isinstance(value, str) and key != 'license'}
    place = resolve(config.model).path
    model = config.model if place is None else str(place.resolve())
    train = config.train
    if train.teacher is not None and Path(train.teacher).exists():
        train = train.model_copy(update={'teacher': str(Path(train.teacher).resolve())})
    return config.model_copy(update={'model': model, 'data': config.data.model_copy(update=paths), 'train': train})


def _absolute(source: str) -> str:
    prefix = HUB_PREFIX if source.startswith(HUB_PREFIX) else ''
    place = source.removeprefix(prefix)
    return source if prefix and not Path(place).is_dir() else prefix + str(Path(place).resolve())


def _trainer(config: RunConfig, run: Path, resume: bool) -> Trainer:
    tracker_names(config.train.tracker)  # before data is read
    resumed = resume and (run / STATE_NAME).exists()
    task = (saved_detector_config(run) if resumed else resolve(config.model).read_config()).task
    # The first process of each machine keeps what it read of a large set, where the others find it.
    with process_state().local_main_process_first():
        train_set, val_set = load_data(config.data, config.train.seed, run if resume else None, task)
    train_set = cut(train_set, config.train)
    may_choose = config.recipe == AUTO and not resume
    if may_choose and (chosen := choose_recipe(config.train, len(train_set), _start(config), task)):
        recipe, reason = chosen
        before, config = config, _with_recipe(config, recipe)
        if config != before:
            told = ', '.join(f'{name} {getattr(config.train, name)}' for name in recipe.settings)
            _logger.info('recipe %s (%s), as %s; --recipe none takes the usual settings', recipe.name, told, reason)
    torch.manual_seed(config.train.seed)  # the first weights are drawn too
    if resumed:
        # Classes and anchors belong to the weights, whatever data and model have become since.
        own: Any = saved_detector_config(run)
        check_class_names(run, own.class_names, train_set.class_names)
        kind: Any = MODELS[task]
        detector = kind(own)
    else:
        detector = _new_detector(config, train_set)
    name = dataset_name(config.data.data)
    licenses = trained_on(detector.config.licenses, name, config.data.license)
    teacher = None
    if config.train.teacher is not None:
        teacher = Teacher(config.train.teacher, detector.config, detector.strides)
        licenses = trained_on(licenses, f'teacher {config.train.teacher}', weights_license(teacher.licenses))
    detector.config = detector.config.model_copy(update={'licenses': licenses})
    card_data = {'dataset': name, 'split': 'val', 'train': config.train, 'command': 'mbv3zoo train'}
    return Trainer(detector, train_set, val_set, config.train, run, resume, card_data, teacher)


def _new_detector(config: RunConfig, train_set: Any) -> Model:
    """The detector that a training starts with, for the dataset's classes and with anchors for its boxes."""
    detector = create_model(
        config.model,
        pretrained=bool(_decided(config).pretrained),
        class_names=train_set.class_names,
        image_size=config.image_size,
    )
    if not isinstance(detector, Detector):
        return detector
    given = detector.config
    assert not isinstance(given.anchors, int)  # the network has replaced a number by the default anchors
    detector.set_anchors(
        choose_anchors(train_set, given.image_size, given.anchors, config.train.anchors, config.train.anchor_ratio)
    )
    return detector
