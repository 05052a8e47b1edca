"""Whether the config that a network has is one that it can be run with: people give it another."""

from __future__ import annotations

from mbv3zoo.config.detector import DetectorConfig


def check_config(config: DetectorConfig, in_chans: int, num_classes: int, num_anchors: list[int]) -> None:
    """Refuses a config of other channels, classes or numbers of anchors than the network has.

    Args:
        config: The config.
        in_chans, num_classes: What the network has.
        num_anchors: Its number of anchors of each level.

    Raises:
        ValueError: They differ; the first is named.
    """
    anchors = [config.anchors] if isinstance(config.anchors, int) else [len(level) for level in config.anchors]
    found: dict[str, tuple[object, object]] = {
        'channels of the input (in_chans)': (config.in_chans, in_chans),
        'classes (num_classes)': (config.num_classes, num_classes),
        'classes (class_names)': (len(config.class_names), num_classes),
        'anchors per level': (anchors, num_anchors),
    }
    for name, (stated, own) in found.items():
        if stated != own:
            raise ValueError(
                f'the config of the detector was replaced by one that does not fit it: {name} {stated}, the network '
                f'has {own}; give it one that does, or build a detector from that with create_detector'
            )
