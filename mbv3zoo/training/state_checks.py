"""Whether a state that was read can be gone on from: all that is needed is there, of the right kind and size."""

from __future__ import annotations

import copy
import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

import torch
from pydantic import Field, model_validator
from torch import nn

from mbv3zoo.config.backbone_args import check_backbone_args
from mbv3zoo.config.base import Config
from mbv3zoo.config.model import ModelConfig
from mbv3zoo.config.tasks import parse_model_config
from mbv3zoo.config.training import TrainConfig
from mbv3zoo.saving.config import read_folder_config
from mbv3zoo.training.best import folder_fault
from mbv3zoo.training.checkpoint import damaged_state, load_state
from mbv3zoo.training.optimizer import create_optimizer
from mbv3zoo.training.pace import SavedPace

_logger = logging.getLogger(__name__)

_Count = Annotated[int, Field(strict=True, ge=0)]


class SavedProgress(Config):
    """The plain values of a state."""

    epoch: Annotated[int, Field(strict=True, ge=1)]
    """Epochs that are done."""
    best_epoch: _Count
    """The epoch that `best/` is of, from 1; 0 before the first evaluation."""
    best_ap: Annotated[float, Field(strict=True, ge=-1, le=1)]
    """AP of `best/`; -1 where there is none."""
    images: tuple[_Count, _Count] | None = None
    """Number of training and of validation images; older states have none."""
    best_sha256: str | None = None
    """Digest of the weights of `best/`; older states have none."""
    detector: dict[str, Any] | None = None
    """Config of the detector; older states have none."""
    pace: SavedPace | None = None
    """How the time of a run with `minutes` was used."""
    threads: Annotated[int, Field(strict=True, ge=1, le=1024)] | None = None
    """Threads that were the fastest in the first steps; None where none were timed."""

    @classmethod
    def of(cls, state: Mapping[str, Any], run: Path) -> Self:
        """Checks the plain values of a state.

        Raises:
            ValueError: One is missing or out of range; the message names the state's file.
        """
        try:
            return cls.parse({name: state[name] for name in cls.model_fields if name in state})
        except ValueError as error:
            raise damaged_state(run, str(error)) from error

    @model_validator(mode='after')
    def _best_is_done(self) -> Self:
        if self.best_epoch > self.epoch:
            raise ValueError(f'best_epoch is {self.best_epoch}, but only {self.epoch} are done')
        return self


def saved_detector_config(run: Path) -> ModelConfig:
    """The config of the detector that a run trains.

    Raises:
        ValueError: The state is damaged.
    """
    saved = SavedProgress.of(load_state(run), run).detector
    if saved is None:
        # Both have the same, and one may be damaged.
        return read_folder_config(
            run / ('best' if folder_fault(run / 'last') and not folder_fault(run / 'best') else 'last')
        )
    try:
        config = parse_model_config(saved)
        check_backbone_args(config.backbone_args, 'its detector')
    except ValueError as error:
        raise damaged_state(run, str(error)) from error
    return config


def warn_of_other_data(run: Path, before: tuple[int, int] | None, now: tuple[int, int]) -> None:
    """Warns where numbers of training and validation images are not those that a run had; None says nothing."""
    if before not in (None, now):
        _logger.warning(
            '%s: the data has changed: it has %d training and %d validation images, and had %d and %d',
            run, *now, *before or (),
        )  # fmt: skip


def new_optimizer_state(model: nn.Module, config: TrainConfig, beside: nn.Module | None = None) -> dict[str, Any]:
    """What the state of an optimizer (`create_optimizer`) looks like: that of a new one after a step, on copies."""
    model, beside = copy.deepcopy((model, beside))
    optimizer = create_optimizer(model, config, beside)
    for parameter in (*model.parameters(), *(beside.parameters() if beside else ())):
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    return optimizer.state_dict()


def difference(given: Any, expected: Any, name: str, more: bool = False) -> str:
    """The first place where a value has not the structure of another; '' if there is none.

    Compared are the keys of mappings, the lengths of lists, the shapes and types of tensors. Numbers must be finite.

    Args:
        given: What was read.
        expected: What it should be like.
        name: What it is, for the text.
        more: Whether mappings may have further keys.
    """
    if isinstance(expected, torch.Tensor):
        return _tensor_difference(given, expected, name)
    if isinstance(expected, Mapping):
        if not isinstance(given, Mapping):
            return f'{name} is {_kind(given)}, expected a mapping'
        for key in expected:
            if key not in given:
                return f'{name} has no {key!r}'
        if not more and (unknown := [key for key in given if key not in expected]):
            return f'{name} has {unknown[0]!r}, which is unknown here'
        pairs = [(given[key], expected[key], f'{name}.{key}') for key in expected]
    elif isinstance(expected, (list, tuple)):
        if not isinstance(given, (list, tuple)) or len(given) != len(expected):
            return f'{name} is {_kind(given)}, expected a list of {len(expected)}'
        pairs = [(one, other, f'{name}[{i}]') for i, (one, other) in enumerate(zip(given, expected, strict=True))]
    elif isinstance(expected, (int, float)) and not (isinstance(given, (int, float)) and math.isfinite(given)):
        return f'{name} is {_kind(given)}, expected a finite number'
    else:
        return ''
    return next(filter(None, (difference(*pair, more) for pair in pairs)), '')


def _tensor_difference(given: Any, expected: torch.Tensor, name: str) -> str:
    if type(given) is not torch.Tensor or given.layout != torch.strided or given.device.type != 'cpu':
        return f'{name} is {_kind(given)}, expected a tensor'
    if given.shape != expected.shape:
        return f'{name} has the shape {list(given.shape)}, expected {list(expected.shape)}'
    if given.dtype != expected.dtype:
        return f'{name} has the type {given.dtype}, expected {expected.dtype}'
    return '' if torch.isfinite(given).all() else f'{name} is not finite'


def _kind(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return f'a list of {len(value)}'
    return 'None' if value is None else f'a {type(value).__name__}'
