"""The network of a config."""

from __future__ import annotations

from typing import Any

from mbv3zoo.config.model import ModelConfig, Task
from mbv3zoo.models.base_network import ModelNetwork
from mbv3zoo.models.network import DetectorNetwork
from mbv3zoo.models.segmenter_network import SegmenterNetwork

NETWORKS: dict[Task, Any] = {'detection': DetectorNetwork, 'segmentation': SegmenterNetwork}


def build_network(config: ModelConfig, pretrained: bool = False, **backbone_args: Any) -> ModelNetwork:
    """Builds the network of a config, of the class that its task has; arguments as `ModelNetwork`."""
    return NETWORKS[config.task](config, pretrained, **backbone_args)
