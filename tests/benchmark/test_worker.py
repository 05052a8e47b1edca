import json

import pytest

from mbv3zoo.benchmark import worker
from mbv3zoo.benchmark.opened import Opened

OPTIONS = {'runtime': 'eager', 'size': None, 'threads': None, 'device': None, 'rounds': 2, 'seconds': 1e-4}


@pytest.fixture
def models(monkeypatch):
    """Names of models that open, and what they do; fills `ran`."""

    def fill(**calls):
        ran = []

        def opened(name, **options):
            if isinstance(calls[name], ImportError):
                raise calls[name]
            return Opened(lambda: (ran.append(name), calls[name] and calls[name]()), (64, 96))

        monkeypatch.setattr(worker, 'open_model', opened)
        monkeypatch.setattr(worker, 'count', lambda name, size: (100, 0.5))
        return ran

    return fill


def fail():
    raise RuntimeError('out of\n  memory')


def test_a_model_that_fails_does_not_stop_the_others(models):
    ran = models(a=None, b=fail, c=ImportError('runtime is not installed'), d=None)
    a, b, c, d = worker.time_models(['a', 'b', 'c', 'd'], 'a', batch=2, **OPTIONS)
    assert b == {'error': 'RuntimeError: out of memory'} and c == {'error': 'runtime is not installed'}
    assert a['relative'] == 1 and d['relative'] > 0 and d['size'] == (64, 96) and d['parameters'] == 100
    assert a['images_per_second'] == pytest.approx(2e3 / a['ms'], rel=0.5)
    # After the warm-up the two take turns.
    turns = [name for i, name in enumerate(ran[7:]) if not i or ran[7:][i - 1] != name]
    assert turns == ['d', 'a', 'd', 'a'] or turns == ['a', 'd', 'a']


def test_without_the_first_there_is_nothing_to_compare_with(models):
    models(a=fail, b=None)
    _, b = worker.time_models(['a', 'b'], 'a', **OPTIONS)
    assert b['ms'] > 0 and 'relative' not in b


def test_messages():
    assert worker.message(ValueError('a\nb')) == 'a b' and worker.message(KeyError()) == 'KeyError:'
    assert len(worker.message(ValueError('a' * 1000))) == 300


def test_memory_of_one_model(models, monkeypatch):
    ran = models(a=None)
    monkeypatch.setattr(worker, 'peak_memory_mb', lambda: 12.5)
    assert worker.run_once('a', runtime='eager') == 12.5 and ran == ['a'] * 3


def test_the_task_is_the_one_that_was_asked_for(tmp_path, monkeypatch):
    given, found = tmp_path / 'given.json', tmp_path / 'found.json'
    given.write_text(json.dumps({'task': 'memory', 'job': {'name': 'a', 'batch': 3}}))
    monkeypatch.setitem(worker._TASKS, 'memory', lambda **job: job)
    worker.main([str(given), str(found)])
    assert json.loads(found.read_text()) == {'name': 'a', 'batch': 3}
