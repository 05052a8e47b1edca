import numpy as np
import pytest
import torch

from mbv3zoo.models.dtypes import computes_bfloat16, dtype_name, parse_dtype


@pytest.mark.parametrize(
    ('given', 'dtype'),
    [
        ('float16', torch.float16),
        ('torch.float16', torch.float16),
        ('half', torch.float16),
        ('bfloat16', torch.bfloat16),
        ('float', torch.float32),
        ('double', torch.float64),
        (torch.bfloat16, torch.bfloat16),
    ],
)
def test_a_type_is_given_itself_or_by_torchs_name(given, dtype):
    assert parse_dtype(given) is dtype and parse_dtype(dtype_name(dtype)) is dtype


@pytest.mark.parametrize(
    'given',
    [
        *(torch.int8, 'int8', torch.bool, torch.complex64, torch.float8_e4m3fn, 'float8_e5m2', torch.quint8),
        *('', 'fp7', 'load', float, 16, np.float16, np.dtype('float16'), ['float16']),
    ],
)
def test_other_types_are_refused_with_those_there_are(given):
    with pytest.raises(ValueError, match='^dtype must be one of float16, bfloat16, float32, float64, .*; given '):
        parse_dtype(given)


@pytest.mark.parametrize(
    ('processor', 'fast'), [('AVX512', True), ('AVX512_VNNI', True), ('AVX2', False), ('DEFAULT', False)]
)
def test_a_processor_computes_bfloat16_with_avx512(processor, fast, monkeypatch):
    monkeypatch.setattr('torch.backends.cpu.get_cpu_capability', lambda: processor)
    assert computes_bfloat16(torch.device('cpu')) == fast


@pytest.mark.parametrize('emulates', [True, False])
def test_a_gpu_that_emulates_bfloat16_does_not_compute_it(emulates, monkeypatch):
    monkeypatch.setattr('torch.cuda.is_bf16_supported', lambda including_emulation: including_emulation or not emulates)
    assert computes_bfloat16(torch.device('cuda')) != emulates
