import copy

import numpy as np
import pytest
import torch
from exported_files import SCENE
from yolov5_yamls import P6

import mbv3zoo
from mbv3zoo.models.peaks import only_peaks

STRIDES = (8, 16, 32)


def detector_of(**settings):
    torch.manual_seed(0)
    settings = {'class_names': ('a', 'b', 'c'), 'image_size': 64} | settings
    detector = mbv3zoo.create_detector('mbv3_yolo_small_050', **settings).eval()
    with torch.no_grad():
        for norm in detector.modules():
            if isinstance(norm, torch.nn.BatchNorm2d):
                norm.running_mean.normal_(0, 0.1)
                norm.running_var.uniform_(0.5, 2)
        for name, bias in detector.head.named_parameters():
            if name.startswith(('convs.', 'box_convs.', 'class_convs.')) and name.endswith('bias'):
                bias.normal_()  # so that something is found, with one anchor above the others
    return detector


@pytest.fixture(scope='module', params=['plain', 'decoupled'])
def detector(request):
    return detector_of(head=request.param)


@pytest.fixture
def images():
    return torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(1))


def slow_peaks(maps, anchors):
    """Anchor after anchor; None where it is not the best."""
    levels = [level.unflatten(1, (anchors, -1)) for level in maps]
    scores = [level[:, :, 4:5].sigmoid() * level[:, :, 5:].sigmoid() for level in levels]
    found = [level.clone() for level in levels]
    for level, own in enumerate(scores):
        images, _, _, height, width = own.shape
        for image in range(images):
            for row in range(height):
                for column in range(width):
                    here = own[image, :, :, row, column]
                    for anchor in range(anchors):
                        label = here[anchor].argmax()
                        around = [own[image, :, label, max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]]
                        if level:
                            rows, columns = slice(2 * row, 2 * row + 2), slice(2 * column, 2 * column + 2)
                            around.append(scores[level - 1][image, :, label, rows, columns])
                        if level + 1 < len(scores):
                            around.append(scores[level + 1][image, :, label, row // 2, column // 2])
                        best = max(x.max() for x in [here, *around])
                        if here[anchor, label] < best:
                            found[level][image, anchor, 4, row, column] -= 20
    return [level.flatten(1, 2) for level in found]


@pytest.mark.parametrize('shared', [False, True])
@pytest.mark.parametrize(('anchors', 'classes'), [(1, 1), (2, 3), (3, 5)])
def test_equals_the_search_of_one_anchor_after_the_other(shared, anchors, classes):
    generator = torch.Generator().manual_seed(anchors)
    maps = [torch.randn(2, anchors * (5 + classes), 32 // s, 64 // s, generator=generator) * 3 for s in STRIDES[:2]]
    maps.append(torch.randn(2, anchors * (5 + classes), 1, 2, generator=generator) * 3)
    if shared:
        for level in maps:
            level.unflatten(1, (anchors, -1))[:, :, 5:] = level.unflatten(1, (anchors, -1))[:, :1, 5:].clone()
    found = only_peaks(maps, anchors, STRIDES, shared)
    kept = 0
    for level, expected, given in zip(found, slow_peaks(maps, anchors), maps, strict=True):
        torch.testing.assert_close(level, expected, rtol=0, atol=1e-5)
        kept += (level == given).unflatten(1, (anchors, -1))[:, :, 4].sum()
    assert 0 < kept < 64


def test_a_score_of_zero_or_one_everywhere_gives_no_nan():
    for value in (-500.0, 500.0):
        maps = [torch.full((1, 14, 32 // s, 32 // s), value) for s in STRIDES]
        # Equal scores are all the highest.
        assert all(torch.equal(*pair) for pair in zip(only_peaks(maps, 2, STRIDES, False), maps, strict=True))


def test_one_level_has_no_next_one():
    maps = [torch.randn(1, 6, 3, 3)]
    (found,) = only_peaks(maps, 1, (16,), False)
    assert (found == maps[0])[:, 4].sum() >= 1 and torch.equal(found[:, :4], maps[0][:, :4])


def test_only_objectness_is_another_and_in_training_nothing(detector, images):
    alone = detector.without_nms()
    with torch.inference_mode():
        for one, other in zip(detector(images), alone(images), strict=True):
            rest = [0, 1, 2, 3, 5, 6, 7]
            assert torch.equal(one[..., rest], other[..., rest])
            lowered = one[..., 4] - other[..., 4]
            # At one place or two two scores are equal but for rounding.
            assert ((lowered == 0) | (lowered == 20)).float().mean() > 0.98 and (lowered == 20).any()
        alone = copy.deepcopy(alone).train()
        both = copy.deepcopy(detector).train()
        assert all(torch.equal(*pair) for pair in zip(alone(images), both(images), strict=True))


def test_without_nms_it_is_the_same_detector_and_follows_its_training(images):
    detector = detector_of()
    alone = detector.without_nms()
    assert alone is detector.without_nms() is alone.without_nms() and alone.config.nms is False and detector.config.nms
    assert all(one is other for one, other in zip(alone.parameters(), detector.parameters(), strict=True))
    with torch.no_grad():
        before = alone(images)
        for layer in detector.head.convs:
            layer.bias += 1
        assert torch.allclose(alone(images)[0][..., :4], before[0][..., :4] + 1, atol=1e-5)
    again = copy.deepcopy(detector)
    assert again.without_nms() is not alone


def test_every_box_above_the_threshold_is_kept(detector):
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    settings = {'score_thresh': 0.1, 'max_detections': 1000}
    found = detector.predict(image, nms=False, **settings)
    with torch.inference_mode():
        logits = detector.without_nms()(torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255)
    scores = torch.cat([(x[..., 4:5].sigmoid() * x[..., 5:].sigmoid()).amax(-1).flatten() for x in logits])
    assert len(found) == (scores > 0.1).sum() > 3
    torch.testing.assert_close(found.scores, scores[scores > 0.1].sort(descending=True).values)
    assert len(found) < len(detector.predict(image, iou_thresh=1.0, **settings)) / 3
    best = detector.predict(image, nms=False, score_thresh=0.1, max_detections=2)
    assert torch.equal(best.scores, found.scores[:2])


def test_a_trained_detector_finds_the_same_objects():
    detector = mbv3zoo.load('mbv3_yolo_small.synth')
    usual, alone = detector.predict(SCENE, score_thresh=0.4), detector.predict(SCENE, nms=False, score_thresh=0.4)
    assert len(usual) == len(alone) > 3
    for label, box in zip(usual.labels.tolist(), usual.boxes, strict=True):
        same = alone.boxes[alone.labels == label]
        assert (same - box).abs().amax(1).min() < 0.1 * (box[2:] - box[:2]).max()


def test_it_is_saved_and_loaded_either_way(detector, images, tmp_path):
    for name, own in (('both', detector), ('alone', detector.without_nms())):
        again = mbv3zoo.load(own.save_pretrained(tmp_path / name))
        assert again.config.nms == (name == 'both')
        with torch.inference_mode():
            for one, other in zip(again(images), own(images), strict=True):
                assert torch.equal(one, other)
    assert mbv3zoo.load(tmp_path / 'both', nms=False).config.nms is False


def test_other_classes_and_anchors_have_peaks_too(images):
    for settings in ({'anchors': 1}, {'num_classes': 1, 'class_names': None}, {'head': 'decoupled', 'anchors': 2}):
        detector = detector_of(**settings)
        with torch.inference_mode():
            usual, alone = detector(images), detector.without_nms()(images)
        assert all((one - other).abs().amax() > 19 for one, other in zip(usual[:2], alone[:2], strict=True))


def test_the_four_levels_of_a_layer_list_have_peaks_too(tmp_path):
    (tmp_path / 'p6.yaml').write_text(P6)
    detector = mbv3zoo.create_detector(tmp_path / 'p6.yaml', image_size=128).eval()
    images = torch.rand(1, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    anchors, strides = detector.head.num_anchors, detector.strides
    with torch.inference_mode():
        maps = [level.permute(0, 1, 4, 2, 3).flatten(1, 2) for level in detector(images)]
        for level, expected in zip(
            detector.without_nms()(images), only_peaks(maps, anchors, strides, False), strict=True
        ):
            assert torch.equal(level.permute(0, 1, 4, 2, 3).flatten(1, 2), expected)


@pytest.mark.parametrize('suffix', ['.onnx', '.xml'])
def test_in_a_file_a_threshold_is_enough(detector, tmp_path, suffix):
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    exported = mbv3zoo.load(detector.export(tmp_path / f'alone{suffix}', nms='none'))
    assert not exported.info.nms and exported.info.outputs == 'maps'
    expected = detector.predict(image, nms=False, score_thresh=0.1)
    found = exported.predict(image, score_thresh=0.1)
    assert len(found) == len(expected) > 3
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-3)


@pytest.mark.parametrize(
    ('suffix', 'precision'), [('.onnx', 'float16'), ('.onnx', 'int8'), ('.xml', 'int8'), ('.torchscript', 'float32')]
)
def test_a_trained_detector_is_exported_with_peaks(tmp_path, suffix, precision):
    detector = mbv3zoo.load('mbv3_yolo_small.synth')
    calibration = {'calibration': SCENE.parent} if precision == 'int8' else {}
    file = detector.export(tmp_path / f'alone{suffix}', nms='none', precision=precision, image_size=320, **calibration)
    found, expected = mbv3zoo.load(file).predict(SCENE), detector.predict(SCENE, score_thresh=0.5)
    assert set(expected.labels.tolist()) <= set(found.labels.tolist())
    assert 3 < len(expected) <= len(found) <= len(detector.predict(SCENE)) + 1


def test_a_file_that_needs_nms_and_one_that_does_not_say_so(detector, tmp_path):
    path = detector.export(tmp_path / 'needs.onnx')
    with pytest.raises(ValueError, match="needs NMS; export the detector with nms='none'"):
        mbv3zoo.load(path, nms=False)
    with pytest.raises(ValueError, match='need no NMS; leave nms out'):
        detector.without_nms().export(tmp_path / 'inside.onnx', nms=True)


def test_configs_with_nms_are_written_as_before_and_repr_says_without(detector):
    assert 'nms' not in detector.config.model_dump(mode='json')
    alone = detector.without_nms().config
    assert alone.model_dump(mode='json')['nms'] is False and type(alone).parse(alone.model_dump(mode='json')) == alone
    assert 'no NMS' in repr(detector.without_nms()) and 'no NMS' not in repr(detector)
