import json

import pytest

from mbv3zoo.hub import errors
from mbv3zoo.hub.errors import HTTP_ERROR, ask, is_passing


def test_answers_that_are_no_json_may_pass_and_a_full_disk_does_not():
    assert is_passing(json.JSONDecodeError('no JSON', '', 0)) and is_passing(HTTP_ERROR.__new__(HTTP_ERROR))
    assert not is_passing(OSError(28, 'No space left on device'))


def test_what_may_pass_is_tried_again_and_what_does_not_is_raised_at_once(monkeypatch):
    waits, failures = [], [json.JSONDecodeError('no JSON', '', 0)] * 2
    monkeypatch.setattr(errors.time, 'sleep', waits.append)

    def call():
        if failures:
            raise failures.pop()
        return 'answer'

    assert ask(call, 'cannot load', 'org/name') == 'answer' and waits == [1, 2]
    failures[:] = [json.JSONDecodeError('no JSON', '', 0)] * 9
    with pytest.raises(ConnectionError, match='^cannot load: no usable answer'):
        ask(call, 'cannot load', 'org/name', attempts=3)
    assert len(failures) == 6
    failures[:] = [OSError(28, 'No space left on device')]
    with pytest.raises(OSError, match='No space left'):
        ask(call, 'cannot load', 'org/name')
