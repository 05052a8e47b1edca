"""Whether the config that a network has is one that it can be run with: people give it another."""

from __future__ import annotations

from collections.abc import Sequence

from mbv3zoo.config.model import ModelConfig
from mbv3zoo.config.tasks import KINDS


def check_config(config: ModelConfig, in_chans: int, num_classes: int, num_anchors: Sequence[int] = ()) -> None:
    """Refuses a config of other channels, classes or numbers of anchors than the network has.

    Args:
        config: The config.
        in_chans, num_classes: What the network has.
        num_anchors: A detector's number of anchors of each level.

    Raises:
        ValueError: They differ; the first is named.
    """
    stated = getattr(config, 'anchors', ())
    anchors = [stated] if isinstance(stated, int) else [len(level) for level in stated]
    kind = KINDS[config.task]
    found: dict[str, tuple[object, object]] = {
        'channels of the input (in_chans)': (config.in_chans, in_chans),
        'classes (num_classes)': (config.num_classes, num_classes),
        'classes (class_names)': (len(config.class_names), num_classes),
        'anchors per level': (anchors, list(num_anchors)),
    }
    for name, (stated, own) in found.items():
        if stated != own:
            raise ValueError(
                f'the config of the {kind} was replaced by one that does not fit it: {name} {stated}, the network '
                f'has {own}; give it one that does, or build a {kind} from that with create_{kind}'
            )
