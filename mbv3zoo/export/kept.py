"""The graphs that `Detector.predict(runtime=...)` has built, kept for as long as the detector stays the same."""

from __future__ import annotations

import threading
from collections import OrderedDict
from itertools import chain
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from mbv3zoo.export.live import check_run, open_live
from mbv3zoo.models.base_network import ModelNetwork
from mbv3zoo.models.no_weights import check_has_weights
from mbv3zoo.models.plain_weights import whole_copy
from mbv3zoo.models.same_objects import SameObjects
from mbv3zoo.models.structure import describe
from mbv3zoo.runtimes.exported_model import ExportedModel

# Graphs kept per detector: of several image sizes, and of threads that use several runtimes.
_MOST_KEPT = 4
# How often weights are copied that change meanwhile.
_COPIES = 10


class _Moment:
    """A detector as it was at one moment.

    Everything is compared, not a digest or torch's count of changes: `.data`, NumPy and C code change weights without
    being counted.

    Attributes:
        copied: A copy of it.
    """

    def __init__(self, detector: ModelNetwork) -> None:
        self.copied: Any = whole_copy(detector)
        self._parts = describe(self.copied)
        self._tensors = _tensors(self.copied)
        self._looked_at: tuple[SameObjects, list[Tensor]] | None = None

    def is_now(self, detector: ModelNetwork) -> bool:
        """Whether the detector is still the same: modules, their settings, config, weights and buffers."""
        # The last answer holds while its objects are the same, but for the numbers in tensors.
        if self._looked_at is not None and self._looked_at[0].are_those_of(detector):
            return all(map(_same, self._looked_at[1], self._tensors.values()))
        objects, now = SameObjects(detector), _tensors(detector)
        is_now = (
            now.keys() == self._tensors.keys()
            and all(map(_same, now.values(), self._tensors.values()))
            and describe(detector) == self._parts
        )
        self._looked_at = (objects, list(now.values())) if is_now else None
        return is_now


class _Kept:
    """A graph that was built for one moment of a detector."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.moment: _Moment | None = None
        self.built: ExportedModel | None = None


# Kept outside the detectors, which can be copied and saved; runtimes cannot. By arguments, the last used at the end.
_kept: WeakKeyDictionary[ModelNetwork, OrderedDict[tuple, _Kept]] = WeakKeyDictionary()
_kept_lock = threading.Lock()


def kept_live(
    detector: Any,
    runtime: str,
    *,
    image_size: tuple[int, int],
    threads: int | None = None,
    device: str | None = None,
) -> ExportedModel:
    """As `open_live`, but gives what it built for this detector again while that and the arguments stay the same.

    Of threads that ask at once, one builds and the others wait. Graphs of the last four arguments are kept.

    Raises:
        ValueError: As `open_live`; or another thread changes the weights all the time.
    """
    check_run(runtime, threads, device)
    arguments = (runtime, image_size, threads, device)
    with _kept_lock:
        graphs = _kept.setdefault(detector, OrderedDict())
        kept = graphs.setdefault(arguments, _Kept())
        graphs.move_to_end(arguments)
        if len(graphs) > _MOST_KEPT:
            graphs.popitem(last=False)
        others = [other.moment for other in graphs.values()]
    with kept.lock:
        if kept.built is None or kept.moment is None or not kept.moment.is_now(detector):
            check_has_weights(detector, 'run')
            # The old graph, which is not to be used again, makes room.
            kept.built = None
            kept.moment = _moment(detector, others)
            kept.built = open_live(kept.moment.copied, runtime, image_size=image_size, threads=threads, device=device)
        return kept.built


def _moment(detector: ModelNetwork, known: list[_Moment | None]) -> _Moment:
    """The present moment of a detector, whatever other threads do to it; one that is known is shared."""
    for moment in known:
        if moment is not None and moment.is_now(detector):
            return moment
    for _ in range(_COPIES):
        moment = _Moment(detector)
        if moment.is_now(detector):
            return moment
    raise ValueError(
        'the weights change all the time, so that no graph can be built from them; leave runtime out while another '
        'thread trains the detector'
    )


def _tensors(detector: ModelNetwork) -> dict[str, Tensor]:
    """Name -> tensor of all parameters and buffers."""
    return dict(chain(detector.named_parameters(), detector.named_buffers()))


def _same(tensor: Tensor, other: Tensor) -> bool:
    return tensor.dtype == other.dtype and tensor.device == other.device and torch.equal(tensor, other)
