"""What of a network is saved: that from which `load_saved` makes the same network again, or nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

import torch
from pydantic_core import PydanticSerializationError
from torch import Tensor

from mbv3zoo.config.backbone_args import check_backbone_args
from mbv3zoo.config.model import ModelConfig
from mbv3zoo.config.tasks import parse_model_config
from mbv3zoo.models.base_network import ModelNetwork
from mbv3zoo.models.build import build_network
from mbv3zoo.models.dtypes import DTYPES, dtype_name, parse_dtype
from mbv3zoo.models.modes import evaluating
from mbv3zoo.models.no_weights import check_has_weights
from mbv3zoo.models.structure import UNDO, built_network, check_built, has_other_hooks
from mbv3zoo.models.weights import SavedWeights, check_finite, own_weights, stock_tensor_names

# Largest difference of logits that the order of additions may make, in units of the largest one's last place.
_LAST_PLACES = 8


class Stored(NamedTuple):
    """A network as it is saved.

    Attributes:
        config: Its config, which builds it.
        weights: Its weights; they lie on the network's device.
        dtype: Type of its weights in memory, whatever they are stored in.
    """

    config: ModelConfig
    weights: SavedWeights
    dtype: torch.dtype


def read_network(network: ModelNetwork, dtype: torch.dtype | str | None = None) -> Stored:
    """What is saved of a network: loaded, it has the same weights and gives the same logits.

    Frozen and synchronised BatchNorms are saved as the BatchNorms of the same numbers, tensors that layers share as one
    for each.

    Args:
        network: The network; not fused.
        dtype: Type that floating point tensors are stored in, one of `mbv3zoo.models.dtypes.DTYPES`; None keeps theirs.

    Raises:
        ValueError: Its config does not build it, it has no weights or some that are not finite, or `dtype` is another
            type or does not reach a number.
    """
    dtype = None if dtype is None else parse_dtype(dtype)
    check_has_weights(network, 'saved')
    config = _checked_config(network)
    check_built(network)
    expected = built_network(config)
    own = _weights(network, expected)
    check_finite(network, 'the detector cannot be saved', own)
    _check_computed(network, config)
    if has_other_hooks(network):
        _check_hooks(network, config, own)
    in_memory = next(tensor.dtype for tensor in own.values() if tensor.is_floating_point())
    stored = own if dtype is None else _cast(own, dtype)
    stock = stock_tensor_names(expected)
    weights = SavedWeights(
        {stock[name]: tensor for name, tensor in stored.items() if name in stock},
        {name: tensor for name, tensor in stored.items() if name not in stock},
    )
    return Stored(config, weights, in_memory)


def _checked_config(network: ModelNetwork) -> ModelConfig:
    """The config as it is read from config.json; `detector.config` can be replaced by anything."""
    config = network.config
    failed = 'the detector cannot be saved with the config that it has: detector.config'
    if not isinstance(config, expected := network.config_class):
        raise ValueError(f'{failed} is of type {type(config).__name__}, expected a {expected.__name__}')
    try:
        read = parse_model_config(config.model_dump(mode='json', warnings=False))
        check_backbone_args(read.backbone_args, 'it')
    except PydanticSerializationError as error:
        raise ValueError(f'{failed} holds a value that JSON has no form for') from error
    except ValueError as error:
        raise ValueError(f'{failed} would not be read again: {error}') from error
    if missing := [name for name in ('mean', 'std') if getattr(read, name) is None]:
        raise ValueError(
            f'{failed} has no {missing[0]}; change fields of it by model_copy(update=...), which keeps others'
        )
    return read


def _weights(network: ModelNetwork, expected: ModelNetwork) -> dict[str, Tensor]:
    """The weights by the names that the network has as its config builds it."""
    state = {name: tensor.detach() for name, tensor in network.state_dict(keep_vars=True).items()}
    known, wanted = expected.state_dict(), own_weights(expected)
    for name in known.keys() - state.keys():
        # A frozen BatchNorm counts no batches.
        if name.endswith('num_batches_tracked'):
            state[name] = torch.zeros_like(known[name], device='cpu')
    rows = (
        [f'{name} is not in the config' for name in state.keys() - known.keys()]
        + [f'{name} is missing' for name in wanted.keys() - state.keys()]
        + [f'{name} is not dense' for name, tensor in state.items() if not _dense(tensor)]
    ) or _of_other_types(state, known)
    if rows:
        raise ValueError(f'the detector cannot be saved, as it would be loaded as another: {min(rows)}; {UNDO}')
    return _without_shared_memory({name: state[name] for name in wanted})


def _dense(tensor: Tensor) -> bool:
    return isinstance(tensor, Tensor) and tensor.layout == torch.strided and not tensor.is_quantized


def _of_other_types(state: Mapping[str, Tensor], known: Mapping[str, Tensor]) -> list[str]:
    """Tensors whose type is not that of the config's network; all floating ones may have another in common."""
    types = {tensor.dtype for tensor in state.values() if tensor.is_floating_point()}
    rows = [
        f'{name} is of type {dtype_name(tensor.dtype)}, expected {dtype_name(known[name].dtype)}'
        for name, tensor in state.items()
        if tensor.dtype != known[name].dtype and not (tensor.is_floating_point() and known[name].is_floating_point())
    ]
    if not rows and (len(types) > 1 or not types <= set(DTYPES)):
        names, able = (', '.join(sorted(map(dtype_name, kinds))) for kinds in (types, DTYPES))
        rows = [f'its floating point tensors are of {names}, expected one of {able}, as float() makes them']
    return rows


