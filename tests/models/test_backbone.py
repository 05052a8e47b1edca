"""A backbone that fails says whether the size is at fault: a wrong size is named, all else passes as it is."""

import pytest
import torch

from mbv3zoo.models import backbone as backbone_module
from mbv3zoo.models import sizes
from mbv3zoo.models.backbone import Backbone
from mbv3zoo.models.pyramid import PyramidBackbone

OUT_OF_MEMORY = [
    torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 20.00 MiB'),
    RuntimeError("[enforce fail at alloc_cpu.cpp:121] err == 0. DefaultCPUAllocator: can't allocate memory: 1 TB"),
    RuntimeError('DefaultCPUAllocator: not enough memory: you tried to allocate 1099511627776 bytes.'),
    RuntimeError('MPS backend out of memory (MPS allocated: 8.00 GB)'),
    RuntimeError('cuDNN error: CUDNN_STATUS_ALLOC_FAILED'),
    MemoryError(),
]


def fail_with(monkeypatch, error):
    def forward(self, images):
        raise error

    monkeypatch.setattr(PyramidBackbone, 'forward', forward)


@pytest.mark.parametrize('error', OUT_OF_MEMORY)
def test_out_of_memory_is_no_wrong_size(monkeypatch, error):
    """Not even at a size that the backbone does not take, and without a search."""
    backbone = Backbone('test_vit_relpos', (64, 96))
    fail_with(monkeypatch, error)
    monkeypatch.setattr(backbone_module, 'refusal', None)
    with pytest.raises(type(error)) as caught:
        backbone(torch.rand(1, 3, 96, 64))
    assert caught.value is error


@pytest.mark.parametrize('error', OUT_OF_MEMORY)
def test_memory_that_runs_out_in_the_search_is_no_wrong_size(monkeypatch, error):
    fail_with(monkeypatch, error)
    with pytest.raises(type(error)) as caught:
        sizes.takes('test_vit_relpos', (64, 96), (64, 96))
    assert caught.value is error


@pytest.mark.parametrize('error', [RuntimeError('of another kind'), ValueError('a'), AssertionError('b')])
def test_other_errors_pass_where_the_size_is_taken(monkeypatch, error):
    backbone = Backbone('test_vit_relpos', (64, 96))
    monkeypatch.setattr(backbone_module, 'refusal', lambda *args, **kwargs: None)
    fail_with(monkeypatch, error)
    with pytest.raises(type(error)) as caught:
        backbone(torch.rand(1, 3, 64, 96))
    assert caught.value is error


def test_a_size_that_is_not_taken_is_named_with_its_cause():
    backbone = Backbone('test_vit_relpos', (64, 96))
    with pytest.raises(ValueError, match='64 x 96 and takes no others, given 96 x 64') as caught:
        backbone(torch.rand(1, 3, 96, 64))
    assert caught.value.__cause__ is not None
    with pytest.raises(ValueError, match="'nest_tiny' does not take pictures of 64 x 96"):
        Backbone('nest_tiny', (64, 96))


def test_nothing_is_searched_where_nothing_fails(monkeypatch):
    monkeypatch.setattr(backbone_module, 'refusal', None)
    maps = Backbone('resnet18', (64, 64), in_chans=1)(torch.rand(1, 1, 96, 64))
    assert [tuple(level.shape[2:]) for level in maps] == [(12, 8), (6, 4), (3, 2)]
