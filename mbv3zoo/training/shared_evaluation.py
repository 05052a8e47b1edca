"""Evaluation spread over all processes of a training run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from accelerate import Accelerator
from accelerate.utils import broadcast, gather_object

from mbv3zoo.evaluation.run import run_evaluation
from mbv3zoo.images.tiles import Slicing
from mbv3zoo.models.base_network import ModelNetwork
from mbv3zoo.utils.processes import Processes


def evaluate_together(
    accelerator: Accelerator,
    network: ModelNetwork,
    data: Any,
    *,
    batch_size: int,
    workers: int,
    progress: Callable[[int], object] | None = None,
    with_f1: bool = True,
    slicing: Slicing | None = None,
) -> Any:
    """As `mbv3zoo.evaluation.run.run_evaluation`: each process runs its share of the images, and all get the figures.

    With `with_f1=False` these are without F1, which only reports show.

    The weights are those of the first process: where BatchNorm is not synchronised, the others' statistics differ.
    """
    if accelerator.num_processes > 1:
        broadcast([*network.state_dict().values()])
    group = Processes(accelerator.process_index, accelerator.num_processes, gather_object)
    return run_evaluation(
        network,
        data,
        batch_size=batch_size,
        workers=workers,
        progress=progress,
        with_f1=with_f1,
        group=group,
        slicing=slicing,
    )
