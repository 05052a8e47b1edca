import sys

import numpy as np
import pytest
import torch

from mbv3zoo.utils.tensors import is_tensor


@pytest.mark.parametrize(
    ('value', 'expected'),
    [
        (torch.zeros(2), True),
        (torch.nn.Parameter(torch.zeros(2)), True),
        (np.zeros(2), False),
        ([1], False),
        (1, False),
    ],
)
def test_a_tensor_is_told_from_what_looks_like_one(value, expected):
    assert is_tensor(value) is expected


def test_nothing_is_a_tensor_where_torch_was_not_imported(monkeypatch):
    value = torch.zeros(2)
    monkeypatch.delitem(sys.modules, 'torch')
    assert is_tensor(value) is False and 'torch' not in sys.modules
