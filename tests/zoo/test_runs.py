"""The folder of a training run means its best weights, wherever a detector is asked for."""

import logging
import os
import shutil

import pytest

import mbv3zoo
from mbv3zoo.info.describe import describe
from mbv3zoo.zoo import runs
from mbv3zoo.zoo.configs import named_weights
from mbv3zoo.zoo.resolve import resolve, saved_in_folder

SAVED = named_weights()['mbv3_yolo_small.synth']


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """runs/ with a run that has best and last, and a newer one that was ended before its first evaluation."""
    folder = tmp_path_factory.mktemp('any') / 'runs'
    for name in ('best', 'last'):
        shutil.copytree(SAVED, folder / 'train-1' / name)
    shutil.copytree(SAVED, folder / 'train-2' / 'last')
    for number, name in enumerate(('train-1', 'train-2', 'train-3'), start=1):
        (folder / name).mkdir(exist_ok=True)
        (folder / name / 'run.yaml').write_text('model: x\n')
        os.utime(folder / name, (number, number))
    return folder


@pytest.fixture(autouse=True)
def _told_anew():
    runs._tell.cache_clear()


@pytest.mark.parametrize('part', ['', '/', '/best', '/best/model.safetensors', '/best/config.json'])
def test_a_run_and_the_files_of_its_best_weights_mean_those(folder, part):
    name = f'{folder}/train-1{part}'
    source = resolve(name)
    assert source.is_saved and source.path == source.folder == folder / 'train-1' / 'best'
    assert source.name == name


def test_every_way_to_open_a_detector_takes_a_run(folder):
    run = folder / 'train-1'
    for opened in (mbv3zoo.load(run), mbv3zoo.load(str(run)), mbv3zoo.create_detector(run, pretrained=True)):
        assert opened.config.num_classes == 16
    assert '16: ' in describe(run)
    with saved_in_folder(str(run)) as place:
        assert place == run / 'best'


def test_which_weights_are_taken_is_told_once(folder, caplog):
    with caplog.at_level(logging.INFO, 'mbv3zoo'):
        for _ in range(2):
            resolve(folder / 'train-1')
        resolve(folder / 'train-1' / 'last')
    best = folder / 'train-1' / 'best'
    assert caplog.messages == [f'{best.parent} is a training run: {best} is taken, its best weights']


def test_a_run_that_was_not_evaluated_yet_names_its_last_weights(folder):
    with pytest.raises(ValueError, match=r'train-2: this training run has no best weights.* give .*train-2.last'):
        resolve(folder / 'train-2')
    with pytest.raises(ValueError, match=r'train-3: this training run has no best weights.*--resume .*train-3'):
        resolve(folder / 'train-3')


def test_a_folder_of_runs_and_a_run_that_is_not_there_name_the_newest_with_best_weights(folder, monkeypatch):
    with pytest.raises(ValueError, match=r'is a folder of training runs: .*newest, .*train-1$'):
        resolve(folder)
    monkeypatch.chdir(folder.parent)
    with pytest.raises(ValueError, match=r"there is no folder 'runs/train-9'; the newest .* is runs/train-1$"):
        mbv3zoo.load('runs/train-9')


def test_other_folders_and_files_are_what_they_were(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'org').mkdir()
    (tmp_path / 'config.json').write_text('{}')
    for path in (tmp_path / 'org', tmp_path / 'config.json', tmp_path / 'nothing'):
        assert runs.detector_folder(path) == path
    assert resolve('org/name').place == 'org/name'
    assert runs.newest_run(tmp_path / ('x' * 5000)) is None
