import pytest
import torch

from mbv3zoo.models.out_of_memory import is_out_of_memory


@pytest.mark.parametrize(
    ('error', 'expected'),
    [
        (torch.OutOfMemoryError('CUDA'), True),
        (MemoryError(), True),
        (RuntimeError('[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: not enough memory'), True),
        (RuntimeError('size mismatch for conv1.weight'), False),
        (ValueError(), False),
    ],
)
def test_memory_that_ran_out_is_told_from_other_errors(error, expected):
    assert is_out_of_memory(error) is expected
