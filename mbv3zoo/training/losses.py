"""The losses by their names in `TrainConfig`."""

from __future__ import annotations

from typing import Any

from mbv3zoo.config.detector import DetectorConfig
from mbv3zoo.config.training import TrainConfig
from mbv3zoo.training.segmentation_loss import SegmentationLoss
from mbv3zoo.training.simota_loss import SimOTALoss
from mbv3zoo.training.yolov5_loss import YOLOv5Loss

Loss = SimOTALoss | YOLOv5Loss
LOSSES: dict[str, type[Loss]] = {'simota': SimOTALoss, 'yolov5': YOLOv5Loss}


def create_loss(network: Any, config: TrainConfig, processes: int = 1) -> Loss | SegmentationLoss:
    """The loss that `config` names, for a detector's anchors and classes; of a segmenter its own.

    Args:
        network: What is trained.
        config: How to train.
        processes: Number of processes that train together.
    """
    settings = network.config
    if settings.task == 'segmentation':
        return SegmentationLoss(config, processes)
    return detection_loss(network, settings, config, processes)


def detection_loss(head: Any, settings: DetectorConfig, config: TrainConfig, processes: int = 1) -> Loss:
    """The loss that `config` names, for one head.

    Args:
        head: What has the anchors and strides, a detector or an auxiliary head.
        settings: The detector's config.
        config: How to train.
        processes: Number of processes that train together.
    """
    return LOSSES[config.loss](head.anchors, head.strides, settings.num_classes, settings.image_size, config, processes)
