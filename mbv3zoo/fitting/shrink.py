"""Makes a network narrower in a few steps, until it is measured to be as fast as it should be."""

from __future__ import annotations

import copy
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from mbv3zoo.fitting.budget import NotReached
from mbv3zoo.fitting.graph_timer import GraphTimer, Timing
from mbv3zoo.fitting.importance import Batch, taylor_importance
from mbv3zoo.fitting.latency_table import LatencyTable
from mbv3zoo.fitting.recalibrate import recalibrate, with_norms_of
from mbv3zoo.fitting.solve import solve
from mbv3zoo.fitting.time_model import TimeModel
from mbv3zoo.models.base_network import ModelNetwork
from mbv3zoo.utils.progress import bar
from mbv3zoo.widths.channel_groups import find_groups
from mbv3zoo.widths.narrow import narrow
from mbv3zoo.widths.records import ChannelGroup, Groups

_logger = logging.getLogger(__name__)

# Share of a layer's units that stays at least.
_LEAST = 0.1
# A step is aimed at a little less than the time, as timings scatter, and the result may be this much faster.
_AIM, _SLACK = 0.985, 0.94
_CORRECTIONS = 4
# Steps in which a network comes to its time; after each, norms and importance are found anew.
STAGES = 3

Solver = Callable[..., dict[str, int]]


class Shrunk(NamedTuple):
    """A network that was made narrower.

    Attributes:
        network: The network.
        units: Units that are left of each group.
        predicted: What its time was predicted to be, as a share of that which is compared with, before it was measured.
        timing: What it was measured to be.
    """

    network: ModelNetwork
    units: dict[str, int]
    predicted: float
    timing: Timing


class _Start:
    """A network that narrower ones are made of, and what is found of it once for all of them.

    Args:
        shrinker: Has the loss and the images.
        network: The network.
        units: Units of each of its groups.
        norms: The network with the mean and variance that its norms have on the images.
    """

    def __init__(
        self, shrinker: Shrinker, network: ModelNetwork, units: Mapping[str, int], norms: ModelNetwork
    ) -> None:
        self.shrinker, self.network, self.units, self.norms = shrinker, network, units, norms

    @cached_property
    def groups(self) -> Sequence[ChannelGroup]:
        return trace(self.network).groups

    @cached_property
    def importance(self) -> dict[str, np.ndarray]:
        loss = self.shrinker.make_loss(self.network)
        return taylor_importance(self.network, self.groups, loss, self.shrinker.batches)

    def narrowed(self, units: Mapping[str, int]) -> _Start:
        """One with so many units, those that are worth most."""
        kept = {group.name: _best(self.importance[group.name], units[group.name]) for group in self.groups}
        network, norms = copy.deepcopy(self.network), copy.deepcopy(self.norms)
        for narrower in (norms, network):
            narrow(narrower, self.groups, kept)
        return _Start(self.shrinker, network, units, recalibrate(network, norms, self.shrinker.images))


