"""ncnn, through pnnx."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import pnnx
import torch

from mbv3zoo.export.graph import DeployedNetwork
from mbv3zoo.export.tracing import tracing
from mbv3zoo.runtimes.parts import parts


def write(graph: DeployedNetwork, path: Path) -> None:
    """Writes a graph as `<name>.ncnn.param` and `<name>.ncnn.bin`, in float32.

    Args:
        graph: The graph.
        path: The .param file.

    Raises:
        ValueError: pnnx cannot convert it.
    """
    example = graph.example()
    with tempfile.TemporaryDirectory() as folder:
        traced = Path(folder) / 'graph.pt'
        with tracing():
            torch.jit.save(torch.jit.trace(graph, example), str(traced))
        # pnnx writes a dozen files into its working folder.
        command = [pnnx.EXEC_PATH, traced.name, f'inputshape={str(list(example.shape)).replace(" ", "")}f32', 'fp16=0']
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        made = [Path(folder) / f'graph.ncnn.{end}' for end in ('param', 'bin')]
        if done.returncode or not all(file.is_file() for file in made):
            said = ' '.join((done.stdout + done.stderr).split()[-40:])
            raise ValueError(f'pnnx cannot convert the network to ncnn: {said or f"exit code {done.returncode}"}')
        for file, part in zip(made, parts(path).values(), strict=True):
            shutil.copyfile(file, part)
