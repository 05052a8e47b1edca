import os
import signal
import sys

import pytest
import torch
from torch.utils.data import DataLoader

from mbv3zoo.cli import interruption
from mbv3zoo.cli import main as cli
from mbv3zoo.data.loader import ignore_interruptions


@pytest.fixture
def signals(monkeypatch):
    """The handlers as they are when a program starts."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    monkeypatch.setattr(interruption, '_received', [])
    # In the background of a shell, or under nohup, some are ignored.
    for number in before:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def interrupted(monkeypatch, capsys, number, sentence=''):
    """The exit status and what is printed where a command gets a signal."""

    def command(*_, **__):
        try:
            os.kill(os.getpid(), number)
            raise AssertionError('the signal did nothing')
        except KeyboardInterrupt:
            raise KeyboardInterrupt(sentence) from None

    monkeypatch.setattr('mbv3zoo.create.list_detectors', command)
    monkeypatch.setattr(sys, 'argv', ['mbv3zoo', 'list'])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return stop.value.code, capsys.readouterr()


@pytest.mark.parametrize(('name', 'status'), [('SIGINT', 130), ('SIGTERM', 143), ('SIGHUP', 129)])
def test_a_signal_ends_a_command_in_one_line_and_with_its_status(signals, monkeypatch, capsys, name, status):
    found = interrupted(monkeypatch, capsys, getattr(signal, name))
    assert found == (status, ('', 'mbv3zoo: list was interrupted\n'))


def test_a_command_says_how_to_go_on(signals, monkeypatch, capsys):
    sentence = 'interrupted after epoch 3 of 100; go on with: mbv3zoo train --resume runs/train-1'
    found = interrupted(monkeypatch, capsys, signal.SIGINT, sentence)
    assert found == (130, ('', f'mbv3zoo: {sentence}\n'))


def test_a_signal_that_is_ignored_stays_so(signals):
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    interruption.end_on_signals()
    assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    assert signal.getsignal(signal.SIGTERM) is interruption._interrupt


class Interrupted(torch.utils.data.Dataset):
    def __len__(self):
        return 2

    def __getitem__(self, index):
        os.kill(os.getpid(), signal.SIGINT)
        return index


def test_a_loader_process_leaves_an_interruption_to_the_one_that_started_it(capfd):
    loader = DataLoader(Interrupted(), 1, num_workers=1, worker_init_fn=ignore_interruptions)
    assert [int(index) for index in loader] == [0, 1]
    assert capfd.readouterr() == ('', '')
