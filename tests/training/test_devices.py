import pytest
import torch
from accelerate.utils import DistributedType

from mbv3zoo.training.devices import process_state, use_device


@pytest.fixture(autouse=True)
def own_device():
    yield
    use_device(None)


def test_a_run_is_on_the_device_that_is_named_until_the_next_one():
    use_device('cpu')
    assert process_state().device == torch.device('cpu')
    use_device(None)
    assert process_state().device == process_state().default_device


def test_a_device_that_is_not_there_is_refused_before_anything_is_done():
    with pytest.raises(ValueError, match='cuda:99'):
        use_device('cuda:99')


def test_several_processes_take_no_device(monkeypatch):
    monkeypatch.setitem(process_state()._shared_state, 'distributed_type', DistributedType.MULTI_CPU)
    with pytest.raises(ValueError, match='device cpu is for one process'):
        use_device('cpu')
    use_device(None)
