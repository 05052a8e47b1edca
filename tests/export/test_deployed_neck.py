import torch

from mbv3zoo.create import create_detector
from mbv3zoo.export.deployed_neck import DeployedPAN, deployed_neck
from mbv3zoo.models.layers import conv


def test_a_neck_of_other_blocks_is_exported_as_it_is():
    detector = create_detector('mbv3_yolo_small', num_classes=3, image_size=64).eval().fuse()
    neck = detector.neck
    assert isinstance(deployed_neck(neck), DeployedPAN)
    neck.top_down3 = conv(neck.top_down3.conv1.conv.in_channels, neck.out_channels[0], 3)
    assert deployed_neck(neck) is neck
    identity = torch.nn.Identity()
    assert deployed_neck(identity) is identity
