"""The table of other programs' names holds only what the commands have."""

import re

import pytest
import typer

from mbv3zoo.cli.main import app
from mbv3zoo.cli.other_names import COMMANDS, INSTEAD, ONE_MORE, OURS, SAME

PROGRAM = typer.main.get_command(app)


@pytest.mark.parametrize('text', [*INSTEAD.values(), *COMMANDS.values(), *ONE_MORE.values()])
def test_the_answers_name_commands_and_options_that_exist(text):
    everywhere = {name for command in PROGRAM.commands.values() for option in command.params for name in _names(option)}
    everywhere |= {'--help', *_names_of(PROGRAM)}
    named = re.search(r'mbv3zoo ([a-z]+)', text)
    here = {'--help', *_names_of(PROGRAM.commands[named[1]])} if named else everywhere
    assert set(re.findall(r'--[a-z-]+', text)) <= here


def test_the_names_of_ours_are_options_arguments_or_settings():
    known = {name for command in PROGRAM.commands.values() for name in _names_of(command)}
    known |= {name for command in PROGRAM.commands.values() for name in command.settings()}
    assert {name for names in OURS.values() for name in names.split()} <= known
    assert set(SAME.values()) <= set(INSTEAD)


def _names_of(command):
    return {name for option in command.params for name in _names(option)}


def _names(option):
    return (
        {str(option.name).upper()} if option.param_type_name == 'argument' else {*option.opts, *option.secondary_opts}
    )
