import logging
import sys

import pytest
import tqdm.std
from clock import Clock

from mbv3zoo.utils import progress as module
from mbv3zoo.utils.progress import bar, has_bars


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(tqdm.std, 'time', clock)
    return clock


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setattr(module, 'has_bars', lambda: True)


def test_a_bar_counts_to_a_number_or_passes_things_on(capsys, terminal):
    with bar(5, 'steps') as progress:
        progress.update(2)
        assert (progress.n, progress.total) == (2, 5)
    assert list(bar(['a', 'b'], 'letters')) == ['a', 'b']
    written = capsys.readouterr()
    # It is drawn beside the output, where it does not end up in a pipe.
    assert 'steps' in written.err and 'letters' in written.err and not written.out


def test_a_bar_that_is_not_shown_still_passes_things_on(capsys):
    assert list(bar(['a', 'b'], 'letters', show=False)) == ['a', 'b']
    bar(5, 'steps', show=False).update(2)
    assert capsys.readouterr() == ('', '')


def test_a_log_gets_a_line_a_minute_and_no_carriage_returns(capsys, caplog, clock):
    caplog.set_level(logging.INFO)
    with bar(1000, 'epoch 3/10', things='batches') as progress:
        for step in range(1000):
            clock.now += 0.5
            progress.update()
            if step % 10 == 1:
                progress.set_postfix_str('box 0.1234')
            if step == 500:
                tqdm.std.tqdm.write('a line between')
    lines = [record.getMessage() for record in caplog.records]
    # 500 seconds are 8 minutes.
    assert len(lines) == 8
    assert lines[0] == 'epoch 3/10: 120 of 1000 batches, 7 minutes left (box 0.1234)'
    assert lines[-1] == 'epoch 3/10: 960 of 1000 batches, 20 seconds left (box 0.1234)'
    assert capsys.readouterr() == ('a line between\n', '')


def test_what_is_done_within_a_minute_is_not_told(capsys, caplog, clock):
    caplog.set_level(logging.INFO)
    for _ in bar(range(59), 'images'):
        clock.now += 1
    assert not caplog.records and capsys.readouterr() == ('', '')


def test_a_number_that_is_not_known_is_told_without_an_end(caplog, clock):
    caplog.set_level(logging.INFO)
    with bar(None, 'video', things='frames') as progress:
        for _ in range(200):
            clock.now += 1
            progress.update(2)
    assert [record.getMessage() for record in caplog.records] == [
        'video: 120 frames in 60 seconds', 'video: 240 frames in 2 minutes', 'video: 360 frames in 3 minutes'
    ]  # fmt: skip


def test_a_notebook_has_bars_though_it_is_no_terminal(monkeypatch):
    assert not has_bars()
    out_stream = type('OutStream', (), {'isatty': lambda self: False, '__module__': 'ipykernel.iostream'})
    monkeypatch.setattr(sys, 'stderr', out_stream())
    assert has_bars()
