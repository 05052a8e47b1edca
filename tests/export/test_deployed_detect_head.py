import numpy as np
import pytest
import torch

import mbv3zoo
from mbv3zoo import create_detector
from mbv3zoo.export.deployed_detect_head import deployed_detect_head
from mbv3zoo.models.decoupled import DecoupledHead
from mbv3zoo.models.head import DetectHead
from mbv3zoo.models.one_to_one import OneToOneBranch


@pytest.mark.parametrize('decoupled', [False, True])
@pytest.mark.parametrize('nms', [True, False])
def test_its_maps_are_the_logits_of_the_head(decoupled, nms):
    torch.manual_seed(0)
    channels, strides = [8, 16, 24], (8, 16, 32)
    branch = OneToOneBranch(channels, 2, strides, 'silu')
    args = channels, 3, 2, strides
    head = DecoupledHead(*args, 'silu', branch, nms) if decoupled else DetectHead(*args, branch, nms)
    head.eval()
    features = [torch.randn(2, c, 64 // s, 96 // s) for c, s in zip(channels, strides, strict=True)]
    with torch.no_grad():
        for found, level in zip(deployed_detect_head(head)(features), head(features), strict=True):
            maps = found.unflatten(1, (2, -1)).permute(0, 1, 3, 4, 2)
            torch.testing.assert_close(maps, level, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('suffix', ['.onnx', '.xml'])
def test_a_one_to_one_branch_needs_no_nms_in_a_file(tmp_path, suffix):
    torch.manual_seed(0)
    detector = create_detector('mbv3_yolo_small_050', num_classes=3, image_size=64, one_to_one=True).eval()
    for convs in (detector.head.convs, detector.head.one_to_one.convs):
        for layer in convs:
            torch.nn.init.zeros_(layer.bias)
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    exported = mbv3zoo.load(detector.export(tmp_path / f'alone{suffix}', nms='none'))
    assert not exported.info.nms and exported.info.outputs == 'maps'
    expected = detector.predict(image, nms=False, score_thresh=0.2)
    found = exported.predict(image, score_thresh=0.2)
    assert len(found) == len(expected) > len(detector.predict(image, score_thresh=0.2))
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-3)
    with pytest.raises(ValueError, match='need no NMS; leave nms out'):
        detector.without_nms().export(tmp_path / f'inside{suffix}', nms=True)
