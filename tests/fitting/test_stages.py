"""What a fit asks of the training, stage by stage; the whole way is in test_fit."""

from types import SimpleNamespace

import mbv3zoo
from mbv3zoo.fitting.stages import Job, _usual


def model_of(task):
    return SimpleNamespace(config=SimpleNamespace(task=task))


def test_a_detector_learns_from_the_one_that_it_was_made_from(tmp_path):
    usual = _usual(model_of('detection'), tmp_path, Job({}, {}, 'runs/mine/best'))
    assert usual == {'anchors': 'keep', 'teacher': 'runs/mine/best'}


def test_a_segmenter_has_neither_teacher_nor_anchors(tmp_path):
    assert _usual(model_of('segmentation'), tmp_path, Job({}, {}, 'runs/mine/best')) == {}


def test_a_model_that_has_no_folder_is_saved_to_teach(tmp_path):
    model = mbv3zoo.create_detector('mbv3_yolo_small', num_classes=2, image_size=64)
    assert mbv3zoo.load(_usual(model, tmp_path, Job({}, {}, None))['teacher']).config == model.config


def test_it_is_not_saved_where_another_teaches_or_none(tmp_path):
    model = mbv3zoo.create_detector('mbv3_yolo_small', num_classes=2, image_size=64)
    for teacher in ('larger', None):
        _usual(model, tmp_path, Job({}, {'teacher': teacher}, None))
    assert not any(tmp_path.iterdir())
