"""The device that a run trains on."""

from __future__ import annotations

import torch
from accelerate import PartialState
from accelerate.utils import DistributedType, parse_flag_from_env

from mbv3zoo.models.devices import torch_device


def process_state() -> PartialState:
    """accelerate's state of this process, which the first call decides: its place among others, its device."""
    return PartialState(cpu=parse_flag_from_env('ACCELERATE_USE_CPU'))


def use_device(name: str | None) -> None:
    """Lets the runs of this process train on a device, until it is called again.

    Args:
        name: As for `torch_device`; None takes the one that accelerate chooses: a GPU if there is one.

    Raises:
        ValueError: There is no such device, or other processes train too, each on its own.
    """
    device = None if name is None else torch_device(name)
    state = process_state()
    if state.distributed_type == DistributedType.NO:
        cpu = parse_flag_from_env('ACCELERATE_USE_CPU')
        state.device = device or (torch.device('cpu') if cpu else state.default_device)
    elif device:
        raise ValueError(
            f'device {name} is for one process; with several, each takes the GPU of its number, or a CPU with '
            'ACCELERATE_USE_CPU=true'
        )
