"""The `--help` of every command, as a newcomer reads it in a terminal of 80 columns."""

import re
import shlex

import pytest
import typer
from program import run

from mbv3zoo.cli import options
from mbv3zoo.cli.described import group_of
from mbv3zoo.cli.examples import EXAMPLES
from mbv3zoo.cli.main import app

PROGRAM = typer.main.get_command(app)
GROUPS = {value for name, value in vars(options).items() if name.isupper() and isinstance(value, str)}
# Groups of one command.
GROUPS |= {'Arguments', 'Budget', 'Scenes', 'Timing'}


@pytest.mark.parametrize('name', PROGRAM.commands)
def test_help_fits_80_columns_and_ends_with_an_example(monkeypatch, name):
    monkeypatch.setenv('COLUMNS', '80')
    lines = run(name, '--help').output.splitlines()
    assert max(map(len, lines)) <= 80
    examples = lines[lines.index('Examples:') + 1 :]
    assert [line.strip() for line in examples] == EXAMPLES[name].splitlines()
    # Sections of a plain text, with no frames around them.
    assert {line[:-1] for line in lines if re.fullmatch(r'[A-Z][a-z]+:', line)} - {'Examples'} <= GROUPS
    assert not re.search(r'by default|\(default|\[default: \(|list\[', '\n'.join(lines))


@pytest.mark.parametrize('name', PROGRAM.commands)
def test_every_option_has_a_group_and_says_what_it_does_and_its_default(monkeypatch, name):
    monkeypatch.setenv('COLUMNS', '80')
    command = PROGRAM.commands[name]
    context = command.make_context(name, [], resilient_parsing=True)
    command.format_options(context, context.make_formatter())
    for option in command.params:
        assert option.help and group_of(option) in GROUPS, option.name
        _, text = option.get_help_record(context)
        is_switch = getattr(option, 'is_flag', False) and not option.secondary_opts
        assert is_switch or '[required]' in text or 'default: ' in text or option.name == 'data', option.name


@pytest.mark.parametrize(('name', 'line'), [(name, line) for name in EXAMPLES for line in EXAMPLES[name].splitlines()])
def test_every_example_is_a_command_that_parses(name, line):
    program, command, *arguments = shlex.split(line)
    assert program == 'mbv3zoo' and name in (program, command)
    if '--help' not in arguments:
        PROGRAM.commands[command].make_context(command, arguments)


def test_the_programs_help_fits_80_columns_and_cuts_no_sentence(monkeypatch):
    monkeypatch.setenv('COLUMNS', '80')
    text = run('--help').output
    assert max(map(len, text.splitlines())) <= 80 and '...' not in text.partition('Commands:')[2]
    assert text.rstrip().endswith(EXAMPLES['mbv3zoo'].replace('\n', '\n  '))


@pytest.mark.parametrize('shell', ['bash', 'zsh', 'fish'])
def test_completion_is_written_for_each_shell(shell, monkeypatch):
    monkeypatch.setattr('shellingham.detect_shell', lambda: (shell, f'/bin/{shell}'))
    assert f'_MBV3ZOO_COMPLETE=complete_{shell}' in run('--show-completion').output


@pytest.mark.parametrize(
    ('words', 'expected'), [('pre', 'predict'), ('predict --score', '--score-thresh'), ('predict m ', '')]
)
def test_words_are_completed_and_nothing_where_the_shell_completes_files(monkeypatch, capsys, words, expected):
    monkeypatch.setenv('_MBV3ZOO_COMPLETE', 'complete_bash')
    monkeypatch.setenv('COMP_WORDS', f'mbv3zoo {words}')
    monkeypatch.setenv('COMP_CWORD', str(len(words.split(' '))))
    with pytest.raises(SystemExit):
        app(prog_name='mbv3zoo')
    assert capsys.readouterr().out.strip() == expected
