"""From a budget to a fitted model: made narrower, saved, trained, timed anew. After each a stopped fit can go on."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mbv3zoo.config.fit_record import FitRecord
from mbv3zoo.config.training import TrainConfig
from mbv3zoo.data.naming import dataset_name
from mbv3zoo.fitting.budget import NotReached
from mbv3zoo.model import Model
from mbv3zoo.saving.folder import PICTURE_NAME
from mbv3zoo.training.recipes import AUTO, NONE, read_recipe
from mbv3zoo.training.run_yaml import CONFIG_NAME
from mbv3zoo.training.train import TrainResult, resume_training, train
from mbv3zoo.utils.atomic import atomic_write

if TYPE_CHECKING:
    from mbv3zoo.fitting.fitter import Fitter

_logger = logging.getLogger(__name__)

_COMMAND = 'mbv3zoo fit'
# In the folder of a fitted model: the narrower model before training, the run that trains it, the model that was
# fitted, where it came as an object, and an empty file when all is done.
NARROWED, _RUN, _UNFITTED, _DONE = 'fit/narrowed', 'fit/train', 'fit/unfitted', 'fit/done'
# Learning rate, relative to that of a training from the start (docs/fit.md).
LR_SHARE = 0.1
# Where input sizes are tried, and for which share of the epochs.
SIZES, _TRIED = 'fit/sizes', 0.1


@dataclass(frozen=True)
class FitResult:
    """A fitted model.

    Attributes:
        model: The model; a `Detector` or a `Segmenter`.
        folder: Where it is saved.
        record: What it was fitted to, what it takes, and its AP or mIoU before and after: its `config.fit`.

    Example:
        >>> result = mbv3zoo.fit('mbv3_yolo_small.synth', 'data.yaml', speedup=1.2, image_size=96, epochs=0)
        >>> result.model.config.backbone, result.record.measure
        ('narrowed', 'AP')
    """

    model: Any
    folder: Path
    record: FitRecord


class Job(NamedTuple):
    """What the fits of a family have in common.

    Attributes:
        data: Where the data is: arguments of `mbv3zoo.train`.
        training: How to train: further arguments of it.
        teacher: Name or path of the model that is fitted; None where it came as an object.
    """

    data: dict[str, Any]
    training: dict[str, Any]
    teacher: str | None


def fit_to(milliseconds: float, fitters: Sequence[Fitter], folder: Path, job: Job) -> FitResult:
    """Fits to one budget, or goes on where a fit was stopped.

    Args:
        milliseconds: Most milliseconds of a call.
        fitters: Have the model, each at another input size, its own first.
        folder: Folder of the fitted model.
        job: Data, training and teacher.

    Raises:
        NotReached: The budget is not reached.
    """
    if (folder / _DONE).exists():
        _logger.info('%s is fitted already', folder)
        return _result(folder)
    narrowed = folder / NARROWED
    if not narrowed.exists():
        _narrow(milliseconds, fitters, folder, job).save_pretrained(narrowed, card_data={'command': _COMMAND})
    model = Model.from_pretrained(narrowed)
    record = model.config.fit
    assert record is not None
    _logger.info(
        'narrower: %.2f ms, before %.2f ms; %s %.3f, before %.3f',
        record.measured_ms, record.before_ms, record.measure, record.quality_narrowed, record.quality_before,
    )  # fmt: skip
    card_data: dict[str, Any] = {'command': _COMMAND}
    picture = None
    if job.training['epochs']:
        result = _train(narrowed, folder / _RUN, job, _usual(fitters[0].model, folder, job))
        model = result.detector
        record = fitters[0].finish(model, record, result.metrics.score)
        card_data |= {'metrics': result.metrics, 'dataset': dataset_name(job.data['data']), 'split': 'val'}
        picture = (result.folder / 'best' / PICTURE_NAME).read_bytes()
    model.config = model.config.model_copy(update={'fit': record})
    model.save_pretrained(folder, card_data=card_data, picture=picture)
    atomic_write(folder / _DONE, b'')
    return _result(folder)


def _narrow(milliseconds: float, fitters: Sequence[Fitter], folder: Path, job: Job) -> Model:
    """The narrower model; of several input sizes, that which is best after a short training."""
    able = [fitter for fitter in fitters if fitter.smallest_ms <= milliseconds]
    if len(able) == 1:
        return able[0].narrow(milliseconds)
    epochs, found, missed = job.training['epochs'], [], None
    for fitter in able:
        place = folder / SIZES / 'x'.join(map(str, fitter.model.config.image_size))
        if not (place / 'narrowed').exists():
            try:
                narrowed = fitter.narrow(milliseconds)
            except NotReached as error:
                _logger.info('input %s: %s', place.name, error)
                missed = error
                continue
            narrowed.save_pretrained(place / 'narrowed', card_data={'command': _COMMAND})
        model = Model.from_pretrained(place / 'narrowed')
        assert model.config.fit is not None
        quality = model.config.fit.quality_narrowed or 0.0
        if epochs:
            short = job._replace(training={**job.training, 'epochs': math.ceil(epochs * _TRIED)})
            usual = _usual(fitters[0].model, folder, short)
            quality = _train(place / 'narrowed', place / 'train', short, usual).metrics.score
        _logger.info('input %s: %s %.3f', place.name, model.config.fit.measure, quality)
        found.append((quality, model))
    if missed and not found:
        raise missed
    return max(found, key=lambda each: each[0])[1]


def _result(folder: Path) -> FitResult:
    model: Any = Model.from_pretrained(folder)
    return FitResult(model, folder, model.config.fit)


def _train(narrowed: Path, run: Path, job: Job, usual: dict[str, Any]) -> TrainResult:
    if (run / CONFIG_NAME).exists():
        return resume_training(run, device=job.training['device'])
    return train(**job.data, model=narrowed, pretrained=True, out=run, **{**usual, **job.training})


def _usual(model: Model, folder: Path, job: Job) -> dict[str, Any]:
    """Settings of the training that a fit has by default: a detector learns from the one that it was made from."""
    usual = _usual_lr(job.training)
    if model.config.task != 'detection':
        return usual
    teacher = job.teacher
    if teacher is None and 'teacher' not in job.training:
        if not (folder / _UNFITTED).exists():
            model.save_pretrained(folder / _UNFITTED)
        teacher = str(folder / _UNFITTED)
    return {**usual, 'anchors': 'keep', 'teacher': teacher}


def _usual_lr(training: Mapping[str, Any]) -> dict[str, float]:
    """What was left of trained weights is not to be learned anew: a part of the optimizer's usual learning rate."""
    recipe = training.get('recipe')
    named = {} if recipe in (None, AUTO, NONE) else read_recipe(str(recipe)).settings
    given = {**named, **training}
    if 'lr' in given:
        return {}
    optimizer = {name: value for name, value in given.items() if name == 'optimizer'}
    return {'lr': TrainConfig.parse(optimizer).lr * LR_SHARE}
