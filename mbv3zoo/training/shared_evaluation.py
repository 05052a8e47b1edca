"""Evaluation spread over all processes of a training run."""

from __future__ import annotations

from collections.abc import Callable

from accelerate import Accelerator
from accelerate.utils import broadcast, gather_object

from mbv3zoo.data.records import DetectionSet
from mbv3zoo.evaluation.coco import score
from mbv3zoo.evaluation.metrics import Evaluation
from mbv3zoo.evaluation.run import collect
from mbv3zoo.models.network import DetectorNetwork


def evaluate_together(
    accelerator: Accelerator,
    network: DetectorNetwork,
    data: DetectionSet,
    *,
    batch_size: int,
    workers: int,
    progress: Callable[[int], object] | None = None,
    with_f1: bool = True,
) -> Evaluation:
    """As `mbv3zoo.evaluation.run.run_evaluation`: each process runs its share of the images, and all get the figures.

    With `with_f1=False` these are without F1, which only reports show.

    The weights are those of the first process: where BatchNorm is not synchronised, the others' statistics differ.
    """
    if accelerator.num_processes > 1:
        broadcast([*network.state_dict().values()])
    own = range(accelerator.process_index, len(data), accelerator.num_processes)
    found = collect(network, data, batch_size, workers, progress=progress, indices=own)
    gathered = dict(gather_object(list(zip(own, found, strict=True))))
    return score(data, [gathered[i] for i in range(len(data))], with_f1)
