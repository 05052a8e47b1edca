"""The models that visitors of a Gradio app may name: never by a path, as that would open the server's files."""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

from mbv3zoo.demo.model_info import shown_name
from mbv3zoo.hub import check_repo_id
from mbv3zoo.loading import load
from mbv3zoo.model import Model
from mbv3zoo.prediction.engine import as_engine
from mbv3zoo.utils.text import one_line
from mbv3zoo.zoo.registry import known_weights
from mbv3zoo.zoo.saved import HubSource

# Most detectors in memory besides the app's own.
_KEPT = 4


class Models:
    """Detectors by name, each loaded when it is first asked for; any number of threads may ask.

    Args:
        own: The app's own detector, as for `mbv3zoo.load`: a path too, which visitors see the last part of.

    Attributes:
        own: The name that visitors know it by.
        names: All names that are offered, the app's own first. Any 'organisation/name' on the Hub is taken too.

    Raises:
        ValueError: There is no such detector.

    Example:
        >>> models = Models('mbv3_yolo_small.synth')
        >>> models.own, models.open('mbv3_yolo_small.synth').config.num_classes
        ('mbv3_yolo_small.synth', 16)
    """

    def __init__(self, own: str | Path) -> None:
        self.own = shown_name(own)
        self.names = list(dict.fromkeys([self.own, *known_weights()]))
        self._own = _opened(load(own))
        self._lock = threading.Lock()
        self._others: OrderedDict[str, Any] = OrderedDict()
        self._locks: dict[str, threading.Lock] = {}

    def open(self, name: str) -> Any:
        """The detector of a name.

        Args:
            name: One of `names`, or 'organisation/name'.

        Raises:
            ValueError: It is none of them, or there is no detector in the repository.
            ConnectionError: The Hub cannot be reached.
        """
        name = str(name or '').strip()
        if name == self.own:
            return self._own
        with self._lock:
            lock = self._locks.setdefault(name, threading.Lock())
        try:
            # Visitors who ask for the same at once wait for one download; others do not wait.
            with lock:
                return self._kept(name) or self._keep(name, _opened(_fetch(name)))
        finally:
            with self._lock:
                self._locks.pop(name, None)

    def _kept(self, name: str) -> Any:
        with self._lock:
            if name in self._others:
                self._others.move_to_end(name)
            return self._others.get(name)

    def _keep(self, name: str, detector: Any) -> Any:
        with self._lock:
            self._others[name] = detector
            while len(self._others) > _KEPT:
                self._others.popitem(last=False)
        return detector

    def class_names(self, name: str) -> tuple[str, ...]:
        """Name of each class that a detector knows; for the errors see `open`."""
        return as_engine(self.open(name)).info.class_names


def _fetch(name: str) -> Model:
    """What a visitor's name stands for."""
    if name in known_weights():
        return Model.from_pretrained(name)
    try:
        check_repo_id(name)
    except ValueError as error:
        raise ValueError(
            f'there is no detector called {one_line(name, 100)!r}; choose one of the list, or type a repository of '
            "the Hugging Face Hub as 'organisation/name'"
        ) from error
    # Without the server's token: what its owner alone may read is not for visitors. Not through `load`, which takes a
    # folder of that name first.
    return Model.from_saved(HubSource(name, {'token': False}, name))


def _opened(detector: Any) -> Any:
    return detector.fuse() if hasattr(detector, 'fuse') else detector
