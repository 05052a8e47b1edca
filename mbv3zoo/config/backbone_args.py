"""Arguments of timm.create_model that come from a file: what it may not ask for."""

from __future__ import annotations

from typing import Any

# What nobody else's configuration may set, by how it begins: these read files, choose what is built, or are chosen by
# whoever builds it.
_REFUSED_ARGS = (
    'checkpoint', 'cache_', 'pretrained', 'features_only', 'out_indices', 'feature_c', 'device', 'dtype', 'in_chans',
    'name', 'image_size', 'map_strides',
)  # fmt: skip
# Bounds on numbers in it, far beyond any model.
_DEEPEST = 512
_WIDEST = 16384


def check_backbone_args(args: dict[str, Any], source: Any) -> None:
    """Raises ValueError where somebody else's configuration asks timm for what it must not, or for the impossible.

    Args:
        args: Arguments of `timm.create_model`.
        source: What errors call the configuration.
    """
    if refused := sorted(str(key) for key in args if str(key).startswith(_REFUSED_ARGS)):
        raise ValueError(f'{source} sets {", ".join(refused)} for the backbone, which it has no say in')
    for key, value in args.items():
        most = _DEEPEST if 'depth' in str(key) or 'layers' in str(key) else _WIDEST
        numbers = value if isinstance(value, (list, tuple)) else [value]
        if any(isinstance(number, (int, float)) and not abs(number) <= most for number in numbers):
            raise ValueError(f'{source} sets {key}={value!r} for the backbone, expected at most {most}')