def _without_shared_memory(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    seen: set[int] = set()
    for name, tensor in weights.items():
        place = tensor.untyped_storage().data_ptr()
        if place in seen:
            weights[name] = tensor.clone()
        seen.add(place)
    return weights


def _cast(weights: Mapping[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    """Weights with floating point tensors in another type; ValueError where a number has none there."""
    cast = {name: tensor.to(dtype) if tensor.is_floating_point() else tensor for name, tensor in weights.items()}
    lost = [name for name, tensor in cast.items() if not bool((tensor.isfinite() | ~weights[name].isfinite()).all())]
    if lost:
        name, kind, most = lost[0], dtype_name(dtype), torch.finfo(dtype).max
        raise ValueError(
            f'the detector cannot be saved in {kind}: NaN or infinity in {len(lost)} '
            f'{"tensor" if len(lost) == 1 else "tensors"} of the weights, {name} first, whose largest number is '
            f'{weights[name].double().abs().max():g} where {kind} ends at {most:g}; save in bfloat16, which has the '
            'range of float32, or leave dtype out'
        )
    return cast


def _check_computed(network: ModelNetwork, config: ModelConfig) -> None:
    """Refuses buffers that are not saved, such as a transformer's tables of angles, and are not as they are built."""
    for name, built in _computed(config.model_dump_json()).items():
        path, _, own = name.rpartition('.')
        buffer = network.get_submodule(path)._buffers.get(own)
        # Some are computed for the size of the last image.
        if buffer is None or buffer.shape != built.shape:
            continue
        if not torch.allclose(buffer.detach().cpu(), built.to(buffer.dtype), rtol=1e-5, atol=1e-6, equal_nan=True):
            raise ValueError(
                f'the detector cannot be saved, as it would be loaded as another: {name}, which is computed and not '
                'saved, has other numbers than the config gives it, as after half().float() or to_empty(); load the '
                'weights into a new detector'
            )


@lru_cache(maxsize=8)
def _computed(config: str) -> dict[str, Tensor]:
    """The buffers that a config's network has beside its state dict, except those that the config itself holds."""
    parsed = parse_model_config(json.loads(config))
    network = built_network(parsed)
    names = [name for name, _ in network.named_buffers() if name not in {*network.state_dict(), *network.stated}]
    if not names:
        return {}
    with torch.random.fork_rng(devices=[]):
        buffers = dict(build_network(parsed).named_buffers())
    return {name: buffers[name] for name in sorted(names)}


def _check_hooks(network: ModelNetwork, config: ModelConfig, weights: Mapping[str, Tensor]) -> None:
    """Refuses hooks that change what the network gives: they are not saved. Those that only look may stay."""
    with torch.random.fork_rng(devices=[]):
        plain = build_network(config).to(network.mean.device, network.mean.dtype)
    # The tensors themselves, as memory layouts round otherwise.
    plain.load_state_dict(weights, strict=False, assign=True)
    noise = torch.rand(1, config.in_chans, *config.image_size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad(), evaluating(network) as found, evaluating(plain) as wanted:
        given, made = found(noise.to(network.mean)), wanted(noise.to(network.mean))
    pairs = list(zip(given, made, strict=True))
    bounds = [_LAST_PLACES * torch.finfo(y.dtype).eps * y.abs().max() for _, y in pairs]
    if all(bool((x - y).abs().max() <= bound) for (x, y), bound in zip(pairs, bounds, strict=True)):
        return
    raise ValueError(
        'the detector cannot be saved, as it would be loaded as another: a forward hook changes what it gives, and '
        f'hooks are not saved; {UNDO}'
    )
