"""Segmenters by the road of detectors: created, saved, loaded, for other classes, frozen."""

import pytest
import torch

import mbv3zoo


@pytest.fixture(scope='module')
def segmenter():
    torch.manual_seed(0)
    return mbv3zoo.create_segmenter('mbv3_yolo_small_050', class_names=['nothing', 'cat', 'dog'], image_size=64).eval()


@pytest.fixture(scope='module')
def folder(segmenter, tmp_path_factory):
    return segmenter.save_pretrained(tmp_path_factory.mktemp('saved') / 'segmenter')


def test_it_comes_back_from_its_folder(segmenter, folder):
    images = torch.rand(1, 3, 96, 64)
    for loaded in (mbv3zoo.load(folder), mbv3zoo.Segmenter.from_pretrained(folder)):
        assert type(loaded) is mbv3zoo.Segmenter and loaded.config == segmenter.config
        assert torch.equal(loaded(images), segmenter(images))
    card = (folder / 'README.md').read_text()
    assert 'pipeline_tag: image-segmentation' in card and 'Segmenter.from_pretrained' in card and 'etector' not in card


def test_a_detector_is_no_segmenter_and_a_segmenter_no_detector(folder):
    for wrong in (mbv3zoo.Detector.from_pretrained, mbv3zoo.create_detector):
        with pytest.raises(ValueError, match='is a segmenter'):
            wrong(folder)
    with pytest.raises(ValueError, match='is a segmenter'):
        mbv3zoo.create_detector('mbv3_lraspp_small')
    with pytest.raises(ValueError, match='is a detector'):
        mbv3zoo.create_segmenter('mbv3_yolo_small.synth')
    with pytest.raises(ValueError, match='did you mean'):
        mbv3zoo.create_segmenter('mbv3_lraspp_smal')


def test_classes_of_the_same_name_keep_their_weights(segmenter, folder, caplog):
    other = mbv3zoo.create_segmenter(folder, pretrained=True, class_names=['nothing', 'dog', 'owl'])
    for name in ('low_classifier', 'high_classifier'):
        before, after = getattr(segmenter.head, name), getattr(other.head, name)
        assert torch.equal(after.weight[:2], before.weight[[0, 2]]) and torch.equal(after.bias[:2], before.bias[[0, 2]])
    assert torch.equal(other.head.cbr[0].weight, segmenter.head.cbr[0].weight) and 'owl' in caplog.text


def test_folding_changes_nothing_and_the_backbone_can_be_frozen():
    segmenter = mbv3zoo.create_segmenter('resnet18', num_classes=2, image_size=64, freeze_backbone=1).eval()
    assert not segmenter.backbone.model.conv1.weight.requires_grad and segmenter.head.cbr[0].weight.requires_grad
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        before = segmenter(images)
        torch.testing.assert_close(segmenter.fuse()(images), before, atol=1e-4, rtol=1e-4)
    with pytest.raises(ValueError, match='a fused segmenter cannot be saved'):
        segmenter.save_pretrained('nowhere')
