from pathlib import Path

import pytest

from mbv3zoo.config.training import DataConfig, RunConfig, TrainConfig
from mbv3zoo.training.checkpoint import save_state
from mbv3zoo.training.progress import Progress, changed_config, check_class_names, finished

RUN = Path('runs/train-1')


def config_of(**settings):
    return RunConfig(data=DataConfig(data='data.yaml'), train=TrainConfig(**settings))


def test_the_state_says_what_is_done(tmp_path):
    assert Progress.read(tmp_path) == (0, 0, None)
    save_state(tmp_path, {'epoch': 3, 'best_epoch': 2, 'best_ap': 0.5})
    assert Progress.read(tmp_path) == (3, 2, None)


@pytest.mark.parametrize(
    ('settings', 'progress', 'done'),
    [
        ({'epochs': 3}, (3, 1), True),
        ({'epochs': 4}, (3, 1), False),
        ({'epochs': 9, 'patience': 2}, (3, 1), True),
        ({'epochs': 9, 'patience': 3}, (3, 1), False),
        ({'epochs': 9, 'patience': 1}, (3, 0), False),  # no evaluation yet
    ],
)
def test_a_run_is_done_after_its_epochs_or_without_patience(settings, progress, done):
    assert Progress(*progress).is_done(TrainConfig(**settings)) == done


def test_only_what_is_given_is_changed():
    config = config_of(epochs=3, optimizer='sgd', loss='yolov5', augmentation='heavy')
    assert changed_config(config, {'epochs': None, 'cache': None}, Progress(), RUN) is config
    changed = changed_config(config, {'epochs': 5, 'workers': 0}, Progress(3, 1), RUN)
    expected = config.train.model_dump() | {'epochs': 5, 'workers': 0}
    assert changed.train.model_dump() == expected and changed.data == config.data


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'epochs': 3}, 'runs/train-1: epochs is 3, but 3 are done; expected more'),
        ({'epochs': 2}, 'epochs is 2, but 3 are done'),
        ({'epochs': 12}, 'no AP was better for patience=2 epochs; give more patience too'),
        ({'patience': 0}, 'runs/train-1: train.patience'),
        ({'workers': -1}, 'train.workers'),
        ({'cache': 'ram'}, 'train.cache'),
    ],
)
def test_a_change_that_does_not_fit_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        changed_config(config_of(epochs=9, patience=2), changes, Progress(3, 1), RUN)


def test_a_finished_run_says_what_trains_it_further(tmp_path):
    assert finished(tmp_path, TrainConfig(epochs=3), Progress(3, 1)) == ''  # its report is missing
    (tmp_path / 'report').mkdir()
    (tmp_path / 'report/metrics.json').write_text('{}')
    assert finished(tmp_path, TrainConfig(epochs=4), Progress(3, 1)) == ''
    text = finished(tmp_path, TrainConfig(epochs=3), Progress(3, 1))
    assert text == f'{tmp_path} is finished (3 epochs); --epochs N trains further'
    text = finished(tmp_path, TrainConfig(epochs=9, patience=2), Progress(3, 1))
    assert 'finished (3 epochs, as no AP was better for 2); --patience N' in text


@pytest.mark.parametrize(
    ('given', 'message'),
    [
        (('cat', 'dog', 'cow'), r"\(added: 'cow'\)"),
        (('dog',), r"\(removed: 'cat'\)"),
        (('dog', 'cat'), r'\(the order differs\)'),
        (('cat', 'Dog'), r"\(added: 'Dog', removed: 'dog'\)"),
        (('cat', 'dog', *'abcdefg'), r"added: 'a', 'b', 'c', 'd', 'e' and 2 more\)"),
    ],
)
def test_other_classes_are_named(given, message):
    check_class_names(RUN, ('cat', 'dog'), ['cat', 'dog'])
    with pytest.raises(ValueError, match=rf'train-1: the classes of the data .*{message}; .* runs/train-1/last'):
        check_class_names(RUN, ('cat', 'dog'), given)
