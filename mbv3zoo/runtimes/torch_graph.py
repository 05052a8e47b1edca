"""PyTorch itself as a runtime: a graph module, eager or compiled."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from mbv3zoo.models.modes import running


class TorchGraphSession:
    """A module that takes pixels and gives raw maps; see `mbv3zoo.runtimes.session.Session`.

    Args:
        graph: The module, in eval mode.
        runtime: Name of the runtime; 'compile' compiles the module.
        threads: Threads of torch in the whole process; None leaves the number as it is.
        device: A device of torch.
        metadata: The record in the file that the module comes from.
    """

    inputs = None

    def __init__(
        self, graph: nn.Module, runtime: str, threads: int | None, device: str | None, metadata: str | None = None
    ) -> None:
        if threads:
            torch.set_num_threads(threads)
        try:
            self.device = torch.device(device or 'cpu')
            # Channels last is faster for convolutions, on CPUs with vector units and on GPUs.
            graph = graph.to(self.device).to(memory_format=torch.channels_last)
        except (RuntimeError, AssertionError) as error:
            raise ValueError(f'device {device!r}: torch cannot use it: {str(error).splitlines()[0]}') from error
        self.graph = torch.compile(graph, dynamic=False) if runtime == 'compile' else graph
        # Numbers of threads that the graph is compiled for, where it is.
        self._compiled: set[int] = set()
        self.runtime = runtime
        self.metadata = metadata

    def __call__(self, images: np.ndarray) -> list[np.ndarray]:
        # While torch compiles, no other thread can run a network.
        compiles = self.runtime == 'compile' and torch.get_num_threads() not in self._compiled
        # Not inference mode, in which torch.compile cannot use its constants.
        with running.changing() if compiles else running.using(), torch.no_grad():
            pixels = torch.from_numpy(images).to(self.device).contiguous(memory_format=torch.channels_last)
            outputs = self.graph(pixels)
            self._compiled.add(torch.get_num_threads())
            outputs = outputs if isinstance(outputs, (tuple, list)) else (outputs,)
            return [output.float().contiguous().cpu().numpy() for output in outputs]
