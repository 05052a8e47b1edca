import pytest
import torch
from torch import nn

from mbv3zoo.models.modes import evaluation_mode


@pytest.fixture
def model():
    """In training, but for a part that its user has frozen."""
    model = nn.Sequential(nn.Dropout(), nn.Sequential(nn.BatchNorm2d(3), nn.Dropout()))
    model[1][0].eval()
    return model


def flags(model):
    return [module.training for module in model.modules()]


def test_inside_everything_evaluates_and_outside_everything_is_as_before(model):
    before, x = flags(model), torch.rand(2, 3, 4, 4)
    with evaluation_mode(model):
        assert not any(flags(model)) and torch.equal(model[0](x), x)
    assert flags(model) == before == [True, True, True, False, True]
    model.eval()
    with evaluation_mode(model):
        pass
    assert not any(flags(model))


def test_an_error_inside_leaves_the_flags_as_they_were(model):
    before = flags(model)
    with pytest.raises(KeyError), evaluation_mode(model):
        raise KeyError
    assert flags(model) == before
