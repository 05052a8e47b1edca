"""What goes wrong around a run, and what is left then."""

import csv
import errno
import math
import os
import shutil
import signal
from dataclasses import replace

import pytest
import torch
from tiny_sets import CLASS_NAMES, write_yolo_set

from mbv3zoo.config.training import TrainConfig
from mbv3zoo.create import create_detector
from mbv3zoo.data.load import load_dataset
from mbv3zoo.data.samples import TrainSamples
from mbv3zoo.detector import Detector
from mbv3zoo.training.checkpoint import load_state
from mbv3zoo.training.failures import TrainingStopped
from mbv3zoo.training.trainer import Trainer

SETTINGS = {'epochs': 3, 'batch_size': 8, 'workers': 0}


@pytest.fixture
def data(tmp_path):
    return write_yolo_set(tmp_path / 'shapes', {'train': 16, 'val': 2}, (64, 64))


def trainer_of(data, run, resume=False, **settings):
    torch.manual_seed(0)
    detector = create_detector('mbv3_yolo_small_050', class_names=CLASS_NAMES, image_size=64)
    sets = load_dataset(data, 'train'), load_dataset(data, 'val')
    return Trainer(detector, *sets, TrainConfig(**(SETTINGS | settings)), run, resume)


def after_first_epoch(trainer, action):
    real = trainer._save_state

    def save_state():
        real()
        if trainer.epoch == 1:
            action()

    trainer._save_state = save_state
    return trainer


@pytest.mark.parametrize('workers', [0, 1])
def test_a_vanished_data_set_stops_the_run_which_goes_on_when_it_is_back(data, tmp_path, workers):
    run, away = tmp_path / 'run', tmp_path / 'away'
    pictures = data.parent / 'images'
    trainer = after_first_epoch(trainer_of(data, run, workers=workers), lambda: shutil.move(pictures, away))
    with pytest.raises(TrainingStopped) as caught:
        trainer.fit()
    message = str(caught.value)
    assert str(pictures / 'train') in message and 'is gone' in message and '\n' not in message
    assert 'checkpoint of epoch 1 is whole' in message and message.endswith(f'--resume {run}')
    assert load_state(run)['epoch'] == 1
    shutil.move(away, pictures)
    trainer_of(data, run, resume=True, workers=workers).fit()
    assert load_state(run)['epoch'] == 3


def test_a_loader_process_that_dies_stops_the_run(data, tmp_path, monkeypatch):
    run, real = tmp_path / 'run', TrainSamples.__getitem__

    def sample(self, index):
        if self.epoch == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(self, index)

    monkeypatch.setattr(TrainSamples, '__getitem__', sample)
    with pytest.raises(TrainingStopped, match='DataLoader worker.*fewer workers.*checkpoint of epoch 1 is whole'):
        trainer_of(data, run, workers=1).fit()
    assert load_state(run)['epoch'] == 1
    assert Detector.from_pretrained(run / 'last').config.class_names == CLASS_NAMES


def test_a_mistake_in_the_program_is_not_dressed_up(data, tmp_path):
    trainer = trainer_of(data, tmp_path / 'run')
    trainer.learner._step = lambda *args: torch.zeros(2) @ torch.zeros(3)
    with pytest.raises(RuntimeError) as caught:
        trainer.fit()
    assert not isinstance(caught.value, TrainingStopped)


def test_patience(data, tmp_path):
    run = tmp_path / 'run'
    trainer = trainer_of(data, run, epochs=20, patience=3)
    real, scores = trainer._evaluate(trainer.learner.kept, with_f1=True), iter([0.1, 0.3, 0.2, 0.3, 0.1] + [0.3] * 5)
    trainer.learner.train_epoch = lambda epoch: [0.1, 0.1, 0.1]
    trainer._evaluate = lambda _, with_f1=False: real._replace(metrics=replace(real.metrics, ap=next(scores)))
    trainer.fit()
    # The second epoch was the best, and as good is not better.
    assert trainer.epoch == 5 and load_state(run)['best_epoch'] == 2
    assert (run / 'report' / 'metrics.json').exists()
    assert trainer_of(data, run, resume=True, epochs=20, patience=3).fit() is None
    # With more of it the run goes on.
    longer = trainer_of(data, run, resume=True, epochs=6, patience=10)
    longer.learner.train_epoch = trainer.learner.train_epoch
    longer.fit()
    assert longer.epoch == 6


