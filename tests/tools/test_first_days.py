"""docs/first_days.md shows what its commands print."""

import shlex

import first_days
import pytest
from first_days import changes, kinds, read_sections
from first_days_commands import DAYS
from typer.main import get_command

from mbv3zoo.cli.main import app


def test_the_page_has_the_days_and_their_commands():
    sections = read_sections(first_days.PAGE.read_text())
    assert list(sections) == [day.title for day in DAYS]
    for day in DAYS:
        shown = [line.removeprefix('$ ') for line in sections[day.title].splitlines() if line.startswith('$ ')]
        assert shown == [command for step in day.steps for command in step.commands]


def test_commands_have_the_options_that_are_shown():
    program = get_command(app)
    commands = [shlex.split(command) for day in DAYS for step in day.steps for command in step.commands]
    for _, name, *options in [words for words in commands if words[0] == 'mbv3zoo' and '||' not in words]:
        program.commands[name].make_context(name, options)


def test_numbers_and_repetitions_do_not_change_the_kind_of_an_output():
    old = 'epoch 1  ap 0.10\nepoch 2  ap 0.20\na.jpg: 2 mug, 1 pen\nsaved in runs/train-1'
    new = 'epoch  1  ap 0.134\na.jpg: nothing found\nsaved in runs/train-1'
    assert changes(old, new) == []
    assert changes('CPU  AMD EPYC, 2 cores\nleft 0:15', 'CPU  Apple M4\nleft 1:02:07') == []


@pytest.mark.parametrize(
    'new', ['a.jpg: 2 mug\nWARNING too late', 'Traceback (most recent call last):', '', 'mbv3zoo: a.jpg: no such file']
)
def test_other_words_do(new):
    assert changes('a.jpg: 2 mug', new)


def test_progress_of_a_slow_machine_is_of_no_kind():
    progress = 'INFO epoch 1/2: 9 of 12 batches, 22 seconds left (box 0.9985 objectness 3.6)'
    assert list(kinds(f'1/2  0.3\n{progress}\n2/2  0.4')) == ['#/# #']


def test_kinds_of_a_table():
    text = 'class     AP   AP50\nmug    0.400      -\nmug    0.500  0.300'
    assert list(kinds(text)) == ['class AP AP#', 'mug # #']


@pytest.mark.slow
@pytest.mark.parametrize('day', range(1, len(DAYS) + 1))
def test_what_the_commands_print(day, capsys):
    assert first_days.main(['--check', '--day', str(day)]) == 0, capsys.readouterr().out
