"""Activations by name."""

from __future__ import annotations

import ast
import reprlib
from functools import partial
from typing import Any

from timm.layers import get_act_layer
from torch import nn

# YOLOv5 files write the activation as a call, such as nn.LeakyReLU(0.1).
_TORCH = {
    name: getattr(nn, name)
    for name in (
        'SiLU',
        'ReLU',
        'ReLU6',
        'LeakyReLU',
        'ELU',
        'GELU',
        'Mish',
        'Hardswish',
        'Identity',
    )
}
# Python's parser recurses, and the text may come from an untrusted file.
_LONGEST = 100


def activation_layer(name: str) -> Any:
    """The class of an activation, or a partial of it.

    Args:
        name: A name in timm.layers ('silu', 'relu', 'hard_swish'), or a call with plain values as YOLOv5 files have it
            ('nn.SiLU()', 'nn.LeakyReLU(0.1)'); the call is parsed, never run.

    Raises:
        ValueError: Unknown activation.
    """
    if not isinstance(name, str) or not 0 < len(name) <= _LONGEST:
        raise ValueError(f'an activation is a name of at most {_LONGEST} characters, given {reprlib.repr(name)}')
    if name.endswith(')'):
        return _from_call(name)
    try:
        return get_act_layer(name)
    except KeyError:
        raise ValueError(
            f'unknown activation {name!r}: expected a name in timm.layers such as silu, relu, hard_swish'
        ) from None


def _from_call(text: str) -> Any:
    try:
        call = ast.parse(text, mode='eval').body
        if not isinstance(call, ast.Call):
            raise ValueError('not a call')
        layer = _TORCH[ast.unparse(call.func).removeprefix('torch.').removeprefix('nn.')]
        args = [ast.literal_eval(arg) for arg in call.args]
        # '' for a **, which no layer takes
        kwargs = {keyword.arg or '': ast.literal_eval(keyword.value) for keyword in call.keywords}
        layer(*args, **kwargs)
    except (SyntaxError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f'unknown activation {text!r}: expected one of {", ".join(_TORCH)} with plain values, such as '
            "'nn.LeakyReLU(0.1)'"
        ) from error
    kwargs.pop('inplace', None)  # the layers that take one set it themselves
    return partial(layer, *args, **kwargs) if args or kwargs else layer
