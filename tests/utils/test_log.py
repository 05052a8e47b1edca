import logging

import pytest

from mbv3zoo.utils.log import is_quiet
from mbv3zoo.utils.progress import bar, write_above


@pytest.mark.parametrize(
    ('level', 'quiet'), [(logging.NOTSET, False), (logging.INFO, False), (logging.WARNING, True), (logging.ERROR, True)]
)
def test_no_progress_where_the_log_is_set_to_warnings(monkeypatch, capsys, level, quiet):
    monkeypatch.setattr(logging.getLogger('mbv3zoo'), 'level', level)
    assert is_quiet() == quiet == bar(3, 'images').disable
    write_above('epoch 1')
    assert capsys.readouterr().out == ('' if quiet else 'epoch 1\n')
