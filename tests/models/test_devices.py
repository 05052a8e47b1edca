import pytest
import torch

from mbv3zoo.models.devices import torch_device


def test_the_processor_is_there():
    assert torch_device('cpu') == torch.device('cpu')


@pytest.mark.parametrize('name', ['meta', 'gpu', 'cuda:99', '99', '', 'xpu'])
def test_a_device_that_cannot_be_used_is_refused_with_those_that_can(name):
    with pytest.raises(ValueError, match='PyTorch cannot use it here; expected one of cpu'):
        torch_device(name)


@pytest.mark.skipif(not torch.cuda.is_available(), reason='no GPU')
def test_a_number_is_that_of_a_gpu():
    assert torch_device('0') == torch.device('cuda:0')
