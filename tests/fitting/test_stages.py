"""What a fit asks of the training, stage by stage; the whole way is in test_fit."""

from types import SimpleNamespace

import pytest
from fitting_cases import fit_record

import mbv3zoo
from mbv3zoo.fitting import stages
from mbv3zoo.fitting.budget import NotReached
from mbv3zoo.fitting.stages import Job, _usual, fit_to


def model_of(task):
    return SimpleNamespace(config=SimpleNamespace(task=task))


def test_a_detector_learns_from_the_one_that_it_was_made_from(tmp_path):
    usual = _usual(model_of('detection'), tmp_path, Job({}, {}, 'runs/mine/best'))
    assert usual == {'anchors': 'keep', 'teacher': 'runs/mine/best', 'lr': pytest.approx(0.002)}


def test_a_segmenter_has_neither_teacher_nor_anchors(tmp_path):
    assert _usual(model_of('segmentation'), tmp_path, Job({}, {}, 'runs/mine/best')) == {'lr': pytest.approx(0.002)}


@pytest.mark.parametrize(
    ('training', 'lr'),
    [
        ({'recipe': 'auto', 'batch_size': 8}, 0.002),
        ({'optimizer': 'sgd'}, 0.01),
        ({'recipe': 'few_steps', 'optimizer': 'adamw'}, mbv3zoo.TrainConfig(optimizer='adamw').lr / 10),
        ({'lr': 0.1}, None),
    ],
)
def test_it_learns_a_tenth_as_fast_where_nothing_else_is_said(training, lr, tmp_path):
    usual = _usual(model_of('segmentation'), tmp_path, Job({}, training, None))
    assert usual == ({} if lr is None else {'lr': pytest.approx(lr)})


def test_a_learning_rate_of_a_recipe_stays(tmp_path):
    recipe = tmp_path / 'own.yaml'
    recipe.write_text('lr: 0.3')
    assert _usual(model_of('segmentation'), tmp_path, Job({}, {'recipe': recipe}, None)) == {}


def test_a_model_that_has_no_folder_is_saved_to_teach(tmp_path):
    model = mbv3zoo.create_detector('mbv3_yolo_small', num_classes=2, image_size=64)
    assert mbv3zoo.load(_usual(model, tmp_path, Job({}, {}, None))['teacher']).config == model.config


def test_it_is_not_saved_where_another_teaches_or_none(tmp_path):
    model = mbv3zoo.create_detector('mbv3_yolo_small', num_classes=2, image_size=64)
    for teacher in ('larger', None):
        _usual(model, tmp_path, Job({}, {'teacher': teacher}, None))
    assert not any(tmp_path.iterdir())


class FakeFitter:
    """Gives a model of an input size, and notes that it was asked for."""

    smallest_ms = 1.0

    def __init__(self, size, quality, asked, reached=True):
        self.model = mbv3zoo.create_detector('mbv3_yolo_small', num_classes=2, image_size=size)
        self.quality, self.asked, self.reached = quality, asked, reached

    def narrow(self, milliseconds):
        (size, _) = self.model.config.image_size
        self.asked.append(size)
        if not self.reached:
            raise NotReached(f'{size} pixels take too long')
        record = fit_record(milliseconds, None, narrowed=self.quality)
        self.model.config = self.model.config.model_copy(update={'fit': record})
        return self.model


UNTRAINED = Job({}, {'epochs': 0}, 'runs/mine/best')


def test_an_input_size_that_is_not_reached_after_all_is_left_out(tmp_path):
    fitters = [FakeFitter(96, 0.4, [], reached=False), FakeFitter(64, 0.2, [])]
    assert fit_to(5.0, fitters, tmp_path / 'one', UNTRAINED).model.config.image_size == (64, 64)
    for fitter in fitters:
        fitter.reached = False
    with pytest.raises(NotReached, match='pixels take too long'):
        fit_to(5.0, fitters, tmp_path / 'none', UNTRAINED)


def test_a_fit_that_was_stopped_while_sizes_are_tried_goes_on_with_those_that_are_left(tmp_path, monkeypatch):
    asked, trained = [], []
    fitters = [FakeFitter(size, 0.3, asked) for size in (128, 96, 64)]
    job = Job({}, {'epochs': 30}, 'runs/mine/best')

    def train(narrowed, run, job, usual):
        (size, _) = mbv3zoo.load(narrowed).config.image_size
        trained.append((size, job.training['epochs']))
        if trained == [(128, 3), (96, 3)] or job.training['epochs'] == 30:
            raise KeyboardInterrupt
        return SimpleNamespace(metrics=SimpleNamespace(score=size / 200))

    monkeypatch.setattr(stages, '_train', train)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            fit_to(5.0, fitters, tmp_path, job)
    # Each is made narrower once; a training that has begun goes on in its folder.
    assert asked == [128, 96, 64] and trained[2:] == [(128, 3), (96, 3), (64, 3), (128, 30)]
