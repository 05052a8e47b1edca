"""A detector and what is trained beside it see the same feature maps."""

import torch

from mbv3zoo.create import create_detector
from mbv3zoo.training.auxiliary import AuxiliaryHead
from mbv3zoo.training.beside import WithBeside
from mbv3zoo.training.imitation import Imitation


def test_they_see_one_image_and_the_auxiliary_gradient_leaves_the_neck_out():
    detector = create_detector('mbv3_yolo_small_050', num_classes=4, image_size=64).eval()
    imitation = Imitation(detector.neck.out_channels, detector.strides, {8: 64, 32: 256})
    parts = torch.nn.ModuleDict({'auxiliary': AuxiliaryHead(detector).eval(), 'imitation': imitation})
    images = torch.rand(2, 3, 64, 96)
    logits, beside = WithBeside(detector, parts)(images)
    for one, other in zip(logits, detector(images), strict=True):
        assert torch.equal(one, other)
    assert [level.shape for level in beside['auxiliary']] == [level.shape for level in logits]
    maps = detector.neck(detector.backbone((images - detector.mean) / detector.std))
    for one, other in zip(beside['imitation'].values(), (maps[0], maps[2]), strict=True):
        assert torch.equal(one, other)
    sum(level.sum() for level in beside['auxiliary']).backward()
    assert all(parameter.grad is None for parameter in detector.neck.parameters())
    assert detector.backbone.model.conv_stem.weight.grad.abs().max() > 0


def test_only_what_is_there_is_run():
    detector = create_detector('mbv3_yolo_small_050', num_classes=4, image_size=64).eval()
    imitation = torch.nn.ModuleDict({'imitation': Imitation(detector.neck.out_channels, detector.strides, {16: 7})})
    _, beside = WithBeside(detector, imitation)(torch.rand(1, 3, 64, 64))
    assert list(beside) == ['imitation'] and [level.shape[1] for level in beside['imitation'].values()] == [7]
