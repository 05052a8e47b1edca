"""Runs whose files were damaged, or that were killed between two of them: they go on, or say what can be done."""

import logging
import re
import shutil

import pytest
import torch
import yaml
from amount import sample
from killed_training import TINY, resume_run, train_without_report
from killing import names, run_writer
from matplotlib.figure import Figure
from tiny_sets import write_yolo_set

import mbv3zoo
from mbv3zoo.detector import Detector
from mbv3zoo.evaluation.run import run_evaluation
from mbv3zoo.training import run
from mbv3zoo.training.checkpoint import load_state, save_state
from mbv3zoo.training.results import is_reported
from mbv3zoo.utils.folders import LOCK_NAME


@pytest.fixture(autouse=True)
def _plots(monkeypatch):
    monkeypatch.setattr(Figure, 'savefig', lambda self, file, **options: file.write(b'a plot'))


@pytest.fixture(scope='module')
def begun(tmp_path_factory):
    """A data set, and a run of one epoch on it whose report is missing."""
    folder = tmp_path_factory.mktemp('begun')
    data = write_yolo_set(folder / 'shapes', {'train': 8, 'val': 2})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, 'savefig', lambda self, file, **options: file.write(b'a plot'))
        return train_without_report(data, folder / 'run', epochs=1)


@pytest.fixture(scope='module')
def whole(begun, tmp_path_factory):
    """The same run, finished."""
    folder = tmp_path_factory.mktemp('whole') / 'run'
    shutil.copytree(begun, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, 'savefig', lambda self, file, **options: file.write(b'a plot'))
        run.resume(folder)
    return folder


@pytest.fixture
def copied(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / 'run')


def check_same_report(folder, whole):
    assert is_reported(folder)
    assert names(folder) == names(whole)
    for name in ('report', 'best', 'last'):
        for path in (folder / name).iterdir():
            assert path.read_bytes() == (whole / name / path.name).read_bytes(), path.name
    assert 'predictions.png' in (folder / 'best/README.md').read_text()


def check_kills(begun, whole, tmp_path, chosen):
    """A resumption that is killed at boundaries of writing, and resumed: nothing is missing, and no rest is left."""
    folder = shutil.copytree(begun, tmp_path / 'run')
    boundaries = run_writer(resume_run, folder, folder)
    check_same_report(folder, whole)
    kills = [index for index, words in enumerate(boundaries) if chosen(words)]
    assert kills
    for kill_at in kills:
        shutil.rmtree(folder)
        shutil.copytree(begun, folder)
        run_writer(resume_run, folder, folder, kill_at=kill_at)
        told = []
        metrics = run.resume(folder, tell=told.append)
        # What is told is true: the run was finished before, or its report was written now.
        assert told == ([] if metrics else [f'{folder} is finished (1 epoch); --epochs N trains further'])
        # Where it was finished, nothing is written, and the lock of the dead process stays until the next write.
        (folder / LOCK_NAME).unlink(missing_ok=True)
        check_same_report(folder, whole)


def test_a_report_that_was_killed_between_its_parts_is_written(begun, whole, tmp_path):
    check_kills(begun, whole, tmp_path, lambda words: 'best/.staging' in words and 'complete' in words)


@pytest.mark.slow
def test_a_report_that_was_killed_where_files_are_put_in_place_is_written(begun, whole, tmp_path):
    some = sample(1 / 3, always=lambda words: 'complete' in words)
    check_kills(begun, whole, tmp_path, lambda words: ('complete' in words or 'os.re' in words) and some(words))


def test_what_killed_writers_left_is_removed(begun, whole, tmp_path):
    folder = shutil.copytree(begun, tmp_path / 'run')
    for part in ('report', 'best', 'last', '.'):
        rest = folder / part / '.staging/0123/files'
        rest.mkdir(parents=True)
        (rest / 'state.pt').write_bytes(b'cut')
        (folder / part / f'.state.pt.{"a" * 32}.tmp').write_bytes(b'as earlier versions left it')
    run.resume(folder)
    check_same_report(folder, whole)


_slowly = [
    pytest.param(damage, marks=pytest.mark.slow) for damage in ('no metrics', 'no picture', 'no plot', 'no weights')
]


