import torch
from exported_files import MAPS, SIZE


def test_a_frozen_graph_that_needs_nothing_of_ours(exported):
    module = torch.jit.load(str(exported('torchscript')))
    assert [tuple(m.shape) for m in module(torch.zeros(1, 3, *SIZE, dtype=torch.uint8))] == MAPS
    assert not list(module.parameters())
