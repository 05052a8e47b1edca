import pytest

from mbv3zoo.benchmark.measure import Block, figures, interleave

# Seconds that add up without rounding.
TICK = 1 / 64


class Machine:
    """A clock that only models move; keeps who ran."""

    def __init__(self):
        self.now, self.waited, self.ran = 0.0, 0.0, []

    def model(self, name, seconds, waits=lambda number: 0.0):
        def call():
            number = sum(other == name for other in self.ran)
            self.ran.append(name)
            self.now += seconds(number) if callable(seconds) else seconds
            self.waited += waits(number)

        return call

    def turns(self):
        """Who ran, without repeats."""
        return [name for i, name in enumerate(self.ran) if not i or self.ran[i - 1] != name]


def run(machine, calls, rounds, seconds, waited=True):
    return interleave(calls, rounds, seconds, lambda: machine.now, (lambda: machine.waited) if waited else None)


def test_models_take_turns_there_and_back():
    machine = Machine()
    blocks = run(machine, [machine.model(name, TICK) for name in 'abc'], 4, 3 * TICK)
    # Whoever ends a round begins the next.
    assert machine.turns() == list('abcbabcba')
    assert [len(own) for own in blocks] == [4, 4, 4]
    assert {block for own in blocks for block in own} == {Block(1e3 * TICK, 3, 0)}


def test_the_first_call_of_a_block_does_not_count():
    machine = Machine()
    # Every third call is the first of a block.
    (own,) = run(machine, [machine.model('a', lambda number: 1.0 if number % 3 == 0 else TICK)], 2, 2 * TICK)
    assert [block.ms for block in own] == [1e3 * TICK] * 2 and machine.ran == ['a'] * 6


def test_a_block_has_a_call_however_long_it_takes():
    machine = Machine()
    (own,) = run(machine, [machine.model('a', 5.0)], 1, 0.01)
    assert [(block.ms, block.calls) for block in own] == [(5000.0, 1)]


def test_calls_that_waited_for_a_cpu_do_not_count_where_others_do():
    machine = Machine()
    slow = {2, 3}
    call = machine.model('a', lambda n: 0.09 if n in slow else 0.01, lambda n: 0.08 if n in slow else 0.0)
    (own,) = run(machine, [call], 1, 0.2)
    assert round(own[0].ms, 6) == 10 and own[0].disturbed == 2
    machine = Machine()
    (own,) = run(machine, [machine.model('a', 0.05, lambda number: 0.04)], 1, 0.1)
    assert round(own[0].ms, 6) == 50 and own[0].disturbed == own[0].calls == 2
    machine = Machine()
    (own,) = run(machine, [machine.model('a', 0.05)], 1, 0.1, waited=False)
    assert own[0].disturbed is None


def test_nothing_to_measure():
    assert interleave([], 3, 0.1) == []


def test_figures():
    times = [10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110]
    blocks = [Block(ms, 4, 1) for ms in times]
    found = figures(blocks, blocks, batch=3)
    assert found == {
        'ms': 60, 'ms_low': 20, 'ms_high': 100, 'images_per_second': 50, 'relative': 1, 'disturbed': 0.25,
    }  # fmt: skip
    assert figures([Block(2.0, 1, None)], None, 1) == {'ms': 2, 'ms_low': 2, 'ms_high': 2, 'images_per_second': 500}


def test_the_ratio_is_taken_within_each_round():
    # The machine is three times slower in half of the rounds, in another half for each model's own median.
    first = [Block(ms, 1, 0) for ms in (10, 10, 30, 30, 30)]
    blocks = [Block(ms, 1, 0) for ms in (20, 20, 60, 60, 20)]
    found = figures(blocks, first, 1)
    assert found['relative'] == 2 and found['ms'] / figures(first, None, 1)['ms'] == pytest.approx(20 / 30)
    with pytest.raises(ValueError):
        figures(blocks, first[:-1], 1)
