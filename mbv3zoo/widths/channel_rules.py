"""How each operation of PyTorch (ATen) passes channels on from its inputs to its outputs."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from mbv3zoo.utils.union import Union

_ELEMENTWISE = {
    'add', 'add_', 'sub', 'sub_', 'mul', 'mul_', 'div', 'div_', 'maximum', 'minimum', 'relu', 'relu_',
    'hardswish', 'hardswish_', 'silu', 'silu_', 'sigmoid', 'sigmoid_', 'hardsigmoid', 'hardsigmoid_',
    'hardtanh', 'hardtanh_', 'gelu', 'leaky_relu', 'leaky_relu_', 'elu', 'elu_', 'mish', 'mish_', 'softplus',
    'tanh', 'tanh_', 'clamp', 'clamp_', 'clamp_min', 'clamp_min_', 'clone', '_to_copy', 'detach', 'alias',
    'native_dropout', 'abs', 'exp', 'sqrt', 'rsqrt', 'pow', 'neg',
}  # fmt: skip
# What leaves images and channels, dimensions 0 and 1, as they are.
_SPATIAL = {
    'max_pool2d_with_indices', 'avg_pool2d', 'adaptive_avg_pool2d', '_adaptive_avg_pool2d',
    'upsample_nearest2d', 'upsample_bilinear2d', 'constant_pad_nd', 'reflection_pad2d', 'replication_pad2d',
}  # fmt: skip
_VIEWS = {'view', '_unsafe_view', 'reshape', 'unsqueeze', 'squeeze', 'flatten', 'expand'}
_REDUCTIONS = {'mean', 'sum', 'amax', 'max'}
# What takes maps apart, by numbers that stand in the code: their channels stay.
_CUTS = {'split', 'split_with_sizes', 'chunk', 'slice', 'select', 'unbind', 'index_select', 'channel_shuffle'}
# Tensors without numbers in them, or of which only the shape is used.
_NEW = {'empty', 'zeros', 'ones', 'full', 'rand', 'randn', 'arange', 'scalar_tensor', 'lift_fresh', 'zeros_like'}

# Numbers of the channels in each dimension of a tensor; None for dimensions without channels.
Ids = tuple['np.ndarray | None', ...]


class ChannelRules:
    """Numbers the channels of tensors, and joins those that belong together.

    Attributes:
        parents: Which numbers belong together.
        unknown: Operations that are not understood, whose channels stay, and how often they occurred.
    """

    def __init__(self) -> None:
        self.parents = Union()
        self.unknown: Counter[str] = Counter()
        # Tensors are kept, as the identity of one that is gone may be another's.
        self._ids: dict[int, tuple[Tensor, Ids]] = {}

    def number(self, tensor: Tensor) -> Ids:
        """Gives each place of each dimension of a tensor a number of its own."""
        ids = tuple(self.parents.new(size) for size in tensor.shape)
        self._ids[id(tensor)] = tensor, ids
        return ids

    def follow(self, name: str, result: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> None:
        """Numbers what an operation gave.

        Args:
            name: As ATen has it.
            result: What it gave.
            args, kwargs: What it was given.
        """
        given = list(tensors_in(args))
        rule: Callable[..., Sequence[Ids]] | None = getattr(self, f'rule_{name.strip("_")}', None)
        if name in _NEW or not given:
            return
        if rule:
            found = rule(result, *args, **kwargs)
        elif name in _ELEMENTWISE:
            found = [self._broadcast(result, given)]
        elif name in _SPATIAL:
            found = [self._spatial(given[0], next(tensors_in(result)))]
        elif name in _VIEWS:
            found = [self._viewed(given[0], result)]
        elif name in _REDUCTIONS and isinstance(result, Tensor):
            found = [self._reduced(given[0], result, *args[1:])]
        else:
            if name not in _CUTS:
                self.unknown[name] += 1
            self.freeze(given)
            found = []
        for tensor, ids in zip(tensors_in(result), found, strict=False):
            self._ids[id(tensor)] = tensor, ids

    def freeze(self, tensors: Iterable[Tensor]) -> None:
        """Channels of these tensors stay."""
        for tensor in tensors:
            for ids in self.of(tensor):
                self.parents.freeze(ids)

    def of(self, tensor: Tensor) -> Ids:
        known = self._ids.get(id(tensor))
        return known[1] if known else (None,) * tensor.dim()

    def _tie(self, first: np.ndarray | None, second: np.ndarray | None) -> None:
        """Channels at the same place of two dimensions belong together; those beside unknown ones stay."""
        if first is None or second is None:
            self.parents.freeze(first)
            self.parents.freeze(second)
        else:
            self.parents.join(first, second)

    def _broadcast(self, result: Tensor, given: Sequence[Tensor]) -> Ids:
        found: list[np.ndarray | None] = []
        for dimension in range(result.dim()):
            own = []
            for tensor in given:
                place = dimension - result.dim() + tensor.dim()
                if place >= 0 and tensor.shape[place] == result.shape[dimension] > 1:
                    own.append(self.of(tensor)[place])
            known = [ids for ids in own if ids is not None]
            # The numbers of plain tensors beside channels are of no parameter, and cannot be removed with them.
            if known and len(known) < len(own):
                for ids in known:
                    self.parents.freeze(ids)
            for ids in known[1:]:
                self._tie(known[0], ids)
            found.append(known[0] if known else None)
        return tuple(found)

    def _spatial(self, x: Tensor, result: Tensor) -> Ids:
        """Images and channels stay what they are; channels elsewhere, or of which the number changes, have to stay."""
        ids = self.of(x)
        kept = ids[:2] if x.shape[:2] == result.shape[:2] else ()
        for own in ids[len(kept) :]:
            self.parents.freeze(own)
        return (*kept, *[None] * (result.dim() - len(kept)))

    def _viewed(self, x: Tensor, result: Tensor) -> Ids:
        """A dimension stays what it is where its size is the same and the product of the sizes before it."""
        before = {
            (math.prod(x.shape[:at]), size): ids for at, (size, ids) in enumerate(zip(x.shape, self.of(x), strict=True))
        }
        found = tuple(before.get((math.prod(result.shape[:at]), size)) for at, size in enumerate(result.shape))
        kept = {id(ids) for ids in found}
        for ids in self.of(x):
            if ids is not None and len(ids) > 1 and id(ids) not in kept:
                self.parents.freeze(ids)
        return found

    def _reduced(self, x: Tensor, result: Tensor, dimensions: Any = None, keepdim: bool = False, **_: Any) -> Ids:
        ids = self.of(x)
        if dimensions is None:
            self.freeze([x])
            return (None,) * result.dim()
        gone = {at % x.dim() for at in ([dimensions] if isinstance(dimensions, int) else dimensions)}
        for at in gone:
            self.parents.freeze(ids[at])
        if keepdim:
            return tuple(None if at in gone else own for at, own in enumerate(ids))
        return tuple(own for at, own in enumerate(ids) if at not in gone)

    def rule_convolution(
        self, result: Tensor, x: Tensor, weight: Tensor, bias: Tensor | None, *args: Any
    ) -> Sequence[Ids]:
        transposed, groups = args[3], args[5]
        outputs, inputs = self.of(weight)[:2]
        given = self.of(x)[1]
        for at, ids in enumerate(self.of(x)):
            if at != 1:
                self.parents.freeze(ids)
        if transposed:
            self.freeze([x, weight])
            outputs = None
        elif groups == 1:
            self._tie(given, inputs)
        else:
            self._tie_groups(given, outputs, groups)
            self.parents.freeze(inputs)
        if bias is not None:
            self._tie(outputs, self.of(bias)[0])
        return [(None, outputs, *[None] * (result.dim() - 2))]

    def _tie_groups(self, given: np.ndarray | None, outputs: np.ndarray | None, groups: int) -> None:
        """All inputs and outputs of a group of a convolution belong together."""
        if given is None or outputs is None:
            self._tie(given, outputs)
            return
        for own in (given, outputs):
            parts = own.reshape(groups, -1)
            self.parents.join(parts[:, :1].repeat(parts.shape[1], 1).ravel(), parts.ravel())
        self.parents.join(given.reshape(groups, -1)[:, 0], outputs.reshape(groups, -1)[:, 0])

    def rule_native_batch_norm(self, result: Any, x: Tensor, *rest: Any) -> Sequence[Ids]:
        ids = self.of(x)
        for tensor in rest[:4]:
            if tensor is not None:
                self._tie(ids[1], self.of(tensor)[0])
        return [ids]

    def rule_native_batch_norm_legit_no_training(self, *args: Any) -> Sequence[Ids]:
        return self.rule_native_batch_norm(*args)

    def rule_cat(self, result: Tensor, tensors: Sequence[Tensor], dimension: int = 0) -> Sequence[Ids]:
        dimension %= result.dim()
        every = [self.of(tensor) for tensor in tensors]
        found: list[np.ndarray | None] = []
        for at in range(result.dim()):
            parts = [ids[at] for ids in every]
            known = [part for part in parts if part is not None]
            if len(known) < len(parts):
                for part in known:
                    self.parents.freeze(part)
                found.append(None)
            elif at == dimension:
                found.append(np.concatenate(known))
            else:
                for part in known[1:]:
                    self._tie(known[0], part)
                found.append(known[0])
        return [tuple(found)]

    def rule_permute(self, result: Tensor, x: Tensor, order: Sequence[int]) -> Sequence[Ids]:
        ids = self.of(x)
        return [tuple(ids[at] for at in order)]

    def rule_t(self, result: Tensor, x: Tensor) -> Sequence[Ids]:
        return [self.of(x)[::-1]]

    def rule_transpose(self, result: Tensor, x: Tensor, first: int, second: int) -> Sequence[Ids]:
        ids = list(self.of(x))
        ids[first], ids[second] = ids[second], ids[first]
        return [tuple(ids)]

    def rule_mm(self, result: Tensor, x: Tensor, weight: Tensor) -> Sequence[Ids]:
        self._tie(self.of(x)[1], self.of(weight)[0])
        return [(self.of(x)[0], self.of(weight)[1])]

    def rule_addmm(self, result: Tensor, bias: Tensor, x: Tensor, weight: Tensor, **_: Any) -> Sequence[Ids]:
        found = self.rule_mm(result, x, weight)
        self._tie(found[0][1], self.of(bias)[-1])
        return found


def tensors_in(value: Any) -> Iterator[Tensor]:
    """The tensors in lists, tuples and mappings."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (tuple, list)):
        for part in value:
            yield from tensors_in(part)
    elif isinstance(value, dict):
        yield from tensors_in(list(value.values()))
