import pytest
import torch

import mbv3zoo
from mbv3zoo.models.postprocess.dense import decode
from mbv3zoo.training.teacher import Teacher

SIZE = (96, 128)


@pytest.fixture(scope='module')
def detector():
    return mbv3zoo.load('mbv3_yolo_small.synth')


@pytest.fixture(scope='module')
def images(detector):
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randint(256, (2, 3, 6, 8), generator=generator, dtype=torch.uint8)
    return coarse.repeat_interleave(16, 2).repeat_interleave(16, 3)


def config_of(detector, **changes):
    return detector.config.model_copy(update={'image_size': SIZE} | changes)


def teacher_of(detector, name='mbv3_yolo_small.synth', strides=(8, 16, 32), **changes):
    return Teacher(str(name), config_of(detector, **changes), strides)


def test_what_is_taught_are_the_most_certain_anchors(detector, images):
    taught = teacher_of(detector)(images)[0]
    with torch.inference_mode():
        logits = detector(images.float() / 255)
    boxes, scores = decode(logits, detector.anchors, detector.strides)
    objectness = torch.cat([level[..., 4].flatten(1) for level in logits], 1).sigmoid()
    strides = torch.cat([torch.full((level[0, ..., 0].numel(),), at) for at, level in enumerate(logits)])
    for image in range(2):
        best = scores[image].amax(1).argsort(descending=True)[:100]
        order = taught.certainty[image].argsort(descending=True, stable=True)
        torch.testing.assert_close(taught.certainty[image, order], scores[image].amax(1)[best])
        torch.testing.assert_close(taught.boxes[image, order], boxes[image, best], rtol=1e-5, atol=1e-4)
        torch.testing.assert_close(taught.objectness[image, order], objectness[image, best])
        expected = scores[image, best] / objectness[image, best, None]
        torch.testing.assert_close(taught.classes[image, order], expected, rtol=1e-3, atol=1e-5)
        assert taught.level[image, order].tolist() == strides[best].tolist()
    for level, (rows, columns) in enumerate(((12, 16), (6, 8), (3, 4))):
        there = taught.level == level
        if there.any():
            assert taught.row[there].max() < rows and taught.column[there].max() < columns
    centre = (taught.boxes[..., :2] + taught.boxes[..., 2:]) / 2
    stride = torch.tensor([8, 16, 32])[taught.level]
    for axis, cell in enumerate((taught.column, taught.row)):
        # A box lies half a cell off its own at most.
        assert ((centre[..., axis] / stride - cell - 0.5).abs() <= 1.001).all()


def test_classes_are_matched_by_their_names(detector, images):
    whole = teacher_of(detector)(images)[0]
    names = detector.class_names
    student = (names[3], 'a new one', names[0])
    teacher = teacher_of(detector, class_names=student, num_classes=3)
    assert teacher.known.tolist() == [True, False, True]
    taught = teacher(images)[0]
    assert taught.classes.shape == (2, 100, 3) and not taught.classes[..., 1].any()
    # An object of a class that the student does not have is not certain.
    torch.testing.assert_close(taught.certainty, taught.objectness * taught.classes.amax(2))
    best = [
        (boxes[scores.argmax()], scores.max()) for boxes, scores in zip(taught.boxes, taught.certainty, strict=True)
    ]
    for image, (box, score) in enumerate(best):
        same = (whole.boxes[image] == box).all(1)
        own = (whole.objectness[image] * whole.classes[image][:, [3, 0]].amax(1))[same]
        assert not len(own) or own.max() == pytest.approx(score.item(), rel=1e-4)


def test_levels_of_other_strides_are_left_out(detector, images):
    taught = teacher_of(detector, strides=(16, 32, 64))(images)[0]
    assert set(taught.level.unique().tolist()) <= {0, 1}
    assert taught.row.max() < 6


def test_an_exported_file_teaches_what_its_detector_does(detector, images, tmp_path):
    path = detector.export(tmp_path / 'teacher.onnx', image_size=SIZE)
    ours, its = teacher_of(detector)(images)[0], teacher_of(detector, path)(images)[0]
    for one, other in zip(ours[:4], its[:4], strict=True):
        torch.testing.assert_close(one.sort(1).values, other.sort(1).values, rtol=1e-3, atol=1e-3)
    with pytest.raises(ValueError, match=r'teacher\.onnx: .*128.*'):
        teacher_of(detector, path, image_size=(64, 64))


def test_one_that_was_saved_without_nms_teaches_all_of_its_anchors(detector, images, tmp_path):
    detector.without_nms().save_pretrained(tmp_path / 'peaks')
    for one, other in zip(
        teacher_of(detector)(images)[0], teacher_of(detector, tmp_path / 'peaks')(images)[0], strict=True
    ):
        assert torch.equal(one, other)


def test_what_cannot_teach_is_refused(detector, tmp_path):
    with pytest.raises(ValueError, match='teacher: mbv3_lraspp_small.synth is a segmenter; expected a detector'):
        teacher_of(detector, 'mbv3_lraspp_small.synth')
    with pytest.raises(ValueError, match='none of the classes of the dataset; it knows arrow, .* and 6 more'):
        teacher_of(detector, class_names=('cat',), num_classes=1)
    with pytest.raises(ValueError, match='takes images of 3 channels, and the detector of 1'):
        teacher_of(detector, in_chans=1)
    with pytest.raises(ValueError, match=r'has the strides \[8, 16, 32\], and the detector \[4, 64\]'):
        teacher_of(detector, strides=(4, 64))
    with pytest.raises(ValueError, match='^teacher: '):
        teacher_of(detector, tmp_path / 'none')
    path = detector.export(tmp_path / 'inside.onnx', image_size=SIZE, nms=True)
    with pytest.raises(ValueError, match='has NMS inside; export it without nms'):
        teacher_of(detector, path)
    path = detector.export(tmp_path / 'peaks.onnx', image_size=SIZE, nms='none')
    with pytest.raises(ValueError, match=r"peaks\.onnx gives one anchor for each object; export it without nms='none'"):
        teacher_of(detector, path)


def test_the_teacher_is_not_trained(detector, images):
    teacher = teacher_of(detector)
    teacher.to(torch.device('cpu'))
    before = {name: tensor.clone() for name, tensor in teacher.model.state_dict().items()}
    taught = teacher(images)[0]
    assert not any(part.requires_grad for part in taught)
    assert not any(parameter.requires_grad for parameter in teacher.model.parameters())
    assert all(torch.equal(before[name], tensor) for name, tensor in teacher.model.state_dict().items())
