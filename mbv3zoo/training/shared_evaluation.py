"""Evaluation spread over all processes of a training run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from accelerate import Accelerator
from accelerate.utils import broadcast, gather_object

from mbv3zoo.evaluation.coco import score
from mbv3zoo.evaluation.masks import score_labels
from mbv3zoo.evaluation.run import collect
from mbv3zoo.models.base_network import ModelNetwork
from mbv3zoo.prediction.engine import finds_labels


def evaluate_together(
    accelerator: Accelerator,
    network: ModelNetwork,
    data: Any,
    *,
    batch_size: int,
    workers: int,
    progress: Callable[[int], object] | None = None,
    with_f1: bool = True,
) -> Any:
    """As `mbv3zoo.evaluation.run.run_evaluation`: each process runs its share of the images, and all get the figures.

    With `with_f1=False` these are without F1, which only reports show.

    The weights are those of the first process: where BatchNorm is not synchronised, the others' statistics differ.
    """
    if accelerator.num_processes > 1:
        broadcast([*network.state_dict().values()])
    own = range(accelerator.process_index, len(data), accelerator.num_processes)
    found = collect(network, data, batch_size, workers, progress=progress, indices=own)
    if finds_labels(network):
        return score_labels(data, gather_object(found))
    gathered = dict(gather_object(list(zip(own, found, strict=True))))
    return score(data, [gathered[i] for i in range(len(data))], with_f1)
