import io
import logging
import sys
import warnings

import pytest
import typer

from mbv3zoo.cli.interruption import is_first_process
from mbv3zoo.cli.output import make_printable, show_log, tell, tell_lines


@pytest.mark.parametrize(('rank', 'first'), [(None, True), ('0', True), ('1', False)])
def test_one_of_several_processes_prints_and_logs(monkeypatch, capsys, rank, first):
    logger = logging.getLogger('mbv3zoo')
    monkeypatch.setattr(logger, 'handlers', [])
    monkeypatch.setattr(logger, 'level', logger.level)
    if rank is None:
        monkeypatch.delenv('RANK', raising=False)
    else:
        monkeypatch.setenv('RANK', rank)
    assert is_first_process() == first
    show_log()
    tell('saved')
    logging.getLogger('mbv3zoo.training').info('anchors fitted')
    logging.getLogger('mbv3zoo.training').error('no room')
    shown = capsys.readouterr()
    assert shown.out == ('saved\n' if first else '')
    assert shown.err == ('INFO anchors fitted\n' if first else '') + 'ERROR no room\n'


def test_a_warning_is_one_line(monkeypatch, capsys):
    monkeypatch.setattr(logging.getLogger('mbv3zoo'), 'handlers', [])
    monkeypatch.setattr(warnings, 'formatwarning', warnings.formatwarning)
    show_log()
    with warnings.catch_warnings():
        warnings.simplefilter('always')
        # As outside of pytest, which records warnings.
        warnings.showwarning = lambda message, category, *place: print(
            warnings.formatwarning(message, category, *place), end='', file=sys.stderr
        )
        warnings.warn('a.png: two\nlines', stacklevel=1)
    assert capsys.readouterr().err == 'WARNING a.png: two\\nlines\n'


def test_an_interruption_between_two_lines_ends_in_the_sentence_of_the_lines(monkeypatch, capsys):
    def lines():
        try:
            yield 'first'
            yield 'second'
        except KeyboardInterrupt:
            raise KeyboardInterrupt('stopped after 1 of 2') from None

    def echo(line, err=False):
        print(line, file=sys.stderr if err else sys.stdout)
        if not err:
            raise KeyboardInterrupt

    monkeypatch.setattr('mbv3zoo.cli.output.typer.echo', echo)
    with pytest.raises(typer.Exit) as stop:
        tell_lines(lines())
    assert stop.value.exit_code == 130 and capsys.readouterr() == ('first\n', 'mbv3zoo: stopped after 1 of 2\n')


def test_an_interruption_within_the_lines_is_told_as_they_say(capsys):
    def lines():
        yield 'first'
        raise KeyboardInterrupt('stopped after 1 of 2')

    with pytest.raises(typer.Exit):
        tell_lines(lines())
    assert capsys.readouterr() == ('first\n', 'mbv3zoo: stopped after 1 of 2\n')


@pytest.mark.parametrize(('encoding', 'expected'), [('cp1252', b'K\xe4fer \\u732b'), ('latin-1', b'K\xe4fer \\u732b')])
def test_a_terminal_that_lacks_characters_shows_their_numbers(monkeypatch, encoding, expected):
    terminal = io.TextIOWrapper(io.BytesIO(), encoding)
    monkeypatch.setattr(sys, 'stdout', terminal)
    make_printable()
    typer.echo('Käfer 猫')
    terminal.flush()
    assert terminal.buffer.getvalue().strip() == expected
