"""Runs that go on: with other settings, on data that has changed."""

import logging
import shutil
from types import SimpleNamespace

import pytest
import torch
import yaml
from tiny_sets import CLASS_NAMES, write_yolo_set

import mbv3zoo
from mbv3zoo.detector import Detector
from mbv3zoo.models import threads
from mbv3zoo.models.threads import ThreadTimer
from mbv3zoo.training import run, trainer
from mbv3zoo.training.checkpoint import load_state, save_state
from mbv3zoo.training.learner import Learner
from mbv3zoo.utils.folders import locked_folder

TINY = {'image_size': 64, 'batch_size': 4, 'workers': 0, 'epochs': 1, 'anchors': 'fit'}


@pytest.fixture(scope='module')
def begun(tmp_path_factory):
    """A run of one epoch, on a dataset and from a saved detector, all of them in one folder."""
    folder = tmp_path_factory.mktemp('begun')
    write_yolo_set(folder / 'shapes', {'train': 8, 'val': 2})
    model = mbv3zoo.create_detector('mbv3_yolo_small_050', class_names=CLASS_NAMES, image_size=64)
    model.save_pretrained(folder / 'model')
    mbv3zoo.train(folder / 'shapes/data.yaml', model=folder / 'model', out=folder / 'run', **TINY)
    return folder


@pytest.fixture
def copied(begun, tmp_path):
    """A copy of them that a test may change."""
    for name in ('shapes', 'run', 'model'):
        shutil.copytree(begun / name, tmp_path / name)
    path = tmp_path / 'run/run.yaml'
    path.write_text(path.read_text().replace(str(begun), str(tmp_path)))
    return SimpleNamespace(data=tmp_path / 'shapes', run=tmp_path / 'run', model=tmp_path / 'model')


def files_of(folder):
    return {path: path.read_bytes() for path in folder.rglob('*') if path.is_file()}


def warnings_of(caplog):
    ours = [record for record in caplog.records if record.name.startswith('mbv3zoo')]
    return [record.getMessage() for record in ours if record.levelno == logging.WARNING]


def test_more_epochs_train_a_finished_run_further(copied):
    card = copied.run / 'last/README.md'
    card.write_text(card.read_text(encoding='utf-8') + '\n## Notes\n\nMine.\n', encoding='utf-8')
    before = Detector.from_pretrained(copied.run / 'last')
    result = mbv3zoo.resume_training(copied.run, epochs=2, patience=7)
    assert len((copied.run / 'results.csv').read_text().splitlines()) == 3
    settings = yaml.safe_load((copied.run / 'run.yaml').read_text())['train']
    assert (settings['epochs'], settings['patience'], settings['workers']) == (2, 7, 0)
    assert result.metrics.images == 2
    after = Detector.from_pretrained(copied.run / 'last')
    assert after.config == before.config
    assert not torch.equal(after.head.convs[0].bias, before.head.convs[0].bias)
    # And it is remembered.
    # Its card is about the newer weights, and keeps what people wrote.
    assert '| epochs | 1 |' not in card.read_text(encoding='utf-8') and card.read_text(encoding='utf-8').endswith(
        'Mine.\n'
    )
    assert run.resume(copied.run) is None


@pytest.mark.parametrize('more', [{}, {'workers': 1}, {'cache': 'memory'}])
def test_nothing_of_a_finished_run_is_written(copied, more):
    before, told = files_of(copied.run), []
    assert run.resume(copied.run, **more, tell=told.append) is None
    assert told == [f'{copied.run} is finished (1 epoch); --epochs N trains further']
    assert files_of(copied.run) == before


def test_threads_are_chosen_in_the_first_steps_and_kept(tmp_path, begun, monkeypatch):
    before, seen = torch.get_num_threads(), []
    monkeypatch.delenv('OMP_NUM_THREADS', raising=False)
    monkeypatch.setattr(threads, 'usable_cores', lambda: 2)
    monkeypatch.setattr(trainer, 'usable_cores', lambda: 2)
    monkeypatch.setattr(ThreadTimer, '_best', lambda timer: min(timer.seconds))
    real = Learner._step
    monkeypatch.setattr(
        Learner, '_step', lambda *arguments: (seen.append(torch.get_num_threads()), real(*arguments))[1]
    )
    torch.set_num_threads(2)
    try:
        settings = TINY | {'batch_size': 1}
        mbv3zoo.train(begun / 'shapes/data.yaml', model=begun / 'model', out=tmp_path / 'run', **settings)
        assert seen == [2, 2, 2, 1, 1, 1, 1, 1] and load_state(tmp_path / 'run')['threads'] == 1
        assert torch.get_num_threads() == 2
        seen.clear()
        mbv3zoo.resume_training(tmp_path / 'run', epochs=2)
        assert seen == [1] * 8
        seen.clear()
        mbv3zoo.resume_training(tmp_path / 'run', epochs=3, threads=2)
        assert seen == [2] * 8
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize('damage', ['boxes', 'model', 'size'])
def test_anchors_and_model_belong_to_the_run(copied, damage):
    """Others would be under weights that were trained with these."""
    before = Detector.from_pretrained(copied.run / 'last').config
    if damage == 'boxes':
        for path in copied.data.rglob('labels/train/*.txt'):
            path.write_text('0 0.5 0.5 0.05 0.9\n')
    elif damage == 'model':
        shutil.rmtree(copied.model)
    else:
        mbv3zoo.create_detector('mbv3_yolo_large', num_classes=2, image_size=96).save_pretrained(copied.model)
    mbv3zoo.resume_training(copied.run, epochs=2)
    assert Detector.from_pretrained(copied.run / 'last').config == before


