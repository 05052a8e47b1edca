"""Graphs of saved detectors, kept in the user's cache so that the next start in a runtime writes none.

A graph is found by all that it is made from: the detector's config and weights, the size, the runtime, and the versions
of the libraries that write it. Neither torch nor timm is imported.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mbv3zoo.runtimes.exported_model import ExportedModel
from mbv3zoo.runtimes.parts import parts
from mbv3zoo.runtimes.table import LIVE_FORMATS, RUNTIMES
from mbv3zoo.utils.own_code import code_digest
from mbv3zoo.utils.packages import installed_version
from mbv3zoo.utils.store import Store
from mbv3zoo.version import __version__

_logger = logging.getLogger(__name__)

# Of what else than a format's own packages the graph depends on.
_PACKAGES = ('torch', 'torchvision', 'timm', 'numpy', 'onnx_ir')
# Rooms of this library that a graph is made by. In a checkout they change without the version.
_ROOMS = ('backbones', 'export', 'models')


@dataclass(frozen=True)
class KeptGraphs:
    """The graphs of one saved detector.

    Attributes:
        name: Name used in messages.
        config: Its config, as JSON has it.
        weights: Name of each file of weights -> its SHA-256.
    """

    name: str
    config: Mapping[str, Any]
    weights: Mapping[str, str]

    def open(
        self,
        runtime: str,
        image_size: tuple[int, int],
        batch_size: int = 1,
        *,
        threads: int | None = None,
        device: str | None = None,
        tensors: bool = False,
    ) -> ExportedModel | None:
        """Opens a graph; None where none is kept, or it cannot be opened so: then it is to be written, which says why.

        Args:
            runtime: One that opens files.
            image_size: (height, width) in pixels that the graph is made for.
            batch_size: Images per call.
            threads, device: As for `ExportedModel.open`.
            tensors: As for `ExportedModel`.
        """
        entry = Store('graphs').find(self._key(runtime, image_size, batch_size))
        if entry is None:
            return None
        try:
            opened = ExportedModel.open(entry / _file_name(runtime), runtime, threads=threads, device=device)
        except (ValueError, OSError, ImportError, NotImplementedError):
            return None
        opened.tensors = tensors
        return opened

    def keep(self, runtime: str, image_size: tuple[int, int], batch_size: int, path: Path) -> None:
        """Keeps a graph that was written; says where.

        Args:
            runtime, image_size, batch_size: As for `open`.
            path: The file.
        """
        key, store = self._key(runtime, image_size, batch_size), Store('graphs')
        stem = _file_name(runtime).removesuffix(LIVE_FORMATS[runtime].suffix)
        about = {'name': self.name, 'runtime': runtime, 'image_size': image_size, 'batch_size': batch_size}
        if store.keep(key, {stem + end: part for end, part in parts(path).items()}, about):
            height, width = image_size
            _logger.info(
                'the graph of %s for %s at %d x %d is kept in %s for the next start', self.name, runtime, height, width,
                store.folder,
            )  # fmt: skip

    def _key(self, runtime: str, image_size: tuple[int, int], batch_size: int) -> str:
        row = LIVE_FORMATS[runtime]
        packages = sorted({*_PACKAGES, *row.packages, RUNTIMES[runtime].package})
        facts = {
            'config': self.config,
            'weights': self.weights,
            'format': [row.name, row.live_dtype, *image_size, batch_size],
            'mbv3zoo': [__version__, code_digest(*_ROOMS)],
            'versions': {package: installed_version(package) for package in packages},
        }
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _file_name(runtime: str) -> str:
    return f'model{LIVE_FORMATS[runtime].suffix}'
