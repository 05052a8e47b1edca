import torch

from mbv3zoo.create import create_detector
from mbv3zoo.export.deployed_neck import DeployedPAN, deployed_neck
from mbv3zoo.export.graph import DeployedNetwork
from mbv3zoo.info.flops import count_of
from mbv3zoo.models.layers import conv
from mbv3zoo.runtimes.export_info import ExportInfo
from mbv3zoo.version import __version__


def test_a_neck_of_other_blocks_is_exported_as_it_is():
    detector = create_detector('mbv3_yolo_small', num_classes=3, image_size=64).eval().fuse()
    neck = detector.neck
    assert isinstance(deployed_neck(neck), DeployedPAN)
    neck.top_down3 = conv(neck.top_down3.conv1.conv.in_channels, neck.out_channels[0], 3)
    assert deployed_neck(neck) is neck
    identity = torch.nn.Identity()
    assert deployed_neck(identity) is identity


def test_fewer_multiplications():
    detector = create_detector('mbv3_yolo_small', num_classes=3, image_size=64).eval()
    info = ExportInfo.of(detector.config, detector.strides, __version__, input_dtype='float32')
    images = torch.zeros(1, 3, 64, 64)
    neck = detector.neck
    # The two upsampled maps: three of four cells less, for both convolutions of each C3.
    saved = sum(
        3 * cells * coarse * 2 * block.conv1.conv.out_channels
        for cells, coarse, block in (
            (2 * 2, neck.lateral5.out_channels, neck.top_down4),
            (4 * 4, neck.lateral4.out_channels, neck.top_down3),
        )
    )
    # A multiply-add counts as two.
    assert count_of(detector, images) - count_of(DeployedNetwork(detector, info), images) == 2 * saved > 0
