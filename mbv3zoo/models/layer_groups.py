"""Which of timm's layers a backbone's parameter belongs to: for frozen stages, layer decay and weight decay."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from timm.models import group_parameters
from torch import nn

from mbv3zoo.models.timm_model import create_on_meta
from mbv3zoo.utils.tensors import match_names

# Arguments that only the feature extractor is built with.
_FEATURE_ARGS = ('feature_cls', 'checkpoint_path', 'cache_dir', 'output_stride')


class LayerGroups:
    """The layers of a timm feature extractor, as the whole model's `group_matcher` numbers them.

    timm's feature wrappers rename parameters and drop `group_matcher`, so the whole model is built again on the meta
    device.

    Args:
        name: A timm model name.
        build_args: Arguments of `timm.create_model` that the feature extractor was built with.
        features: The feature extractor.
    """

    def __init__(self, name: str, build_args: dict[str, Any], features: nn.Module) -> None:
        self.whole: Any = whole_model(name, build_args)
        self.names = match_names(dict(features.named_parameters()), dict(self.whole.named_parameters()))

    def ids(self, coarse: bool = False) -> dict[str, int]:
        """Parameter name -> number of its layer, from 0 at the input.

        Args:
            coarse: Count stages rather than blocks; the stem is stage 0.
        """
        try:
            ids = group_parameters(self.whole, self.whole.group_matcher(coarse=coarse), reverse=True)
        except (AttributeError, AssertionError):  # some models have none, or none for stages
            ids = self._ids_by_feature()
        found = {name: ids.get(own) for name, own in self.names.items()}
        last = max((i for i in found.values() if i is not None), default=0)
        found = {name: last if i is None else i for name, i in found.items()}
        # Without gaps, as layers behind the last feature map are missing.
        order = {old: new for new, old in enumerate(sorted(set(found.values())))}
        return {name: order[i] for name, i in found.items()}

    def matcher(self, prefix: str, coarse: bool = False) -> Callable[[str], tuple[float, ...]]:
        """As timm's `group_matcher`: parameter name -> (number,); names without `prefix` come last."""
        ids = {prefix + name: i for name, i in self.ids(coarse).items()}
        return lambda name: (ids.get(name, float('inf')),)

    def no_weight_decay(self) -> set[str]:
        """The parameters that timm exempts from weight decay, such as position embeddings."""
        exempt: set[str] = getattr(self.whole, 'no_weight_decay', set)()
        return {name for name, own in self.names.items() if own in exempt}

    def _ids_by_feature(self) -> dict[str, int]:
        # Each feature map ends a stage, and parameters are in the order in which they are used.
        ends = [f'{info["module"]}.' for info in self.whole.feature_info]
        ids, stage = {}, 0
        for name, _ in self.whole.named_parameters():
            inside = [i for i, end in enumerate(ends) if name.startswith(end)]
            stage = max([stage, *(i + 1 for i in inside)])
            ids[name] = stage
        return ids


def whole_model(name: str, build_args: dict[str, Any]) -> nn.Module:
    """The timm model that a feature extractor was made of, on the meta device.

    Args:
        name: A timm model name.
        build_args: Arguments of `timm.create_model` that the feature extractor was built with.
    """
    return create_on_meta(name, **{key: value for key, value in build_args.items() if key not in _FEATURE_ARGS})
