"""A detector's weights by name, and how they are loaded into a network, where they must all fit."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mbv3zoo.config.model import ModelConfig
from mbv3zoo.config.tasks import KINDS
from mbv3zoo.models.base_network import ModelNetwork
from mbv3zoo.models.build import build_network
from mbv3zoo.models.head_transfer import kept_classes, transfer_head
from mbv3zoo.models.timm_repository import stock_names

_logger = logging.getLogger(__name__)


class SavedWeights(NamedTuple):
    """A detector's weights as its two files hold them.

    Attributes:
        backbone: The backbone's tensors by timm's names (`mbv3zoo.models.timm_repository`).
        head: All other tensors, by their names in the network's state dict.
    """

    backbone: Mapping[str, Tensor]
    head: Mapping[str, Tensor]


def load_saved(network: ModelNetwork, saved: SavedWeights, class_names: Sequence[str], source: Any) -> None:
    """Loads saved weights. Where the network has other classes, those of the same name are kept; the rest is logged.

    Args:
        network: The network, on the same backbone and neck.
        saved: The weights.
        class_names: The classes that they were trained for.
        source: Name used in error messages.

    Raises:
        ValueError: Some do not fit, or are missing. Nothing was loaded.
    """
    own = {stock: name for name, stock in stock_tensor_names(network).items()}
    state = {own.get(name, f'backbone ({name})'): tensor for name, tensor in saved.backbone.items()}
    state |= saved.head
    load_weights(network, _adapt_head(network, state, tuple(class_names), source), source)


def load_weights(network: ModelNetwork, state: Mapping[str, Tensor], source: Any) -> None:
    """Loads weights by their names in the state dict; all must be there, and fit.

    Args:
        network: The network.
        state: Name -> tensor.
        source: Name used in error messages.

    Raises:
        ValueError: Some do not fit, are missing, unknown, or not finite; the first are named. Nothing was loaded.
    """
    own = own_weights(network)
    missing = sorted(own.keys() - state.keys())
    unknown = sorted(state.keys() - network.state_dict().keys())
    rows = [
        f'{name} is {list(state[name].shape)}, expected {list(own[name].shape)}'
        for name in sorted(own.keys() & state.keys())
        if own[name].shape != state[name].shape
    ]
    rows += _wrong_types(own, state)
    rows += [*(f'{name} is missing' for name in missing), *(f'{name} is unknown' for name in unknown)]
    if rows:
        raise ValueError(
            f'{source}: the weights do not fit a {KINDS[network.config.task]} on {network.config.backbone!r} with '
            f'{network.config.num_classes} classes: {"; ".join(rows[:5])}{" ..." if len(rows) > 5 else ""}'
        )
    check_finite(network, source, {name: state[name].to(own[name].dtype) for name in own})
    network.load_state_dict({name: state[name] for name in own}, strict=False)


def check_finite(network: ModelNetwork, source: Any, weights: Mapping[str, Tensor] | None = None) -> None:
    """Refuses NaN and infinity in weights; in buffers, such as bounds of a range or masks, only NaN.

    Args:
        network: The network.
        source: Name used in error messages.
        weights: Its weights by their names in the state dict; by default those that it has.

    Raises:
        ValueError: There is one; the first tensor is named.
    """
    masks = {name for name, _ in network.named_buffers() if not name.endswith(('running_mean', 'running_var'))}
    found = {
        name: tensor
        for name, tensor in (own_weights(network) if weights is None else weights).items()
        if not tensor.is_meta and tensor.is_floating_point() and not _is_finite(tensor, name in masks)
    }
    if found:
        name, tensor = next(iter(found.items()))
        kind = str(tensor.dtype).removeprefix('torch.')
        raise ValueError(
            f'{source}: NaN or infinity in {len(found)} {"tensor" if len(found) == 1 else "tensors"} of the weights, '
            f'{name} ({kind}, {list(tensor.shape)}) first; expected finite numbers'
        )


def _is_finite(tensor: Tensor, may_be_infinite: bool) -> bool:
    if not tensor.numel():
        return True
    # Not all operations have versions for 8 bits. NaN is the least and the greatest of any numbers it is among.
    extremes = torch.stack((tensor.float() if tensor.element_size() == 1 else tensor).aminmax())
    return not bool(extremes.isnan().any()) if may_be_infinite else bool(extremes.isfinite().all())


def check_size(config: ModelConfig, saved: SavedWeights, source: Any) -> None:
    """Refuses a config that asks timm for a backbone far larger than the weights beside it, before it is built.

    Args:
        config: The config.
        saved: The weights.
        source: Name used in error messages.

    Raises:
        ValueError: It would have more than twice as many parameters.
    """
    # timm's own models have the size that their name says, and on them so has the PAN.
    if not config.backbone_args and getattr(config, 'neck', 'pan') == 'pan':
        return
    parameters = sum(p.numel() for p in build_network(config, device='meta').parameters())
    stored = sum(tensor.numel() for weights in saved for tensor in weights.values())
    if parameters > 2 * stored:
        raise ValueError(
            f'{source}: the weights do not fit: by its backbone_args or neck, the config asks for {parameters} '
            f'parameters, and {stored} are stored'
        )


def check_loaded(network: ModelNetwork, stored: Mapping[str, Tensor], source: Any) -> None:
    """Refuses weights of which timm has left a part of the backbone as it was drawn, or loaded what is no weight.

    Args:
        network: The network, with what timm has loaded.
        stored: The tensors of the file, by timm's names; by those of another library, which timm translates for some
            families, they are not compared one by one.
        source: Name used in error messages.

    Raises:
        ValueError: A tensor is missing, of another type, or not finite.
    """
    check_finite(network, source)
    stock = stock_weights(network)
    if not stock.keys() & stored.keys():
        if drawn := network.backbone.drawn():
            raise ValueError(
                f'{source}: none of the {len(stored)} tensors of the weights is one of the backbone '
                f'{network.config.backbone!r}, of which {len(drawn)} stayed random, {drawn[0]} first'
            )
        return
    if missing := sorted(stock.keys() - stored.keys()):
        raise ValueError(
            f'{source}: {len(missing)} tensors of the backbone are missing, {missing[0]} first, '
            f'{list(stock[missing[0]].shape)}'
        )
    if rows := _wrong_types(stock, stored):
        raise ValueError(
            f'{source}: the weights do not fit backbone {network.config.backbone!r}: {"; ".join(rows[:5])}'
        )


def stock_weights(network: ModelNetwork) -> dict[str, Tensor]:
    """The backbone's weights and statistics by timm's names: what model.safetensors has to hold."""
    stock = stock_tensor_names(network)
    # Older files lack the counters, which only matter to a BatchNorm without momentum.
    own = own_weights(network).items()
    return {stock[name]: tensor for name, tensor in own if name in stock and not name.endswith('num_batches_tracked')}


def _wrong_types(own: Mapping[str, Tensor], stored: Mapping[str, Tensor]) -> list[str]:
    """What has to be floating point and is not, or the other way round."""
    return [
        f'{name} is of type {stored[name].dtype}, expected {own[name].dtype}'.replace('torch.', '')
        for name in sorted(own.keys() & stored.keys())
        if stored[name].is_complex() or own[name].is_floating_point() != stored[name].is_floating_point()
    ]


def stock_tensor_names(network: ModelNetwork) -> dict[str, str]:
    """Names in the state dict -> timm's, of the backbone."""
    return {f'backbone.{own}': name for own, name in stock_names(network.backbone).items()}


