from typing import get_args

import pytest
import torch

from mbv3zoo.config.detector import DetectorConfig
from mbv3zoo.config.training import TrainConfig
from mbv3zoo.models.network import DetectorNetwork
from mbv3zoo.training.losses import LOSSES, create_loss
from mbv3zoo.training.simota_loss import SimOTALoss
from mbv3zoo.training.yolov5_loss import YOLOv5Loss


def test_every_name_of_the_settings_has_its_loss():
    assert set(LOSSES) == set(get_args(TrainConfig.model_fields['loss'].annotation))
    assert {'simota': SimOTALoss, 'yolov5': YOLOv5Loss} == LOSSES


@pytest.mark.parametrize('name', LOSSES)
def test_a_loss_is_for_the_networks_anchors_and_classes(name):
    network = DetectorNetwork(DetectorConfig(backbone='mbv3_yolo_small_050', num_classes=3, image_size=64, anchors=2))
    loss = create_loss(network, TrainConfig(loss=name), processes=2)
    assert type(loss) is LOSSES[name] and torch.equal(loss.anchors, network.anchors)
    assert (loss.strides, loss.num_classes, loss.processes) == ((8, 16, 32), 3, 2)
