"""timm's feature hooks, made fit for several threads."""

from __future__ import annotations

import threading
from collections import OrderedDict, defaultdict
from typing import Any

from timm.models import FeatureHooks
from torch import nn

# Private to timm: device -> name -> feature map.
_OUTPUTS = '_feature_outputs'


class _OwnOutputs(threading.local):
    """What hooks have collected, by device, for each thread by itself."""

    def __init__(self) -> None:
        self._by_device: defaultdict[Any, OrderedDict] = defaultdict(OrderedDict)

    def __getitem__(self, device: Any) -> OrderedDict:
        return self._by_device[device]

    def __setitem__(self, device: Any, outputs: OrderedDict) -> None:
        self._by_device[device] = outputs

    def __reduce__(self) -> tuple:
        # Copied and saved empty.
        return type(self), ()


def collect_by_thread(model: nn.Module) -> None:
    """Keeps the feature maps of threads apart that run one model at once, in place, where hooks collect them.

    timm keeps them in one place for all threads, so that one gets another's, or none.
    """
    for module in model.modules():
        for value in vars(module).values():
            if isinstance(value, FeatureHooks):
                assert hasattr(value, _OUTPUTS)
                setattr(value, _OUTPUTS, _OwnOutputs())
