import os

import pytest

from mbv3zoo.utils.environment import environment


def test_variables_are_what_they_were_whatever_happens(monkeypatch):
    monkeypatch.setenv('MBV3ZOO_A', 'old')
    monkeypatch.delenv('MBV3ZOO_B', raising=False)
    with pytest.raises(KeyError), environment(MBV3ZOO_A='new', MBV3ZOO_B='1'):
        assert (os.environ['MBV3ZOO_A'], os.environ['MBV3ZOO_B']) == ('new', '1')
        raise KeyError
    assert os.environ['MBV3ZOO_A'] == 'old' and 'MBV3ZOO_B' not in os.environ
