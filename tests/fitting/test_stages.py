"""What a fit asks of the training, stage by stage; the whole way is in test_fit."""

from types import SimpleNamespace

import pytest

import mbv3zoo
from mbv3zoo.fitting.stages import Job, _teacher


@pytest.mark.parametrize(
    ('task', 'training', 'given', 'expected'),
    [
        ('detection', {}, 'runs/mine/best', 'runs/mine/best'),
        ('detection', {'teacher': 'larger'}, 'runs/mine/best', 'larger'),
        ('detection', {'teacher': None}, 'runs/mine/best', None),
        ('segmentation', {}, 'runs/mine/best', None),
    ],
)
def test_who_teaches(task, training, given, expected, tmp_path):
    model = SimpleNamespace(config=SimpleNamespace(task=task))
    assert _teacher(model, tmp_path, Job({}, training, given)) == expected


def test_a_model_that_has_no_folder_is_saved_to_teach(tmp_path):
    model = mbv3zoo.create_detector('mbv3_yolo_small', num_classes=2, image_size=64)
    folder = _teacher(model, tmp_path, Job({}, {}, None))
    assert mbv3zoo.load(folder).config == model.config
