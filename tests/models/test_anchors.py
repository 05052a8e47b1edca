import pytest
import torch

from mbv3zoo.config.detector import DEFAULT_ANCHORS, DetectorConfig
from mbv3zoo.create import create_detector
from mbv3zoo.models.anchors import default_anchors, doubt, turned

SMALL, MEDIUM, LARGE = DEFAULT_ANCHORS


def test_default_anchors():
    assert default_anchors((8, 16, 32), 3) == DEFAULT_ANCHORS
    for strides, count in (((8, 16, 32), 2), ((4, 8, 16, 32), 3), ((8, 16, 32, 64), 1), ((16, 32), 3)):
        anchors = torch.tensor(default_anchors(strides, count))
        assert anchors.shape == (len(strides), count, 2)
        cells = anchors / torch.tensor(strides).view(-1, 1, 1)
        assert (cells > 2).all() and (cells < 6).all()
        assert (anchors.diff(dim=1) > 0).all()


def test_a_detector_with_a_number_of_anchors():
    detector = create_detector('mbv3_yolo_small', num_classes=2, anchors=4, device='meta')
    assert detector.head.num_anchors == 4 and len(detector.config.anchors[0]) == 4
    assert DetectorConfig.parse(detector.config.model_dump()) == detector.config


@pytest.mark.parametrize(
    ('given', 'expected'),
    [
        ((SMALL, MEDIUM, LARGE), (SMALL, MEDIUM, LARGE)),
        ((LARGE, MEDIUM, SMALL), (SMALL, MEDIUM, LARGE)),
        ((LARGE, SMALL), (SMALL, LARGE)),
        ((LARGE, LARGE, MEDIUM, SMALL), (SMALL, MEDIUM, LARGE, LARGE)),
        # Only the first and the last level count; inside a level the order stays.
        ((MEDIUM, LARGE, SMALL), (SMALL, LARGE, MEDIUM)),
        ((SMALL, LARGE, MEDIUM), (SMALL, LARGE, MEDIUM)),
        ((MEDIUM[::-1], MEDIUM), (MEDIUM[::-1], MEDIUM)),
        ((LARGE,), (LARGE,)),
    ],
)
def test_anchors_of_a_layer_list_are_turned_as_yolov5_does(given, expected):
    assert turned(given) == expected


@pytest.mark.parametrize(
    ('anchors', 'words'),
    [
        ((LARGE, MEDIUM, SMALL), 'at stride 16 are smaller than those at stride 8; one list is taken for each'),
        ((SMALL, LARGE, MEDIUM), 'at stride 32 are smaller than those at stride 16'),
        ((SMALL, SMALL, SMALL), None),
        (DEFAULT_ANCHORS, None),
        (3, None),
        # YOLOv5's in cells, and multiplied by their stride once more.
        ((((1.25, 1.625),), ((1.875, 3.8125),), ((11.65625, 10.1875),)), '11.6562 pixels, less than half a cell'),
        ((((80, 104),), ((480, 976),), ((3712, 2880),)), 'up to 2880 pixels on a side, where images have 640 x 640'),
    ],
)
def test_explicit_anchors_are_kept_and_a_doubt_is_told(anchors, words, caplog):
    said = doubt(anchors, (8, 16, 32), (640, 640))
    assert (said is None) if words is None else words in said
    detector = create_detector('mbv3_yolo_small', anchors=anchors, device='meta')
    assert detector.config.anchors == (DEFAULT_ANCHORS if anchors == 3 else anchors)
    assert [record.message for record in caplog.records] == [said] * bool(said)


def test_anchors_that_are_set_later_are_told_too(caplog):
    detector = create_detector('mbv3_yolo_small', device='meta')
    detector.set_anchors(DEFAULT_ANCHORS)
    assert not caplog.records
    for _ in range(2):
        detector.set_anchors(DEFAULT_ANCHORS[::-1])
    assert detector.config.anchors == DEFAULT_ANCHORS[::-1] and len(caplog.records) == 1


def test_a_saved_detector_keeps_its_anchors(tmp_path, caplog):
    detector = create_detector('mbv3_yolo_small', num_classes=2, anchors=DEFAULT_ANCHORS[::-1])
    detector.save_pretrained(tmp_path / 'saved')
    caplog.clear()
    loaded = create_detector(tmp_path / 'saved', pretrained=True)
    assert loaded.config.anchors == DEFAULT_ANCHORS[::-1] and not caplog.records
