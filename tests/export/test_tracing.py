import warnings

import pytest
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


@pytest.mark.parametrize(('shape', 'seen'), [((2, 3, 4, 5, 8), (6, 4, 5, 8)), ((6, 5, 8), (1, 6, 5, 8))])
def test_attention_is_the_same_in_four_dimensions(shape, seen):
    parts = torch.rand(3, *shape)
    mask = torch.rand(6, 5, 5) if len(shape) == 3 else None
    attention = Attention(mask)
    expected = attention(parts)
    with tracing():
        torch.testing.assert_close(attention(parts), expected)
        nodes = torch.export.export(attention, (parts,)).graph.nodes
    assert [n.meta['val'].shape for n in nodes if 'scaled_dot_product' in str(n.target)] == [seen]


class Attention(torch.nn.Module):
    def __init__(self, mask):
        super().__init__()
        self.register_buffer('mask', mask)

    def forward(self, parts):
        return functional.scaled_dot_product_attention(*parts, attn_mask=self.mask)
