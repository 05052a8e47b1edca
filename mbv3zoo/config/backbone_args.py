"""Arguments of timm.create_model in a config: plain values, and those that a config file may not set."""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np

from mbv3zoo.utils.text import shown

# Prefixes of arguments that a config file may not set: they read files, choose what is built, or are the caller's.
_REFUSED_ARGS = (
    'checkpoint', 'cache_', 'pretrained', 'features_only', 'out_indices', 'feature_c', 'device', 'dtype', 'in_chans',
    'name', 'image_size', 'map_strides',
)  # fmt: skip
# Arguments that the detector passes to timm itself, from its own settings.
_OF_THE_DETECTOR = {'pretrained', 'image_size', 'in_chans', 'num_classes'}
_CHOSEN = {'name', 'map_strides'}
_RATES = ('drop_rate', 'drop_path_rate')
# Bounds on numbers, far beyond any model.
_DEEPEST = 512
_WIDEST = 16384
# Lists within lists.
_DEEPEST_VALUE = 8


def check_backbone_args(args: dict[str, Any], source: Any) -> None:
    """Checks arguments for timm that come from a config file, which may be anybody's.

    Args:
        args: Arguments of `timm.create_model`.
        source: Name used in error messages.

    Raises:
        ValueError: A config file may not set one of them, or a number is out of range.
    """
    if refused := sorted(str(key) for key in args if str(key).startswith(_REFUSED_ARGS)):
        raise ValueError(f'{source} sets {", ".join(refused)} for the backbone, which a config file may not set')
    for key, value in args.items():
        most = _DEEPEST if 'depth' in str(key) or 'layers' in str(key) else _WIDEST
        numbers = value if isinstance(value, (list, tuple)) else [value]
        if any(isinstance(number, (int, float)) and not abs(number) <= most for number in numbers):
            raise ValueError(f'{source} sets {key}={value!r} for the backbone, expected at most {most}')


def plain_args(args: Mapping[Any, Any]) -> dict[str, Any]:
    """Arguments as config.json holds them, so that a detector is built from the very values that are saved with it.

    Args:
        args: Arguments of `timm.create_model`. Numbers may be NumPy's; tuples become lists.

    Raises:
        ValueError: One is something else, such as a class or a function; is a rate out of range; or is a setting of
            the detector, which would then have two.
    """
    if odd := [name for name in args if not isinstance(name, str)]:
        raise ValueError(f'the names of arguments must be strings, given {shown(odd[0])}')
    if twice := sorted(_OF_THE_DETECTOR & args.keys()):
        raise ValueError(
            f'{", ".join(twice)}: not to be set for the backbone alone; give it to create_detector or DetectorConfig '
            'itself'
        )
    if chosen := sorted(_CHOSEN & args.keys()):
        raise ValueError(f'{", ".join(chosen)}: not to be set, a detector chooses it itself')
    plain = {name: _plain(name, value) for name, value in args.items()}
    for name in _RATES:
        if isinstance(rate := plain.get(name), (int, float)) and not 0 <= rate < 1:
            raise ValueError(f'{name} is {rate!r}, expected a share from 0 to below 1')
    return plain


def _plain(name: str, value: Any, depth: int = 0) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real) and math.isfinite(value):
        return float(value)
    if depth < _DEEPEST_VALUE:
        if isinstance(value, (list, tuple)):
            return [_plain(name, part, depth + 1) for part in value]
        if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
            return {key: _plain(name, part, depth + 1) for key, part in value.items()}
    given = f'the class {value.__name__}' if isinstance(value, type) else f'a {type(value).__name__}, {shown(value)}'
    raise ValueError(
        f'{name} is {given}, which config.json cannot hold; give a finite number, text, true or false, or a list or '
        "mapping of these: timm takes layers by their names, such as norm_layer='batchnorm2d' or act_layer='relu'"
    )
