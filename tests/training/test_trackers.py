import csv
import logging
from types import SimpleNamespace

import pytest
import torch
from tiny_sets import CLASS_NAMES, write_yolo_set

from mbv3zoo.config.training import TrainConfig
from mbv3zoo.create import create_detector
from mbv3zoo.data.load import load_dataset
from mbv3zoo.training import trackers
from mbv3zoo.training.trackers import Trackers, tracker_names
from mbv3zoo.training.trainer import Trainer


class FakeTracker:
    def __init__(self, name, error=None):
        self.name, self.error, self.logged = name, error, []

    def log(self, values, step):
        if self.error:
            raise self.error
        self.logged.append((values, step))


def of_trackers(run, *own):
    accelerator = SimpleNamespace(trackers=list(own), is_main_process=True)
    return Trackers([tracker.name for tracker in own], accelerator, run)


def test_a_tracker_is_checked_before_data_is_read():
    with pytest.raises(ImportError, match="tracker 'comet_ml' needs comet_ml; install with: pip install comet_ml"):
        tracker_names('tensorboard,comet_ml')
    with pytest.raises(ValueError, match="tracker 'tensorbord' is unknown; expected one of .*tensorboard"):
        tracker_names('tensorbord')
    assert tracker_names(None) == [] and tracker_names('tensorboard') == ['tensorboard']


def test_a_tracker_that_fails_is_left_out_and_the_run_goes_on(tmp_path, caplog):
    good, bad = FakeTracker('good'), FakeTracker('bad', RuntimeError('the server is gone'))
    both = of_trackers(tmp_path, bad, good)
    for epoch in (1, 2):
        both.log({'box': 0.5, 'ap': 0.25, 'seconds': 3.0, 'lr': 0.1}, epoch)
    figures = {'train/box': 0.5, 'val/ap': 0.25, 'time/seconds': 3.0, 'lr': 0.1}
    assert good.logged == [(figures, 1), (figures, 2)]
    assert caplog.text.count('the tracker bad fails and is left out from now on: the server is gone') == 1
    with pytest.raises(OSError, match='full'):
        of_trackers(tmp_path, FakeTracker('disk', OSError(28, 'the disk is full'))).log({}, 1)


def test_a_tracker_that_cannot_begin_is_told_in_a_sentence(tmp_path):
    def refuse(*arguments):
        raise RuntimeError('no\nsuch project')

    one = of_trackers(tmp_path, FakeTracker('clearml'))
    one.accelerator.init_trackers = refuse
    with pytest.raises(ValueError, match=r'^the tracker clearml cannot begin \(no such project\); correct'):
        one.start({})


@pytest.mark.parametrize('key', ['none', 'variable', 'login', 'mode'])
def test_wandb_asks_nothing_and_stays_on_this_disk_without_a_key(key, tmp_path, monkeypatch):
    pytest.importorskip('wandb')
    for name in ('WANDB_API_KEY', 'WANDB_MODE', 'WANDB_BASE_URL', 'WANDB_IDENTITY_TOKEN_FILE', 'NETRC'):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv('HOME', str(tmp_path))
    if key == 'variable':
        monkeypatch.setenv('WANDB_API_KEY', 'x' * 40)
    elif key == 'login':
        (tmp_path / '.netrc').write_text('machine api.wandb.ai\n  login user\n  password secret\n')
    elif key == 'mode':
        monkeypatch.setenv('WANDB_MODE', 'disabled')
    options = trackers._wandb_options(tmp_path / 'train-1')
    assert options.get('mode') == ('offline' if key == 'none' else None)
    assert options['name'] == 'train-1' and options['settings']['silent']


@pytest.mark.slow
def test_four_trackers_at_once_have_the_figures_of_results_csv(tmp_path, monkeypatch, caplog, capfd):
    names = ['tensorboard', 'wandb', 'mlflow', 'trackio']
    mlflow, trackio = pytest.importorskip('mlflow'), pytest.importorskip('trackio')
    pytest.importorskip('wandb')
    accumulator = pytest.importorskip('tensorboard.backend.event_processing.event_accumulator')
    monkeypatch.setenv('WANDB_MODE', 'offline')
    monkeypatch.setenv('MLFLOW_ALLOW_FILE_STORE', 'true')
    monkeypatch.setattr('trackio.sqlite_storage.TRACKIO_DIR', tmp_path / 'trackio')
    monkeypatch.setattr('trackio.utils.TRACKIO_DIR', tmp_path / 'trackio')
    data, run = write_yolo_set(tmp_path / 'shapes', {'train': 8, 'val': 2}, (64, 64)), tmp_path / 'runs/train-1'
    torch.manual_seed(0)
    detector = create_detector('mbv3_yolo_small_050', class_names=CLASS_NAMES, image_size=64)
    config = TrainConfig(epochs=2, batch_size=8, workers=0, tracker=', '.join(names))
    mlflow.set_tracking_uri((tmp_path / 'runs/mlruns').as_uri())
    with caplog.at_level(logging.INFO, 'mbv3zoo'):
        Trainer(detector, load_dataset(data, 'train'), load_dataset(data, 'val'), config, run).fit()
    with open(run / 'results.csv', newline='') as file:
        expected = [(float(row['box']), float(row['ap'])) for row in csv.DictReader(file)]
    events = accumulator.EventAccumulator(str(next(run.rglob('events.*')).parent)).Reload()
    found = {'tensorboard': [[event.value for event in events.Scalars(name)] for name in ('train/box', 'val/ap')]}
    client = mlflow.MlflowClient()
    (logged,) = client.search_runs([client.get_experiment_by_name('mbv3zoo').experiment_id])
    assert logged.info.run_name == 'train-1' and logged.info.status == 'FINISHED'
    assert logged.data.params['backbone'] == 'mbv3_yolo_small_050' and logged.data.params['epochs'] == '2'
    found['mlflow'] = [
        [metric.value for metric in client.get_metric_history(logged.info.run_id, name)]
        for name in ('train/box', 'val/ap')
    ]
    rows = trackio.sqlite_storage.SQLiteStorage.get_logs('mbv3zoo', 'train-1')
    found['trackio'] = [[row[name] for row in rows] for name in ('train/box', 'val/ap')]
    for name, (box, ap) in found.items():
        assert list(zip(box, ap, strict=True)) == [pytest.approx(one, abs=1e-4) for one in expected], name
    # Written in wandb's own form, which its server reads.
    (kept,) = (run / 'wandb').glob('offline-run-*/run-*.wandb')
    assert all(word in kept.read_bytes() for word in (b'train/box', b'val/ap', b'mbv3_yolo_small_050'))
    said = capfd.readouterr()
    lines = [*said.out.splitlines(), *said.err.splitlines()]
    noise = ('wandb:', 'Trackio', 'Run finished', 'Uploading')
    assert [line for line in lines if any(word in line for word in noise)] == []
    assert 'to upload it: wandb sync' in caplog.text and 'tensorboard --logdir' in caplog.text
    # What a next run in this process finds: nothing that is still open.
    assert mlflow.active_run() is None