@pytest.mark.parametrize('damage', ['metrics', 'no card', 'other weights', 'no best', 'last', *_slowly])
def test_a_finished_run_of_which_something_is_missing_is_finished_again(copied, whole, damage, caplog):
    target = {
        'metrics': 'report/metrics.json', 'no metrics': 'report/metrics.json', 'no card': 'best/README.md',
        'no picture': 'best/predictions.png', 'no plot': 'report/pr_curve.png', 'no best': 'best',
        'last': 'last/detector.safetensors',
    }.get(damage, 'best/detector.safetensors')  # fmt: skip
    path = copied / target
    if damage in ('metrics', 'other weights'):
        path.write_bytes(path.read_bytes()[:-1] + b'\x7f')
    elif damage == 'no best':
        shutil.rmtree(path)
    else:
        path.unlink()
    metrics = run.resume(copied)
    if damage == 'last':
        # It is written again when the run goes on.
        assert metrics is None
        run.resume(copied, epochs=2)
        assert Detector.from_pretrained(copied / 'last') and (copied / 'last.damaged-1').is_dir()
        return
    assert metrics and run.resume(copied) is None
    aside = copied / 'best.damaged-1'
    if aside.exists():
        assert 'best is written anew, from the last weights: ' in caplog.text
        shutil.rmtree(aside)
    check_same_report(copied, whole)


def test_the_best_weights_of_an_epoch_that_was_killed_are_known_for_what_they_are(copied, monkeypatch, tmp_path):
    """Killed after best/ and before state.pt: the state is of the epoch before, with another best AP."""
    uninterrupted = shutil.copytree(copied, tmp_path / 'uninterrupted')
    state = load_state(copied)
    save_state(copied, state | {'best_ap': -0.5})  # so that the second epoch is better for certain
    save_state(uninterrupted, state | {'best_ap': -0.5})
    run.resume(uninterrupted, epochs=2)

    def kill(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr('mbv3zoo.training.trainer.save_state', kill)
        with pytest.raises(KeyboardInterrupt):
            run.resume(copied, epochs=2)
    assert load_state(copied)['best_epoch'] == 1
    seen = []
    real = run.Trainer._epoch

    def epoch(trainer):
        seen.append((trainer.epoch, trainer.best_epoch, trainer.best_ap))
        return real(trainer)

    monkeypatch.setattr(run.Trainer, '_epoch', epoch)
    data = mbv3zoo.load_dataset(yaml.safe_load((copied / 'run.yaml').read_text())['data']['data'], 'val')
    ap = run_evaluation(Detector.from_pretrained(copied / 'best'), data).metrics.ap
    run.resume(copied)
    assert seen == [(1, 2, pytest.approx(ap, abs=1e-6))]
    one, other = load_state(copied), load_state(uninterrupted)
    for name in ('epoch', 'best_epoch', 'best_ap', 'best_sha256'):
        assert one[name] == other[name], name
    assert all(torch.equal(value, other['model'][name]) for name, value in one['model'].items())
    assert (copied / 'best/model.safetensors').read_bytes() == (uninterrupted / 'best/model.safetensors').read_bytes()


def test_a_state_of_an_earlier_version_goes_on_with_a_damaged_last(copied):
    state = load_state(copied)
    del state['detector'], state['best_sha256'], state['images'], state['scaler']
    save_state(copied, state)
    (copied / 'last/config.json').write_text('{')
    assert run.resume(copied, epochs=2)
    assert (copied / 'last.damaged-1').is_dir() and load_state(copied)['epoch'] == 2


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (('optimizer: nmuon', 'optimizer: sgd'), r"has no 'momentum_buffer' \(optimizer, .* in run\.yaml must be as"),
        (('layer_decay: 1.0', 'layer_decay: 0.5'), r'\(optimizer, .* in run\.yaml must be as the run began\)'),
        (('freeze_backbone: 0', 'freeze_backbone: 1'), r'\(optimizer, .* in run\.yaml must be as the run began\)'),
    ],
)
def test_settings_that_are_not_those_of_the_state_are_told(copied, change, message):
    path = copied / 'run.yaml'
    text = path.read_text()
    assert change[0] in text
    path.write_text(text.replace(*change))
    with pytest.raises(
        ValueError, match=rf'state\.pt: .*{message}.*; the run cannot go on, but a new one can'
    ) as error:
        run.resume(copied, epochs=2)
    assert '\n' not in str(error.value)


def test_more_epochs_than_the_settings_have_are_told(copied):
    save_state(copied, load_state(copied) | {'epoch': 10**6})
    with pytest.raises(ValueError, match=r'run\.yaml: train\.epochs is 1, but 1000000 are done according to state\.pt'):
        run.resume(copied, epochs=2)


def test_a_new_run_starts_from_the_last_weights_as_the_error_says(copied, tmp_path, caplog):
    caplog.set_level(logging.INFO, 'mbv3zoo')
    path = copied / 'state.pt'
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match='has changed since it was written') as error:
        mbv3zoo.resume_training(copied)
    model = re.search(r'--model (\S+) --data', str(error.value))[1]
    data = yaml.safe_load((copied / 'run.yaml').read_text())['data']['data']
    mbv3zoo.train(data, model=model, out=tmp_path / 'new', epochs=1, **TINY)
    assert f'training starts from the weights of {copied / "last"}' in caplog.text
