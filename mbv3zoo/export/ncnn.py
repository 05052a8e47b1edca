"""ncnn, through pnnx."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pnnx
import torch

from mbv3zoo.export.graph import DeployedNetwork
from mbv3zoo.export.torchscript import saved_graph
from mbv3zoo.export.tracing import tracing
from mbv3zoo.runtimes.parts import parts
from mbv3zoo.utils.disk import naming_file, temporary_folder


def write(graph: DeployedNetwork, path: Path) -> None:
    """Writes a graph as `<name>.ncnn.param` and `<name>.ncnn.bin`, the weights in float32 or float16.

    Args:
        graph: The graph.
        path: The .param file.

    Raises:
        ValueError: pnnx cannot convert it.
    """
    example = graph.example()
    with temporary_folder() as folder:
        traced = folder / 'graph.pt'
        with tracing():
            traced.write_bytes(saved_graph(torch.jit.trace(graph, example)))
        # pnnx writes a dozen files into its working folder.
        shape, half = str(list(example.shape)).replace(' ', ''), int(graph.info.precision == 'float16')
        command = [pnnx.EXEC_PATH, traced.name, f'inputshape={shape}f32', f'fp16={half}']
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        made = [folder / f'graph.ncnn.{end}' for end in ('param', 'bin')]
        if done.returncode or not all(file.is_file() for file in made):
            said = ' '.join((done.stdout + done.stderr).split()[-40:])
            raise ValueError(f'pnnx cannot convert the network to ncnn: {said or f"exit code {done.returncode}"}')
        for file, part in zip(made, parts(path).values(), strict=True):
            with naming_file(part):
                part.write_bytes(file.read_bytes())
