"""Processes run in turn here; `cli/test_several_processes.py` has real ones."""

import pytest

from mbv3zoo.prediction import together
from mbv3zoo.prediction.together import predict_together
from mbv3zoo.utils.processes import Processes


@pytest.fixture(autouse=True)
def predicted(monkeypatch):
    """The images that were predicted; those called 'bad' fail."""
    seen = []

    def predict(detector, items, **settings):
        for item in items:
            if item == 'bad':
                raise ValueError('bad image')
            seen.append(item)
            yield f'{detector} {item} {settings}'

    monkeypatch.setattr(together, 'iter_predict', predict)
    monkeypatch.setattr(together, '_PART', 2)
    return seen


def passes(count, items):
    """What each process exchanges, and what it yields, where each waits for the results of the ones before."""
    parts = {}

    def run(index, known):
        rounds = iter(range(100))

        def gather(found):
            number = next(rounds)
            parts.setdefault(number, [None] * count)[index] = found
            return [each for part in parts[number] for each in part or []] if known else []

        return list(predict_together(Processes(index, count, gather), 'd', items, a=1))

    for index in range(count):
        run(index, False)
    return [run(index, True) for index in range(count)]


@pytest.mark.parametrize('count', [1, 2, 3])
@pytest.mark.parametrize('number', [0, 1, 4, 7, 13])
def test_all_images_in_their_order_each_predicted_once(count, number, predicted):
    items = [f'{i}' for i in range(number)]
    assert passes(count, items) == [[f"d {item} {{'a': 1}}" for item in items]] * count
    assert sorted(predicted) == sorted(items * 2)


def test_an_error_reaches_the_others():
    sent = []
    failing = predict_together(Processes(1, 2, sent.append), 'd', ['a', 'b', 'bad'])
    with pytest.raises(ValueError, match='bad image'):
        list(failing)
    assert [type(each) for each in sent[0]] == [ValueError]
    other = predict_together(Processes(0, 2, lambda own: [*own, *sent[0]]), 'd', ['a', 'b', 'bad'])
    assert [next(other), next(other)] == ['d a {}', 'd b {}']
    with pytest.raises(ValueError, match='bad image'):
        next(other)
