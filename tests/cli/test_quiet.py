"""What --quiet leaves of a command's output: the result, with warnings and errors."""

import logging
import os

import pytest
import typer
from program import run

from mbv3zoo.cli.main import app
from mbv3zoo.cli.output import tell, tell_lines
from mbv3zoo.cli.quiet import note, quieted
from mbv3zoo.utils.log import is_quiet

PROGRAM = typer.main.get_command(app)


@pytest.mark.parametrize('name', PROGRAM.commands)
def test_every_command_takes_it(name):
    assert '--quiet, -q' in run(name, '--help').output or '-q, --quiet' in run(name, '--help').output


def test_pictures_that_are_done_are_not_told_one_by_one(saved, scenes, tmp_path):
    command = 'predict', saved, scenes / 'images' / 'val'
    loud = run(*command, '--out', tmp_path / 'loud').output.splitlines()
    quiet = run(*command, '--out', tmp_path / 'quiet', '--quiet').output.splitlines()
    assert len(loud) == 4 and quiet == [f'3 pictures; results in {tmp_path / "quiet"}']
    assert not is_quiet()


def test_a_dataset_is_told_in_its_last_line(tmp_path):
    output = run('synth', tmp_path / 'a', '--train', 2, '--val', 1, '--image-size', 64, '--workers', 1, '-q').output
    assert output.startswith(f'{tmp_path / "a"}: 2 train, 1 val, ') and output.count('\n') == 1


def test_what_was_asked_for_is_printed_all_the_same():
    for command in (['list', 'mbv3*'], ['info', 'mbv3_yolo_small']):
        assert run(*command).output == run(*command, '--quiet').output != ''


def test_a_mistake_is_told_all_the_same():
    assert run('info', 'no-such-model', '-q', ok=False).exception.args[0].startswith('unknown detector')


def test_a_run_is_told_in_its_last_line_without_its_epochs(saved, scenes, tmp_path, caplog):
    options = '--model', saved, '--image-size', 64, '--epochs', 1, '--workers', 0, '--out', tmp_path / 'run'
    assert run('train', '--data', scenes, *options, '--quiet').stdout == f'saved in {tmp_path / "run"}\n'
    assert {record.levelname for record in caplog.records if record.name.startswith('mbv3zoo')} <= {'WARNING'}


def test_notes_are_left_out_and_results_and_warnings_are_not(capsys, monkeypatch):
    monkeypatch.delenv('TQDM_DISABLE', raising=False)
    with quieted(True):
        note('a')
        tell('b')
        tell_lines(iter('cd'))
        assert logging.getLogger('mbv3zoo.x').isEnabledFor(logging.WARNING) and os.environ['TQDM_DISABLE'] == '1'
    with quieted(False):
        note('e')
        tell_lines(iter('fg'))
    assert capsys.readouterr().out.split() == [*'bdefg'] and 'TQDM_DISABLE' not in os.environ


def test_a_level_that_is_higher_stays(monkeypatch):
    logger = logging.getLogger('mbv3zoo')
    monkeypatch.setattr(logger, 'level', logging.ERROR)
    with quieted(True):
        assert logger.level == logging.ERROR
