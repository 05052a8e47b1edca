import warnings

import torch
from torch.jit import TracerWarning

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