@pytest.mark.parametrize(
    ('names', 'message'),
    [
        (['disc', 'square'], 'the order differs'),
        (['square', 'disc', 'star'], "added: 'star'"),
        (['square'], "removed: 'disc'"),
        (['square', 'ring'], "added: 'ring', removed: 'disc'"),
    ],
)
def test_other_classes_are_refused_before_anything_is_written(copied, names, message):
    path = copied.data / 'data.yaml'
    path.write_text(path.read_text().replace('- square\n- disc\n', ''.join(f'- {name}\n' for name in names)))
    if len(names) == 1:
        for labels in copied.data.rglob('labels/*/*.txt'):
            labels.write_text('0 0.5 0.5 0.2 0.2\n')
    before = files_of(copied.run)
    with pytest.raises(ValueError, match=message):
        run.resume(copied.run, epochs=2)
    assert files_of(copied.run) == before


def test_other_images_are_warned_of_once(copied, caplog):
    for path in sorted((copied.data / 'images/train').iterdir())[:3]:
        path.unlink()
        (copied.data / 'labels/train' / f'{path.stem}.txt').unlink()
    run.resume(copied.run, epochs=2)
    (message,) = warnings_of(caplog)
    assert message.endswith('the data has changed: it has 5 training and 2 validation images, and had 8 and 2')


def test_a_state_that_does_not_say_how_many_images_there_were_goes_on(copied, caplog):
    state = load_state(copied.run)
    del state['images']
    save_state(copied.run, state)
    run.resume(copied.run, epochs=2)
    assert not warnings_of(caplog)


def test_a_run_that_another_process_trains_is_refused(copied):
    before = files_of(copied.run)
    with locked_folder(copied.run), pytest.raises(ValueError, match='run is being written by another process'):
        run.resume(copied.run, epochs=2)
    assert files_of(copied.run) == before


@pytest.mark.parametrize(
    ('model', 'pretrained', 'loaded', 'said'),
    [
        ('saved', None, True, 'training starts from the weights of '),
        ('saved', True, True, 'training starts from the weights of '),
        ('saved', False, False, 'training starts from random weights, not from those of '),
        ('name', None, False, 'training starts from random weights'),
        ('mbv3_yolo_small.synth', None, True, 'training starts from the weights of mbv3_yolo_small.synth'),
        ('mbv3_yolo_small.synth', False, False, 'training starts from random weights, not from those of '),
    ],
)
def test_a_saved_detector_brings_its_weights(copied, tmp_path, monkeypatch, caplog, model, pretrained, loaded, said):
    first = {}

    def look(trainer):
        first.update({name: value.clone() for name, value in trainer.learner.kept.state_dict().items()})

    monkeypatch.setattr('mbv3zoo.training.trainer.Trainer.fit', look)
    caplog.set_level(logging.INFO, 'mbv3zoo')
    source = {'saved': str(copied.model), 'name': 'mbv3_yolo_small_050'}.get(model, model)
    config = run.run_config(
        copied.data, model=source, pretrained=pretrained, image_size=64, val_data=None, images=None, data_license=None
    )
    run.start(config, tmp_path / 'new')
    written = yaml.safe_load((tmp_path / 'new/run.yaml').read_text())
    assert written['pretrained'] is loaded
    (line,) = [record.getMessage() for record in caplog.records if 'training starts' in record.getMessage()]
    assert line.startswith(said) and (model != 'saved' or line.endswith(str(copied.model)))
    if model != 'name':
        saved = Detector.from_pretrained(source).state_dict()
        (name,) = [name for name in saved if name.endswith('conv_stem.weight')]
        assert torch.equal(first[name], saved[name]) is loaded