def test_patience_needs_a_first_result(data, tmp_path):
    trainer = trainer_of(data, tmp_path / 'run', epochs=4, patience=1)
    real = trainer._evaluate(trainer.learner.kept, with_f1=True)
    trainer.learner.train_epoch = lambda epoch: [0.1, 0.1, 0.1]
    trainer._evaluate = lambda _, with_f1=False: real._replace(metrics=replace(real.metrics, ap=math.nan))
    trainer.fit()
    assert trainer.epoch >= 2


def test_accumulated_gradients_move_the_weights_once(data, tmp_path):
    trainer = trainer_of(
        data, tmp_path / 'run', epochs=1, batch_size=3, accumulate=2, warmup_epochs=0, schedule='linear'
    )
    seen, real = [], trainer.learner._step

    def step(*args):
        before = trainer.learner.model.head.convs[0].bias.clone()
        losses = real(*args)
        seen.append((not torch.equal(before, trainer.learner.model.head.convs[0].bias), args[2]))
        return losses

    trainer.learner._step = step
    trainer.fit()
    # Five batches: the last one alone.
    assert seen == [(False, 1), (True, 1), (False, 2), (True, 2), (True, 3)]
    assert trainer.learner.optimizer.param_groups[0]['lr'] == pytest.approx(trainer.config.lr * trainer.config.lr_end)


def test_a_tracker_gets_what_is_logged(data, tmp_path):
    accumulator = pytest.importorskip('tensorboard.backend.event_processing.event_accumulator')
    run = tmp_path / 'run'
    trainer_of(data, run, epochs=2, tracker='tensorboard').fit()
    events = accumulator.EventAccumulator(str(next(run.rglob('events.*')).parent)).Reload()
    with open(run / 'results.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    for name, group in (('box', 'train/'), ('classes', 'train/'), ('lr', '')):
        logged = events.Scalars(group + name)
        assert [event.step for event in logged] == [1, 2]
        for event, row in zip(logged, rows, strict=True):
            assert event.value == pytest.approx(float(row[name]), abs=1e-4)


@pytest.mark.parametrize('name', ['comet_ml', 'no_such_tracker'])
def test_a_tracker_that_is_not_there(data, tmp_path, name):
    with pytest.raises((ValueError, ImportError), match=name):
        trainer_of(data, tmp_path / 'run', tracker=name)
    assert not (tmp_path / 'run').exists()


class FullDisk:
    """Counts calls that make or sync something below a folder, and refuses them from one of them on."""

    def __init__(self, monkeypatch, root, code):
        self.code, self.left, self.calls = code, math.inf, 0
        for name in ('fsync', 'mkdir'):
            monkeypatch.setattr(os, name, self.refusing(getattr(os, name), str(root)))

    def refusing(self, real, root):
        def call(place, *arguments, **options):
            if isinstance(place, int) or str(place).startswith(root):
                self.calls += 1
                if self.calls > self.left:
                    raise OSError(self.code, os.strerror(self.code), *[str(place)] * (not isinstance(place, int)))
            return real(place, *arguments, **options)

        return call


@pytest.mark.slow
@pytest.mark.parametrize('code', [errno.ENOSPC, errno.EROFS, errno.EFBIG])
def test_a_disk_that_fails_at_any_moment_is_told_and_the_run_goes_on_when_it_is_back(data, tmp_path, monkeypatch, code):
    """One sentence, that names the run's folder and no hidden one; nothing of an epoch that was saved is lost."""

    def cheap(run, resume=False):
        trainer = trainer_of(data, run, resume, epochs=2)
        trainer.learner.train_epoch = lambda epoch: [0.1, 0.1, 0.1]
        return trainer

    run, whole = tmp_path / 'run', tmp_path / 'whole'
    disk = FullDisk(monkeypatch, tmp_path, code)
    cheap(whole).fit()
    total = disk.calls
    assert total > 30
    # The last calls tidy up, and their errors are nobody's.
    for left in range(0, total - 8, total // 5):
        trainer = cheap(run)
        disk.calls, disk.left = 0, left
        with pytest.raises(TrainingStopped) as error:
            trainer.fit()
        disk.left = math.inf
        message = str(error.value)
        assert str(run) in message and '.staging' not in message and '\n' not in message, left
        assert message.endswith(f'--resume {run}')
        epoch = load_state(run)['epoch'] if (run / 'state.pt').exists() else 0
        assert (f'checkpoint of epoch {epoch} is whole' if epoch else 'no epoch was saved') in message
        if run.exists():
            cheap(run, resume=True).fit()
            assert sorted(path.name for path in run.rglob('*')) == sorted(path.name for path in whole.rglob('*'))
            shutil.rmtree(run)
