import torch
from exported_files import MAPS, SIZE


def test_a_program_for_one_size(exported):
    program = torch.export.load(exported('torch_export')).module()
    assert [tuple(m.shape) for m in program(torch.zeros(1, 3, *SIZE, dtype=torch.uint8))] == MAPS