class Shrinker:
    """Makes a network narrower.

    Args:
        network: The network, in evaluation mode; it is not changed.
        table: What units cost.
        timer: Times whole networks against this one.
        make_loss: Gives the loss of training of a network.
        batches: Images, uint8 [B, C, H, W], and their targets, to find importance and norms by.

    Attributes:
        start: The network's time, as a share of that which the timer compares with: less than 1 at a smaller input.
    """

    def __init__(
        self,
        network: ModelNetwork,
        table: LatencyTable,
        timer: GraphTimer,
        make_loss: Callable[[ModelNetwork], nn.Module],
        batches: Sequence[Batch],
    ) -> None:
        self.network, self.timer, self.make_loss, self.batches = network, timer, make_loss, batches
        self.images = [images for images, _ in batches]
        self.found = trace(network)
        _check_known(network, self.found)
        self.model = TimeModel(self.found, table)
        self.start = 1.0 if timer.first is network else timer.time(network).relative
        # Points of (the table's time, the measured one), as shares of this network's: they correct the table.
        self._points: list[tuple[float, float]] = []
        units = self.model.measured_units()
        with bar(len(units), 'timing layers', True, 'layers') as progress:
            table.fill(units, progress.update)
        self.whole = self.model.total(self.model.full)

    @cached_property
    def _unchanged(self) -> _Start:
        return _Start(self, self.network, self.model.full, with_norms_of(self.network, self.images))

    @property
    def smallest(self) -> float:
        """The least time that can be reached, as the table has it, as a share of that which the timer compares with."""
        nothing = {group.name: np.zeros(group.units) for group in self.found.groups}
        units = solve(self.model, self._groups(), nothing, 0.0, self._least(), self.model.full)
        return self.start * self.model.total(units) / self.whole

    def shrink(self, share: float, stages: int = STAGES, choose: Solver = solve) -> Shrunk:
        """A narrower network whose measured time is at most a share of that which the timer compares with.

        Args:
            share: The time to come to; the network stays as it is where it is as fast already.
            stages: Steps to come there in.
            choose: Which units go: `solve`, or another function with its arguments.

        Raises:
            NotReached: No network that was found is so fast.
        """
        if self.start <= share:
            return Shrunk(self.network, dict(self.model.full), self.start, self.timer.time(self.network))
        start = self._unchanged
        for stage in range(1, stages):
            start, *_ = self._step(start, self.start * (share / self.start) ** (stage / stages), choose)
        tries = self._try(start, share, choose)
        # The widest that is fast enough: a timing that was disturbed makes the next one narrower than it need be.
        enough = [found for found in tries if found.timing.relative <= share]
        if not enough:
            best = min((found.timing for found in tries), key=lambda timing: timing.relative)
            raise NotReached(
                f'the narrowest network that was found takes {best.ms:.2f} ms, {best.relative:.2f} of the time before; '
                f'expected at most {share:.2f} of it'
            )
        return max(enough, key=lambda found: found.timing.relative)

    def _try(self, start: _Start, share: float, choose: Solver) -> list[Shrunk]:
        """The last step, until a network is fast enough and not much too narrow, or there were enough tries."""
        tries: list[Shrunk] = []
        aim = share
        while len(tries) <= _CORRECTIONS:
            aim *= _AIM
            found, predicted, timing = self._step(start, aim, choose)
            tries.append(Shrunk(found.network, dict(found.units), predicted, timing))
            if timing.relative <= share:
                aim = share
                if timing.relative >= _SLACK * share:
                    break
        return tries

    def _step(self, start: _Start, share: float, choose: Solver) -> tuple[_Start, float, Timing]:
        """Goes on from a network to one that is predicted to take a share of the time that is compared with."""
        milliseconds = self._from_measured(share / self.start) * self.whole
        units = choose(self.model, self._groups(), start.importance, milliseconds, self._least(), start.units)
        found = start.narrowed(units)
        of_table = self.model.total(units) / self.whole
        predicted = self._to_measured(of_table) * self.start
        timing = self.timer.time(found.network)
        self._points.append((of_table, timing.relative / self.start))
        _logger.info(
            '%.2f ms of %.2f, %.2f of the time (predicted %.2f)',
            timing.ms, timing.first_ms, timing.relative, predicted,
        )  # fmt: skip
        return found, predicted, timing

    def _slope(self) -> float:
        """How much of the table's time that is saved is saved of the measured one: by the last measured network."""
        for of_table, measured in reversed(self._points):
            if of_table < 0.97:
                return min(max((1 - measured) / (1 - of_table), 0.3), 3.0)
        return 1.0

    def _to_measured(self, of_table: float) -> float:
        return 1 - self._slope() * (1 - of_table)

    def _from_measured(self, measured: float) -> float:
        return 1 - (1 - measured) / self._slope()

    def _groups(self) -> Mapping[str, ChannelGroup]:
        return {group.name: group for group in self.found.groups}

    def _least(self) -> dict[str, int]:
        return {group.name: max(math.ceil(_LEAST * group.units), 2) for group in self.found.groups}


def trace(network: ModelNetwork) -> Groups:
    """The channel groups and operations of a network."""
    return find_groups(network.eval(), torch.zeros(1, network.config.in_chans, *network.config.image_size))


def _check_known(network: ModelNetwork, found: Groups) -> None:
    if found.unknown:
        names = ', '.join(name.strip('_') for name, _ in found.unknown.most_common(3))
        raise ValueError(
            f'the backbone {network.config.backbone} cannot be fitted: it computes {names}, of which neither the time '
            'nor the channels are known; expected a backbone of convolutions, such as resnet18'
        )


def _best(importance: np.ndarray, count: int) -> np.ndarray:
    """Indices of the units that are worth most, in their order."""
    return np.sort(np.argsort(-importance, kind='stable')[:count])
