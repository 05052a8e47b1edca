"""Which layer a backbone's parameter belongs to, in timm's count: for frozen stages, layer decay and weight decay."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from timm.models import group_parameters
from torch import nn

from mbv3zoo.models.timm_model import create_on_meta

# Arguments that make a feature model of a timm model.
_FEATURE_ARGS = ('feature_cls', 'checkpoint_path', 'cache_dir')


class LayerGroups:
    """The layers of a timm feature model, as the whole model's `group_matcher` names them.

    timm's feature wrappers rename parameters and drop `group_matcher`, so the whole model is built once more, without
    storage.

    Args:
        name: A timm model name.
        build_args: Arguments of `timm.create_model` that the feature model was built with.
        features: The feature model.
    """

    def __init__(self, name: str, build_args: dict[str, Any], features: nn.Module) -> None:
        self.whole: Any = whole_model(name, build_args)
        self.names = match_names(dict(features.named_parameters()), dict(self.whole.named_parameters()))

    def ids(self, coarse: bool = False) -> dict[str, int]:
        """The feature model's parameter -> number of its layer, from 0 at the input.

        Args:
            coarse: Count stages rather than blocks, the stem being the first.
        """
        try:
            ids = group_parameters(self.whole, self.whole.group_matcher(coarse=coarse), reverse=True)
        except (AttributeError, AssertionError):  # some models have none, or none that counts stages
            ids = self._ids_by_feature()
        found = {name: ids.get(own) for name, own in self.names.items()}
        last = max((i for i in found.values() if i is not None), default=0)
        found = {name: last if i is None else i for name, i in found.items()}
        # Without gaps: layers that the features do not need are not in them.
        order = {old: new for new, old in enumerate(sorted(set(found.values())))}
        return {name: order[i] for name, i in found.items()}

    def matcher(self, prefix: str, coarse: bool = False) -> Callable[[str], tuple[float, ...]]:
        """timm's form of it: a function from a parameter's name to its ordinal; names without `prefix` come last."""
        ids = {prefix + name: i for name, i in self.ids(coarse).items()}
        return lambda name: (ids.get(name, float('inf')),)

    def no_weight_decay(self) -> set[str]:
        """The feature model's parameters that timm exempts from weight decay, such as position embeddings."""
        exempt: set[str] = getattr(self.whole, 'no_weight_decay', set)()
        return {name for name, own in self.names.items() if own in exempt}

    def _ids_by_feature(self) -> dict[str, int]:
        # Without a group_matcher: each map ends a stage, and parameters stand in the order in which they are used.
        ends = [f'{info["module"]}.' for info in self.whole.feature_info]
        ids, stage = {}, 0
        for name, _ in self.whole.named_parameters():
            inside = [i for i, end in enumerate(ends) if name.startswith(end)]
            stage = max([stage, *(i + 1 for i in inside)])
            ids[name] = stage
        return ids


def whole_model(name: str, build_args: dict[str, Any]) -> nn.Module:
    """The timm model that a feature model was made of, without storage.

    Args:
        name: A timm model name.
        build_args: Arguments of `timm.create_model` that the feature model was built with.
    """
    return create_on_meta(name, **{key: value for key, value in build_args.items() if key not in _FEATURE_ARGS})


def match_names(wrapped: Iterable[str], whole: Iterable[str]) -> dict[str, str | None]:
    """Names of a feature model's tensors -> their names in the whole model; None for those it does not have."""
    # Wrappers put the model under 'model.' or 'body.', or flatten its names: 'stages.0' becomes 'stages_0'.
    own = {name.replace('.', '_'): name for name in whole}
    return {name: own.get(re.sub(r'^(model|body)\.', '', name).replace('.', '_')) for name in wrapped}
