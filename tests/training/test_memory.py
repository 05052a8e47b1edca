"""Memory that a training process keeps for its next step."""

import ctypes
import resource

import pytest
from warm_python import run_code

_COUNT_FAULTS = """
import resource, torch
{setting}
for _ in range(3):
    torch.ones(40_000_000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    torch.ones(40_000_000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
# After the imports that a training has done: a heap that is still small may have no room to grow.
_KEEP = 'from mbv3zoo.training.trainer import keep_freed_memory; keep_freed_memory()'
_PAGES = 40_000_000 * 4 // resource.getpagesize()


def page_faults(setting: str) -> int:
    return int(run_code(_COUNT_FAULTS.format(setting=setting)).stdout)


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), 'mallopt'), reason='the setting is of glibc')
def test_a_tensor_that_was_freed_is_allocated_again_without_new_pages():
    assert page_faults(_KEEP) < _PAGES / 10


def test_another_c_library_is_left_as_it_is(monkeypatch):
    from mbv3zoo.training.memory import keep_freed_memory

    monkeypatch.setattr(ctypes, 'CDLL', lambda name: object())
    keep_freed_memory()
