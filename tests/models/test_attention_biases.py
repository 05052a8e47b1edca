"""A backbone gives what its present weights give, though timm keeps attention biases in evaluation mode."""

import copy

import pytest
import timm
import torch

import mbv3zoo  # noqa: F401  replaces the methods
from mbv3zoo.models.pyramid import PyramidBackbone


@pytest.mark.parametrize(
    'name', ['levit_128s', 'efficientformer_l1', 'efficientformerv2_s0', 'efficientvit_m0', 'tiny_vit_5m_224']
)
def test_weights_that_change_in_evaluation_mode_count_at_once(name):
    torch.manual_seed(0)
    backbone = PyramidBackbone(name, (224, 224)).eval()
    # Fresh blocks scale what they add by zero.
    for parameter in backbone.parameters():
        parameter.data += 0.1 * (parameter == 0).all()
    fresh, images = copy.deepcopy(backbone), torch.rand(1, 3, 224, 224)
    with torch.no_grad():
        before = backbone(images)
        for part in (backbone, fresh):
            for path, parameter in part.named_parameters():
                if path.endswith('attention_biases'):
                    parameter.data += torch.linspace(-3, 3, parameter.numel()).view(parameter.shape)
        after, expected = backbone(images), fresh(images)
    assert all(torch.equal(found, wanted) for found, wanted in zip(after, expected, strict=True))
    assert not all(torch.equal(old, new) for old, new in zip(before, after, strict=True))


def test_the_results_are_those_of_timm():
    torch.manual_seed(0)
    model, images = timm.create_model('levit_128s').train(), torch.rand(2, 3, 224, 224)
    attention = next(module for module in model.modules() if hasattr(module, 'attention_bias_idxs'))
    kept = attention.attention_biases[:, attention.attention_bias_idxs]
    model.eval()(images)
    assert torch.equal(attention.get_attention_biases(images.device), kept) and not attention.attention_bias_cache
