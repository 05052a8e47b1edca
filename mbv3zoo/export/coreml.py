"""Core ML programs, for Apple's devices."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path

import coremltools
import numpy as np
import torch

from mbv3zoo.export.graph import DeployedNetwork
from mbv3zoo.export.tracing import tracing
from mbv3zoo.runtimes.export_info import METADATA_KEY
from mbv3zoo.utils.quiet import without_log, without_warnings


def write(graph: DeployedNetwork, path: Path) -> None:
    """Writes a graph as an .mlpackage, with its record in the metadata. Writing works on any system, running on macOS.

    Args:
        graph: The graph.
        path: The package, a folder.

    Raises:
        ValueError: coremltools cannot convert it.
    """
    try:
        with tracing():
            traced = torch.jit.freeze(torch.jit.trace(graph, graph.example()))
        with _quiet():
            model = coremltools.convert(
                traced,
                inputs=[coremltools.TensorType('images', shape=tuple(graph.example().shape), dtype=np.float32)],
                outputs=[coremltools.TensorType(name, dtype=np.float32) for name in graph.output_names()],
                convert_to='mlprogram',
                compute_precision=getattr(coremltools.precision, graph.info.precision.upper()),
            )
    except (NotImplementedError, RuntimeError, TypeError, AttributeError) as error:
        raise ValueError(
            f'coremltools {coremltools.__version__} cannot convert the network of torch {torch.__version__}: {error}'
        ) from error
    model.user_defined_metadata[METADATA_KEY] = graph.info.model_dump_json()
    model.save(str(path))


@contextmanager
def _quiet() -> Iterator[None]:
    """Context manager: without coremltools' messages, and its progress bars, which it draws whatever its settings."""
    with without_warnings(), torch.no_grad(), redirect_stderr(io.StringIO()), without_log('coremltools'):
        yield
