"""Which weights a model card is about: a digest of their values stands in the library's part of the card."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping

import torch
from torch import Tensor

from mbv3zoo.config.model import ModelConfig

_LINE = re.compile(r'<!-- mbv3zoo:weights ([0-9a-f]{64}) -->')


def detector_mark(config: ModelConfig, backbone: Mapping[str, Tensor], head: Mapping[str, Tensor]) -> str:
    """A digest of a detector's weights and settings: what the figures of a card depend on.

    Weights are compared by their values: those that were stored in float16 and loaded in float32 are the same weights.
    Licences do not count, nor do the batch counters of BatchNorm.

    Args:
        config: The detector's config.
        backbone, head: Its tensors as they are saved, by name.

    Returns:
        64 hexadecimal digits.
    """
    # Without defaults, so that it stays the same where a later version has more settings.
    settings = config.model_dump(mode='json', exclude={'licenses'}, exclude_defaults=True)
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for part, tensors in (('backbone', backbone), ('head', head)):
        for name in sorted(name for name in tensors if not name.endswith('num_batches_tracked')):
            tensor = tensors[name].detach().cpu()
            if tensor.is_floating_point() and tensor.element_size() < 4:
                tensor = tensor.float()
            digest.update(json.dumps([part, name, list(tensor.shape), str(tensor.dtype)]).encode())
            if tensor.numel():
                digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def mark_line(mark: str) -> str:
    """The line of a card that says which weights it is about; readers do not see it."""
    return f'<!-- mbv3zoo:weights {mark} -->'


def find_mark(part: str) -> str | None:
    """The digest in the library's part of a card; None where an older version wrote it."""
    found = _LINE.search(part)
    return None if found is None else found[1]
