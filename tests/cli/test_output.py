import logging

import pytest

from mbv3zoo.cli.output import is_first_process, show_log, tell


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
