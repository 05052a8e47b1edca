import pytest
import torch

from mbv3zoo.cli.opened import open_detector

OPTIONS = {'runtime': None, 'image_size': None, 'threads': None, 'device': None}


def test_in_pytorch_a_detector_is_fused_and_in_a_runtime_made_for_the_size(saved):
    assert open_detector(str(saved), **OPTIONS | {'image_size': 96}).fused
    opened = open_detector(str(saved), **OPTIONS | {'image_size': 96, 'runtime': 'eager'})
    assert opened.info.image_size == (96, 96) and opened.runtime == 'eager'
    assert open_detector(str(saved), **OPTIONS | {'runtime': 'eager'}).info.image_size == (64, 64)


def test_threads_are_those_of_torch_where_no_runtime_is_named(saved):
    before = torch.get_num_threads()
    try:
        open_detector(str(saved), **OPTIONS | {'threads': before + 1})
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)
    with pytest.raises(ValueError, match='threads is 0'):
        open_detector(str(saved), **OPTIONS | {'threads': 0})
