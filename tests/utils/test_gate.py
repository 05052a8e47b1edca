import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from mbv3zoo.utils.gate import Gate


@pytest.fixture
def gate():
    return Gate()


def start(function):
    thread = threading.Thread(target=function, daemon=True)
    thread.start()
    return thread


def test_users_are_inside_together(gate):
    both = threading.Barrier(2, timeout=5)

    def use():
        with gate.using():
            both.wait()

    threads = [start(use) for _ in range(2)]
    for thread in threads:
        thread.join(5)
    assert not both.broken


def test_one_that_changes_is_alone(gate):
    inside, seen = [0, 0], []

    def step(number):
        changes = number % 5 == 0
        with gate.changing() if changes else gate.using():
            inside[changes] += 1
            time.sleep(0.001)
            seen.append((changes, *inside))
            inside[changes] -= 1

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(step, range(60)))
    assert {(users, changers) for changes, users, changers in seen if changes} == {(0, 1)}
    assert {changers for changes, _, changers in seen if not changes} == {0}
    assert max(users for _, users, _ in seen) > 1


def test_who_comes_while_a_change_is_waited_for_waits_too(gate):
    order = []

    def change():
        with gate.changing():
            order.append('changed')

    def use():
        with gate.using():
            order.append('used')

    with gate.using():
        first = start(change)
        while not gate._waiting:
            time.sleep(0.001)
        second = start(use)
        second.join(0.02)
        assert order == []
        # Not who is inside already.
        with gate.using(), gate.changing():
            pass
    first.join(5), second.join(5)
    assert order == ['changed', 'used']


def test_two_that_are_inside_and_change_do_not_wait_for_each_other(gate):
    both = threading.Barrier(2, timeout=5)

    def use_then_change():
        with gate.using():
            both.wait()
            with gate.changing():
                both.wait()

    threads = [start(use_then_change) for _ in range(2)]
    for thread in threads:
        thread.join(5)
    assert not any(thread.is_alive() for thread in threads) and not both.broken


def test_one_that_changes_may_use(gate):
    with gate.changing(), gate.using(), gate.changing():
        pass
    with gate.using():
        pass


@pytest.mark.parametrize('way', ['using', 'changing'])
def test_an_error_inside_leaves_it_open(gate, way):
    with pytest.raises(KeyError), getattr(gate, way)():
        raise KeyError
    with gate.changing():
        pass
    assert not gate._inside and not gate._alone


def test_one_whose_wait_is_interrupted_lets_the_others_in(gate, monkeypatch):
    real = gate._moved.wait_for

    def interrupted(condition):
        raise KeyboardInterrupt

    monkeypatch.setattr(gate._moved, 'wait_for', interrupted)
    with pytest.raises(KeyboardInterrupt), gate.changing():
        pass
    monkeypatch.setattr(gate._moved, 'wait_for', real)
    with gate.using():
        assert gate._waiting == 0
