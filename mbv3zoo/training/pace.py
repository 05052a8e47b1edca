"""How long a run takes, and how many epochs fit into its time (`TrainConfig.minutes`)."""

from __future__ import annotations

from collections import deque
from time import monotonic
from typing import Annotated

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from mbv3zoo.config.base import Config
from mbv3zoo.config.training import TrainConfig

_PLOTS = 4.0  # seconds that the report takes besides its evaluation
_EVALUATION = 1 / 3  # of the time that training on as many images takes, as long as none is measured
# A plan is kept as long as it ends no later than this share of the time after its end: so the learning rate stays
# smooth, and its last epoch is trained.
_LATE, _LAST_LATE = 0.03, 0.1


class SavedPace(Config):
    """The part of a run's state that says how its time was used."""

    minutes: PositiveFloat
    """The time of the run that `epochs` are fitted to."""
    epochs: PositiveInt
    """Epochs that the run will have."""
    used: NonNegativeFloat
    """Seconds that the run has taken."""
    durations: Annotated[tuple[NonNegativeFloat, ...], Field(min_length=1)]
    """Seconds of the last epochs, with their evaluations."""
    evaluating: NonNegativeFloat
    """Seconds of an evaluation."""

    def last_epoch(self, epoch: int, config: TrainConfig) -> int:
        """The number of epochs that the run will have with these settings, when `epoch` are done."""
        if config.minutes == self.minutes:
            return min(self.epochs, config.epochs)
        return Pace(config, self).fitted(epoch, self.epochs, self.used)


class Pace:
    """Measures the epochs of a run.

    Args:
        config: How the run is trained.
        saved: What was measured before a run was resumed.

    Attributes:
        evaluating: Seconds of the last evaluation; 0 before the first.
    """

    def __init__(self, config: TrainConfig, saved: SavedPace | None = None) -> None:
        self.config = config
        self.evaluating = saved.evaluating if saved else 0.0
        # Of several evaluations, as epochs without one are shorter.
        self.durations = deque(saved.durations if saved else (), maxlen=max(5, 2 * config.eval_every))
        self.begin(used=saved.used if saved else 0.0)

    def begin(self, used: float = 0.0) -> None:
        """Starts the clock, `used` seconds after the run began."""
        self.last = monotonic()
        self.began = self.last - used

    def used(self) -> float:
        """Seconds that the run has taken."""
        return monotonic() - self.began

    def end_epoch(self) -> None:
        """Ends an epoch, and begins the next one."""
        now = monotonic()
        self.durations.append(now - self.last)
        self.last = now

    def left(self, epochs: int) -> float:
        """Seconds until a run ends that has so many epochs before it; needs an epoch that has ended."""
        return epochs * self._each() + self.evaluating + _PLOTS

    def plan_early(self, share: float, images: tuple[int, int]) -> int:
        """The number of epochs that a run will have, from a part of its first one.

        Args:
            share: Of the first epoch that is done, 0..1.
            images: Numbers of training and validation images.
        """
        training = (monotonic() - self.last) / share
        self.evaluating = training * _EVALUATION * images[1] / images[0]
        before = self.last - self.began
        return self.fitted(0, self.config.epochs, before, training + self.evaluating)

    def plan(self, epoch: int, planned: int) -> int:
        """The number of epochs that a run will have, after training in one and before its evaluation.

        Args:
            epoch: The one that was trained, from 1.
            planned: The number that was planned before.
        """
        if epoch >= planned:
            return planned  # the learning rate is at its end
        training = monotonic() - self.last
        each = self._each() if self.durations else training + self.evaluating
        return self.fitted(epoch, planned, self.used() + self.evaluating, each)

    def fitted(self, epoch: int, planned: int, used: float, each: float | None = None) -> int:
        """The number of epochs that a run will have when `epoch` of `planned` are done after `used` seconds."""
        if self.config.minutes is None:
            return self.config.epochs
        budget, each = 60 * self.config.minutes, max(self._each() if each is None else each, 1e-6)
        room = budget - self.evaluating - _PLOTS - used
        late = (planned - epoch) * each - room
        allowed = _LAST_LATE if planned == epoch + 1 else _LATE
        if not (planned > epoch and -each < late <= allowed * budget):
            planned = epoch + max(0, int(room / each))
        return min(max(planned, epoch, 1), self.config.epochs)

    def saved(self, epochs: int) -> SavedPace | None:
        """What a state holds of it, None without a time to fit into; `epochs` is the number that is planned."""
        if self.config.minutes is None:
            return None
        return SavedPace(
            minutes=self.config.minutes,
            epochs=epochs,
            used=self.used(),
            durations=tuple(self.durations),
            evaluating=self.evaluating,
        )

    def _each(self) -> float:
        return sum(self.durations) / len(self.durations)
