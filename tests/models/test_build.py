"""The class of a network follows from its config."""

import mbv3zoo
from mbv3zoo.models.build import NETWORKS, build_network


def test_each_task_has_its_network():
    for config in (mbv3zoo.DetectorConfig(backbone='resnet18'), mbv3zoo.SegmenterConfig(backbone='resnet18')):
        network = build_network(config, device='meta')
        assert type(network) is NETWORKS[config.task] and type(network).config_class is type(config)
