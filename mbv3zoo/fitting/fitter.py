"""Fits one model to budgets: what is prepared once for all of them, and the way from a budget to a fitted model."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from torch import nn

from mbv3zoo.config.fit_record import FitRecord
from mbv3zoo.config.training import TrainConfig
from mbv3zoo.create import MODELS
from mbv3zoo.data.loader import train_loader
from mbv3zoo.data.samples import TrainSamples
from mbv3zoo.evaluation.run import evaluate
from mbv3zoo.fitting.graph_timer import GraphTimer, Timing
from mbv3zoo.fitting.importance import Batch
from mbv3zoo.fitting.kept_times import KeptTimes
from mbv3zoo.fitting.latency_table import LatencyTable
from mbv3zoo.fitting.shrink import STAGES, Shrinker, Shrunk, Solver
from mbv3zoo.fitting.solve import solve
from mbv3zoo.model import Model
from mbv3zoo.runtimes.export_info import ExportInfo
from mbv3zoo.training.losses import create_loss
from mbv3zoo.utils.cores import cpu_name
from mbv3zoo.utils.packages import installed_version
from mbv3zoo.widths.rebuilt import narrowed_config

_logger = logging.getLogger(__name__)

# Images that importance and norms are found by.
_IMAGES, _BATCH = 128, 16
# Timings that differ by more are told.
_NOISE = 0.15
# Timings of a model that is to be within a budget, at most.
_TIMINGS = 3


class Target(NamedTuple):
    """Where a model is to run.

    Attributes:
        runtime: 'onnxruntime' or 'openvino'.
        threads: Threads per call; None leaves the number to the runtime.
        precision: 'float32' or 'int8'.
        pixels: For int8 gives the images to calibrate on, as for `mbv3zoo.fitting.graph_timer.GraphTimer`.
    """

    runtime: str
    threads: int | None
    precision: str
    pixels: Callable[[ExportInfo], Sequence[np.ndarray]] | None


class Fitter:
    """Makes narrower models of one.

    Args:
        model: The model, at the size that it will be run at; not changed.
        train_set, val_set: Labelled images of its classes.
        target: Where it is to run.
        whole: For the model at a smaller input, that of the same model at its own.

    Raises:
        ValueError: It computes something whose time is not known, as transformers do.

    Attributes:
        quality: AP or mIoU of the model, at its own input size.
        ms: Milliseconds that it takes, likewise.
    """

    timer: GraphTimer
    quality: float

    def __init__(self, model: Model, train_set: Any, val_set: Any, target: Target, whole: Fitter | None = None) -> None:
        self.model, self.val_set, self.target = model.eval(), val_set, target
        _logger.info('timing the model in %s, %d x %d', target.runtime, *model.config.image_size)
        self.timer = whole.timer if whole else GraphTimer(model, target.runtime, target.threads, target.pixels)
        self.ms = self.timer.ms
        table = LatencyTable(
            target.runtime,
            target.threads,
            target.precision == 'int8',
            KeptTimes(target.runtime, target.threads, target.precision),
        )
        config = TrainConfig(batch_size=_BATCH, workers=0, mosaic=0.0, mixup=0.0)
        self._shrinker = Shrinker(model, table, self.timer, _loss(config), _batches(model, train_set, config))
        self.quality = whole.quality if whole else self._measure(model)

    @property
    def smallest_ms(self) -> float:
        """About the least milliseconds that can be reached."""
        return self._shrinker.smallest * self.ms

    def narrow(self, milliseconds: float, stages: int = STAGES, choose: Solver = solve) -> Model:
        """A narrower model that takes at most so many milliseconds, not trained yet; its `config.fit` says more.

        Args:
            milliseconds: The most that it may take.
            stages, choose: As for `mbv3zoo.fitting.shrink.Shrinker.shrink`.

        Raises:
            NotReached: None was found.
        """
        found = self._shrinker.shrink(milliseconds / self.ms, stages, choose)
        model = self._rebuild(found)
        timing = found.timing if found.timing.ms <= milliseconds else self._time(model, milliseconds)
        record = FitRecord(
            image_size=model.config.image_size,
            budget_ms=milliseconds,
            predicted_ms=found.predicted * timing.first_ms,
            **_times(timing),
            runtime=f'{self.target.runtime} {installed_version(self.target.runtime)}',
            machine=cpu_name(),
            threads=self.target.threads,
            precision=self.target.precision,
            measure='AP' if model.config.task == 'detection' else 'mIoU',
            quality_before=self.quality,
            quality_narrowed=self._measure(model),
            quality_after=None,
        )
        model.config = model.config.model_copy(update={'fit': record})
        return model

    def finish(self, model: Model, record: FitRecord, quality: float) -> FitRecord:
        """The record of a model that was trained, timed anew."""
        timing = self._time(model, record.budget_ms)
        if timing.spread > _NOISE:
            _logger.warning(
                'the turns of the timing differ by %.0f %% on this machine: the budget holds only that well',
                100 * timing.spread,
            )
        if timing.ms > record.budget_ms:
            _logger.warning(
                'it takes %.2f ms now, more than %.2f: this machine is slower than it was, as the model before takes '
                '%.2f ms where it took %.2f',
                timing.ms, record.budget_ms, timing.first_ms, self.ms,
            )  # fmt: skip
        # What was predicted is a share of the model before, which may be slower or faster now.
        predicted = record.predicted_ms / record.before_ms * timing.first_ms
        return record.model_copy(update={**_times(timing), 'predicted_ms': predicted, 'quality_after': quality})

    def _time(self, model: Model, milliseconds: float) -> Timing:
        """The best of a few timings: what disturbs a machine for seconds only makes it slower."""
        timings: list[Timing] = []
        while len(timings) < _TIMINGS and not (timings and timings[-1].ms <= milliseconds):
            timings.append(self.timer.time(model))
        return min(timings)

    def _measure(self, model: Model) -> float:
        return evaluate(model, self.val_set).score

    def _rebuild(self, found: Shrunk) -> Model:
        """The narrower network as a model that its config builds."""
        config = narrowed_config(self.model.config, self._shrinker.found.groups, found.units)
        kind: Any = MODELS[config.task]
        model = kind(config)
        model.load_state_dict(found.network.state_dict())
        return model.eval()


def _times(timing: Timing) -> dict[str, float]:
    return {'measured_ms': timing.ms, 'before_ms': timing.first_ms, 'spread': timing.spread}


def _loss(config: TrainConfig) -> Callable[[Any], nn.Module]:
    return lambda network: create_loss(network, config)


def _batches(model: Model, train_set: Any, config: TrainConfig) -> list[Batch]:
    samples = TrainSamples(train_set, model.config.image_size, config, model.config.in_chans)
    loader = iter(train_loader(samples, config))
    return list(itertools.islice(loader, _IMAGES // config.batch_size))
