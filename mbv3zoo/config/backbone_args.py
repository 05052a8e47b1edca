"""Arguments of timm.create_model that a config file may not set."""

from __future__ import annotations

from typing import Any

# Prefixes of arguments that a config file may not set: they read files, choose what is built, or are the caller's.
_REFUSED_ARGS = (
    'checkpoint', 'cache_', 'pretrained', 'features_only', 'out_indices', 'feature_c', 'device', 'dtype', 'in_chans',
    'name', 'image_size', 'map_strides',
)  # fmt: skip
# Bounds on numbers, far beyond any model.
_DEEPEST = 512
_WIDEST = 16384


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
