import errno
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch._utils import ExceptionWrapper

from mbv3zoo.config.training import TrainConfig
from mbv3zoo.training.failures import TrainingDiverged, TrainingStopped, naming_the_checkpoint, telling_interruptions
from mbv3zoo.utils.disk import told

RUN = Path('runs') / 'mine'


def stopped(error, saved_epoch=3):
    with (
        pytest.raises(TrainingStopped) as caught,
        naming_the_checkpoint(SimpleNamespace(run=RUN, saved_epoch=saved_epoch)),
    ):
        raise error
    assert caught.value.__cause__ is error and '\n' not in str(caught.value)
    assert not isinstance(caught.value, TrainingDiverged)
    return str(caught.value)


def test_nothing_happens_without_an_error():
    with naming_the_checkpoint(SimpleNamespace(run=RUN, saved_epoch=0)):
        pass


@pytest.mark.parametrize(
    ('error', 'reason'),
    [
        (OSError(28, 'No space left on device', 'last/model.safetensors'), 'No space left on device'),
        (FileNotFoundError(2, 'No such file or directory', 'a.jpg'), "'a.jpg'"),
        (PermissionError('no'), 'no'),
        (OSError('could not write\nthe state'), 'the state'),
        (OSError(), 'OSError'),
        (TimeoutError('  \n'), 'TimeoutError'),
    ],
)
def test_failures_of_data_and_disk_say_how_to_go_on(error, reason):
    text = stopped(error)
    assert reason in text and 'epoch 3' in text and f'--resume {RUN}' in text
    assert 'memory' not in text


@pytest.mark.parametrize(
    ('error', 'reason'),
    [
        (
            OSError(errno.EROFS, 'Read-only file system', 'runs/mine/report'),
            'runs/mine/report: the file system is read-only',
        ),
        (OSError(errno.ENOSPC, 'No space left on device'), f'could not write to {RUN}: the disk is full'),
        (told(OSError(errno.ENOSPC, 'full'), 'could not write state.pt: full'), 'could not write state.pt: full;'),
    ],
)
def test_errors_of_the_disk_name_a_path_of_the_run(error, reason):
    text = stopped(error)
    assert text.startswith(reason) and text.endswith(f'the checkpoint of epoch 3 is whole, go on with --resume {RUN}')


def test_before_the_first_checkpoint():
    text = stopped(OSError('disk full'), saved_epoch=0)
    assert 'no epoch was saved' in text and 'epoch 0' not in text and f'--resume {RUN}' in text


def test_a_loader_process_that_was_killed():
    text = stopped(RuntimeError('DataLoader worker (pid 123) is killed by signal: Killed. '))
    assert 'pid 123' in text and 'too little memory' in text and 'fewer workers' in text and 'epoch 3' in text


@pytest.mark.parametrize(
    'error', [FileNotFoundError(2, 'No such file or directory', 'b.jpg'), RuntimeError('b.jpg: broken stream')]
)
def test_what_a_loader_process_raises_is_told_in_one_line(error):
    try:
        raise error
    except (OSError, RuntimeError):
        # How a loader process sends it over.
        wrapped = ExceptionWrapper(where='in DataLoader worker process 0')
    with pytest.raises(type(error)) as caught:
        wrapped.reraise()
    assert 'Traceback' in str(caught.value)
    text = stopped(caught.value)
    assert 'b.jpg' in text and 'Traceback' not in text and 'FileNotFoundError' not in text
    assert 'epoch 3' in text and 'out of memory' not in text


@pytest.mark.parametrize(
    'error',
    [
        RuntimeError('mat1 and mat2 shapes cannot be multiplied'),
        torch.OutOfMemoryError('CUDA out of memory'),
        ValueError('a box of class 7'),
        KeyError('a'),
        TrainingDiverged('the loss is no longer finite; runs/mine/last holds epoch 2'),
        TrainingStopped('stopped elsewhere'),
    ],
)
def test_other_errors_pass_as_they_are(error):
    with (
        pytest.raises(type(error)) as caught,
        naming_the_checkpoint(SimpleNamespace(run=RUN, saved_epoch=3)),
    ):
        raise error
    assert caught.value is error and error.__cause__ is None


@pytest.mark.parametrize(
    ('saved_epoch', 'kept'), [(0, 'nothing was saved yet'), (3, f'{RUN / "last"} holds the weights of epoch 3')]
)
def test_what_is_no_longer_finite_has_diverged(saved_epoch, kept):
    trainer = SimpleNamespace(run=RUN, saved_epoch=saved_epoch, config=TrainConfig(lr=0.5))
    with pytest.raises(TrainingDiverged) as caught, naming_the_checkpoint(trainer):
        raise FloatingPointError('the loss is no longer finite at update 7')
    advice = 'Try a lower lr (now 0.5; 0.02 is usual) or a longer warm-up.'
    assert str(caught.value) == f'the loss is no longer finite at update 7; {kept}. {advice}'


def test_callers_catch_both_at_once():
    assert issubclass(TrainingDiverged, TrainingStopped) and issubclass(TrainingStopped, RuntimeError)


@pytest.mark.parametrize(
    ('saved_epoch', 'told'),
    [
        (3, "interrupted after epoch 3 of 9; go on with: mbv3zoo train --resume '{run}'"),
        (0, "interrupted before epoch 1 of 9 was done, and nothing of it is kept; begin again with: mbv3zoo train "
            "--resume '{run}'"),
    ],
)  # fmt: skip
def test_an_interruption_says_how_to_go_on(tmp_path, saved_epoch, told):
    run = tmp_path / 'my run'
    run.mkdir()
    (run / 'run.yaml').touch()
    trainer = SimpleNamespace(run=run, saved_epoch=saved_epoch, config=SimpleNamespace(epochs=9))
    with pytest.raises(KeyboardInterrupt) as caught, naming_the_checkpoint(trainer):
        raise KeyboardInterrupt
    assert str(caught.value) == told.format(run=run)


def test_an_interruption_before_a_run_has_a_folder_gets_a_sentence_unless_it_has_one():
    for said, expected in ((), 'not begun'), (('after 3',), 'after 3'):
        with pytest.raises(KeyboardInterrupt, match=expected), telling_interruptions('not begun'):
            raise KeyboardInterrupt(*said)
