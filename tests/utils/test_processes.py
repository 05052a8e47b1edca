"""Processes are threads here; `test_processes.py` of the command line has real ones."""

import threading
from contextlib import contextmanager

import pytest

from mbv3zoo.utils.processes import ALONE, Processes, own_device, processes


def run(count, work):
    """What `work(group)` returns or raises in each of so many threads that are a group."""
    barrier, sent, results = threading.Barrier(count), [None] * count, [None] * count

    def start(index):
        def gather(items):
            sent[index] = items
            barrier.wait(10)
            found = [item for part in sent for item in part]
            barrier.wait(10)
            return found

        try:
            results[index] = work(Processes(index, count, gather))
        except Exception as error:
            results[index] = error

    threads = [threading.Thread(target=start, args=(index,)) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    return results


@pytest.mark.parametrize('count', [1, 2, 3])
@pytest.mark.parametrize('items', [0, 1, 7])
def test_shares_are_all_items_once(count, items):
    shares = run(count, lambda group: list(group.share(items)))
    assert sorted(item for share in shares for item in share) == list(range(items))
    assert run(count, lambda group: group.gather(list(group.share(items)))) == [sum(shares, [])] * count


def test_what_the_first_enters_all_get():
    entered = []

    @contextmanager
    def claim():
        entered.append('in')
        yield 'folder'
        entered.append('out')

    def work(group):
        with group.entered_by_first(claim) as value:
            assert entered[0] == 'in'
            return value

    for count in (1, 3):
        entered.clear()
        assert run(count, work) == ['folder'] * count and entered == ['in', 'out']


def test_an_error_of_the_first_is_raised_by_all():
    @contextmanager
    def claim():
        raise ValueError('in use')
        yield

    def work(group):
        with group.entered_by_first(claim):
            pass

    for count in (1, 2):
        assert [(type(error), str(error)) for error in run(count, work)] == [(ValueError, 'in use')] * count


def test_the_first_reads_before_the_others():
    order = []
    run(3, lambda group: group.first_before_others(lambda: order.append(group.index)))
    assert order[0] == 0 and sorted(order) == [0, 1, 2]

    def fail(group):
        return group.first_before_others(lambda: 1 / 0 if group.is_first else 'read')

    assert [type(result) for result in run(2, fail)] == [ZeroDivisionError, str]


def test_without_a_launcher_a_process_is_alone(monkeypatch):
    monkeypatch.delenv('WORLD_SIZE', raising=False)
    with processes() as group:
        assert group is ALONE and group.is_first and group.gather([1]) == [1]
    assert own_device(None) is None and own_device('cpu') == 'cpu'


def test_each_process_has_a_gpu_of_its_own(monkeypatch):
    monkeypatch.setenv('WORLD_SIZE', '8')
    monkeypatch.setenv('LOCAL_RANK', '5')
    monkeypatch.setattr('torch.cuda.is_available', lambda: True)
    monkeypatch.setattr('torch.cuda.device_count', lambda: 4)
    assert own_device(None) == 'cuda:1' and own_device('cpu') == 'cpu'
