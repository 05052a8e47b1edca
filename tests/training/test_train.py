import inspect
from pathlib import Path

import pytest
import yaml
from tiny_sets import CLASS_NAMES, write_yolo_set

import mbv3zoo
from mbv3zoo.config.training import RunConfig
from mbv3zoo.evaluation.run import run_evaluation as evaluate

TINY = {'model': 'mbv3_yolo_small_050', 'image_size': 64, 'batch_size': 6, 'workers': 0}


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    return write_yolo_set(tmp_path_factory.mktemp('tiny') / 'shapes', {'train': 12, 'val': 4})


@pytest.fixture(scope='module')
def result(data, tmp_path_factory):
    return mbv3zoo.train(data, epochs=1, out=tmp_path_factory.mktemp('runs') / 'run', **TINY)


def test_the_result_is_the_best_detector_with_its_metrics(data, result):
    detector, val_set = result.detector, mbv3zoo.load_dataset(data, 'val')
    assert detector.config.class_names == CLASS_NAMES and not detector.training
    assert evaluate(detector, val_set).metrics.ap == pytest.approx(result.metrics.ap, abs=1e-6)
    assert result.metrics.images == 4 and list(result.metrics.per_class) == list(CLASS_NAMES)
    assert len(detector.predict(data.parent / 'images/val')) == 4
    assert {'best', 'last', 'report', 'run.yaml'} <= {path.name for path in result.folder.iterdir()}


def test_settings_reach_the_run(data, result):
    train = yaml.safe_load((result.folder / 'run.yaml').read_text())['train']
    assert (train['epochs'], train['batch_size']) == (1, 6)


def test_the_default_model_is_that_of_the_settings():
    assert inspect.signature(mbv3zoo.train).parameters['model'].default == RunConfig.model_fields['model'].default


def test_by_default_runs_are_counted(data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path('runs/train-1').mkdir(parents=True)
    assert mbv3zoo.train(str(data), epochs=1, data_license='cc0-1.0', **TINY).folder == Path('runs/train-2')


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        ({'epochz': 3}, "train: unknown key 'epochz'; did you mean 'epochs'"),
        ({'epochs': 0}, 'train.epochs: .*greater than 0'),
        ({'image_size': 7}, r'image_size: expected a side, or \(height, width\), of 32 to 8192 pixels \(given: 7\)'),
        ({'data_license': '?'}, r'data\.license'),
        ({'max_pixels': 0}, r'data\.max_pixels: .*greater than 0'),
        ({'max_pixels': 10}, r'no readable picture .* more than 10; make it smaller, or allow more .*max_pixels'),
    ],
)
def test_a_wrong_setting_is_named_and_leaves_no_folder(data, tmp_path, settings, message):
    with pytest.raises(ValueError, match=message) as error:
        mbv3zoo.train(data, **{'out': tmp_path / 'run'} | settings)
    assert '\n' not in str(error.value) and not (tmp_path / 'run').exists()


def test_a_finished_run_is_read_again(result):
    again = mbv3zoo.resume_training(str(result.folder))
    assert again.folder == result.folder and again.metrics.to_dict() == result.metrics.to_dict()


def test_a_run_goes_on(data, tmp_path, monkeypatch):
    def stop(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr('mbv3zoo.training.trainer.Trainer._report', stop)
        with pytest.raises(KeyboardInterrupt):
            mbv3zoo.train(data, epochs=1, out=tmp_path / 'run', **TINY)
    settings = tmp_path / 'run/run.yaml'
    # All epochs were trained, but their report is missing.
    result = mbv3zoo.resume_training(tmp_path / 'run')
    assert result.metrics.images == 4
    settings.write_text(settings.read_text().replace('epochs: 1', 'epochs: 2', 1))
    assert mbv3zoo.resume_training(tmp_path / 'run').detector.config.class_names == CLASS_NAMES
    assert len((tmp_path / 'run/results.csv').read_text().splitlines()) == 3


def test_there_is_nothing_to_resume(tmp_path):
    with pytest.raises(ValueError, match='no run to resume'):
        mbv3zoo.resume_training(tmp_path)
