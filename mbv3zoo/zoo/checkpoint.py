"""A checkpoint of a timm model, of a classifier too, as the backbone's weights: `checkpoint_path`."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from timm.models import load_state_dict
from torch import Tensor

from mbv3zoo.config.model import ModelConfig
from mbv3zoo.models.base_network import ModelNetwork
from mbv3zoo.models.layer_groups import whole_model
from mbv3zoo.models.out_of_memory import is_out_of_memory
from mbv3zoo.models.structure import built_network
from mbv3zoo.models.timm_model import check_name
from mbv3zoo.models.weights import check_finite, check_loaded, stock_weights
from mbv3zoo.utils.quiet import without_log
from mbv3zoo.utils.text import one_line

_EXPECTED = 'expected a file of tensors by their names, as safetensors, torch.save(model.state_dict()) or timm write it'

# timm's log tells of classifiers and missing files in its own words: nothing of it is shown.
_OF_TIMM = 'timm.models', logging.CRITICAL

# Starts of names of classifiers, which may be anyone's own.
_HEADS = ('head', 'fc', 'classifier')


def read_checkpoint(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint by their names; of an average of weights where it has one, as timm takes it.

    Args:
        path: A .safetensors file, or one that torch.save wrote; no other objects than tensors are read of it.

    Raises:
        ValueError: There is no such file, or it is something else.
    """
    if not os.path.isfile(path):
        raise ValueError(f'checkpoint_path={str(path)!r} is no file; {_EXPECTED}')
    try:
        with without_log(*_OF_TIMM):
            tensors: Any = load_state_dict(str(path))
    except (OSError, MemoryError):
        raise
    except Exception as error:
        # Whatever bytes do to pickle, zip files and safetensors.
        if is_out_of_memory(error):
            raise
        reason = one_line(str(error) or type(error).__name__, 200)
        raise ValueError(f'{path} cannot be read as a checkpoint: {reason}; {_EXPECTED}') from error
    if not isinstance(tensors, Mapping) or not all(isinstance(value, Tensor) for value in tensors.values()):
        raise ValueError(f'{path} holds other things than tensors; {_EXPECTED}')
    return dict(tensors)


def is_of_features(config: ModelConfig, tensors: Mapping[str, Tensor]) -> bool:
    """Whether a checkpoint is of a backbone's features alone, as `features_only=True` makes them: other names."""
    network = built_network(config)
    is_whole = stock_weights(network).keys() <= tensors.keys()
    return not is_whole and network.backbone.model.state_dict().keys() <= tensors.keys()


def build_args(args: Mapping[str, Any], of_features: bool) -> dict[str, Any]:
    """Arguments of `timm.create_model` by which it loads `checkpoint_path` as it loads its own weights.

    Given as `checkpoint_path` it would have to fit as it is: nothing is converted, and a classifier is in the way.

    Args:
        args: The arguments, with `checkpoint_path`.
        of_features: It has other names, and timm does not load it.
    """
    rest = {key: value for key, value in args.items() if key != 'checkpoint_path'}
    if of_features:
        return rest
    overlay = rest.get('pretrained_cfg_overlay') or {}
    return rest | {'pretrained_cfg_overlay': {**overlay, 'file': str(args['checkpoint_path']), 'custom_load': False}}


@contextmanager
def named(path: str | Path) -> Iterator[None]:
    """Context manager: what does not fit is told as a fault of the checkpoint, and what timm leaves out is not told."""
    try:
        with without_log(*_OF_TIMM):
            yield
    except ValueError as error:
        raise ValueError(f'checkpoint_path={str(path)!r}: {error}') from error


def finish_loading(network: ModelNetwork, tensors: Mapping[str, Tensor], of_features: bool) -> None:
    """Loads a checkpoint of features; of others it checks that timm has loaded the whole backbone.

    Args:
        network: The network, with what timm has loaded.
        tensors: The tensors of the checkpoint.
        of_features: As for `build_args`.

    Raises:
        ValueError: It is of another model, lacks a part of the backbone, or is not finite.
    """
    backbone, failed = network.backbone, 'it cannot be loaded'
    if of_features:
        try:
            backbone.model.load_state_dict({name: tensors[name] for name in backbone.model.state_dict()})
        except RuntimeError as error:
            raise ValueError(f'{failed}: {one_line(str(error), 300)}') from error
        check_finite(network, failed)
        return
    check_loaded(network, tensors, failed)
    # A model of more layers has all that one of fewer needs. Of other names than timm's, timm knows the meaning.
    if stock_weights(network).keys() <= tensors.keys():
        known = whole_model(backbone.name, backbone.build_args).state_dict().keys()
        stated = check_name(backbone.name).classifier or ()
        heads = (*_HEADS, *([stated] if isinstance(stated, str) else stated))
        if unknown := sorted(name for name in tensors.keys() - known if not name.startswith(heads)):
            raise ValueError(
                f'it is of another model than {backbone.name!r}, which has no {unknown[0]} '
                f'({len(unknown)} of its {len(tensors)} tensors)'
            )
