import numpy as np
import pytest
import torch
from torch import nn

from mbv3zoo.runtimes.torch_graph import TorchGraphSession


class Graph(nn.Module):
    """Gives its input twice as it is, or once in half precision."""

    def __init__(self, single):
        super().__init__()
        self.single = single
        self.register_buffer('weight', torch.zeros(1))

    def forward(self, x):
        return x.half() if self.single else (x, 2 * x)


@pytest.mark.parametrize('single', [False, True])
def test_outputs_are_float32_arrays_in_their_order(single):
    session = TorchGraphSession(Graph(single), 'eager', None, None, 'text')
    images = np.arange(24, dtype=np.uint8).reshape(1, 3, 2, 4)
    outputs = session(images)
    assert [output.dtype for output in outputs] == [np.float32] * len(outputs)
    assert [np.array_equal(output, (i + 1) * images) for i, output in enumerate(outputs)] == [True] * (2 - single)
    assert (session.runtime, session.metadata, session.inputs) == ('eager', 'text', None)


def test_threads_are_those_of_the_process():
    before = torch.get_num_threads()
    try:
        TorchGraphSession(Graph(False), 'eager', before + 1, None)
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)
    TorchGraphSession(Graph(False), 'eager', None, None)
    assert torch.get_num_threads() == before


@pytest.mark.parametrize('device', ['cuda:77', 'nothing'])
def test_a_device_that_is_not_there(device):
    with pytest.raises(ValueError, match=f"device '{device}': torch cannot use it"):
        TorchGraphSession(Graph(False), 'eager', None, device)