def own_weights(network: ModelNetwork) -> dict[str, Tensor]:
    """The state dict, with a tensor that layers share (as CoaT's do) once, under its first name."""
    state = network.state_dict(keep_vars=True)
    first = {id(tensor): name for name, tensor in reversed(state.items())}
    return {name: tensor.detach() for name, tensor in state.items() if first[id(tensor)] == name}


def _adapt_head(
    network: ModelNetwork, state: dict[str, Tensor], trained_names: tuple[str, ...], source: Any
) -> dict[str, Tensor]:
    """Weights of a detector for other classes, with a head for the network's; what starts anew is logged."""
    names = network.config.class_names
    if names == trained_names:
        return state
    check_finite(network, source, state)
    head = {}
    for name, fresh in own_weights(network).items():
        # What is of another type or number of channels is told by `load_weights`, with all others that do not fit.
        stored = state.get(name)
        others = [number for start, number in network.class_layers.items() if name.startswith(start)]
        if not others or stored is None or not stored.is_floating_point():
            continue
        if stored.dim() == fresh.dim() and stored.shape[1:] == fresh.shape[1:]:
            try:
                head[name] = transfer_head(stored, fresh, trained_names, names, *others)
            except ValueError as error:
                raise ValueError(
                    f'{source}: the weights do not fit: {name} is {list(stored.shape)}; {error}'
                ) from error
    kept = kept_classes(trained_names, names)
    anew = [name for name in names if name not in kept]
    gone = [name for name in trained_names if name not in names]
    _logger.warning(
        '%s: kept all but the classes; of these %d start anew: %s%s',
        source, len(anew), ', '.join(anew) or 'none', f'; dropped: {", ".join(gone)}' if gone else '',
    )  # fmt: skip
    return {**state, **head}
