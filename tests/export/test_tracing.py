import warnings

import torch
from torch.jit import TracerWarning
from torch.nn import functional

from mbv3zoo.export.tracing import tracing


def test_without_gradients_and_without_the_warnings_that_are_intended():
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter('always')
        with tracing():
            assert not torch.is_grad_enabled()
            for category in (TracerWarning, DeprecationWarning, FutureWarning):
                warnings.warn('intended', category, stacklevel=1)
            warnings.warn('else', UserWarning, stacklevel=1)
        assert torch.is_grad_enabled()
        warnings.warn('as before', FutureWarning, stacklevel=1)
    assert [str(warning.message) for warning in found] == ['else', 'as before']


def test_attention_over_windows_is_the_same_with_one_dimension_less():
    parts = torch.rand(3, 2, 3, 4, 5, 8)
    expected, shapes = functional.scaled_dot_product_attention(*parts), []
    with tracing():
        torch.testing.assert_close(functional.scaled_dot_product_attention(*parts), expected)
        traced = torch.export.export(Attention(), (parts,))
    for node in traced.graph.nodes:
        if 'scaled_dot_product' in str(node.target):
            shapes.append(node.meta['val'].shape)
    assert shapes == [(6, 4, 5, 8)]


class Attention(torch.nn.Module):
    def forward(self, parts):
        return functional.scaled_dot_product_attention(*parts)
