"""Whether a network still consists of the very same objects: quick, as most are looked up by the interpreter itself."""

from __future__ import annotations

from torch import nn

from mbv3zoo.models.structure import FORWARD_HOOKS, OF_ALL, fixed, is_fixed

# What is changed in place, of every module.
_TABLES = ('_parameters', '_buffers', '_modules', *FORWARD_HOOKS)


class SameObjects:
    """The modules of a network with their classes, attributes, tensors and hooks, as they are now.

    Where nothing has changed, that takes a third of what comparing two descriptions (`mbv3zoo.models.structure`) takes.
    Numbers in tensors are not looked at.

    Args:
        network: The network; no reference to it is kept.
    """

    def __init__(self, network: nn.Module) -> None:
        modules = list(network.modules())
        self._parts = modules[1:]
        self._kinds = [type(module) for module in modules]
        self._attributes = [dict(vars(module)) for module in modules]
        self._tables = [[(name, dict(own[name])) for name in _TABLES] for own in self._attributes]
        # Functions may hold values that change.
        self._has_hooks = any(own[name] for own in self._attributes for name in FORWARD_HOOKS)
        # Lists and the like, which may be changed in place.
        self._values = [
            (index, name, fixed(value))
            for index, own in enumerate(self._attributes)
            for name, value in own.items()
            if name not in OF_ALL and not is_fixed(value)
        ]

    def are_those_of(self, network: nn.Module) -> bool:
        """Whether the network has these objects, and none of them was changed; False where that is not sure."""
        if self._has_hooks:
            return False
        modules = [network, *self._parts]
        try:
            for module, kind, attributes, tables in zip(
                modules, self._kinds, self._attributes, self._tables, strict=True
            ):
                own = module.__dict__
                if type(module) is not kind or own != attributes:
                    return False
                for name, table in tables:
                    if own[name] != table:
                        return False
            return all(fixed(modules[index].__dict__[name]) == value for index, name, value in self._values)
        except (RuntimeError, ValueError):
            # Tensors and arrays that were replaced are compared number by number, which is no answer.
            return False
