import pytest
import timm
import torch

import mbv3zoo  # noqa: F401  registers the models
from mbv3zoo.models.layers import C3, conv

# Channels at strides 4, 8, 16, 32, and the parameters of YOLOv5's layers 0 to 8.
SIZES = {
    'n': ([32, 64, 128, 256], 881760),
    's': ([64, 128, 256, 512], 3514560),
    'm': ([96, 192, 384, 768], 10691040),
    'l': ([128, 256, 512, 1024], 23958400),
    'x': ([160, 320, 640, 1280], 45175200),
}


def parameters_by_formula(depth_multiple, width_multiple):
    """Each Conv has k * k * in * out weights and a BatchNorm of 2 * out."""

    def conv_of(inputs, outputs, kernel_size=1):
        return kernel_size**2 * inputs * outputs + 2 * outputs

    widths = [-(-int(c * width_multiple) // 8) * 8 for c in (64, 128, 256, 512, 1024)]
    total = conv_of(3, widths[0], 6)
    for inputs, outputs, repeats in zip(widths, widths[1:], (3, 6, 9, 3), strict=False):
        half, depth = outputs // 2, max(round(repeats * depth_multiple), 1)
        total += conv_of(inputs, outputs, 3) + 2 * conv_of(outputs, half) + conv_of(outputs, outputs)
        total += depth * (conv_of(half, half) + conv_of(half, half, 3))
    return total


@pytest.mark.parametrize('size', SIZES)
def test_features(size):
    channels, parameters = SIZES[size]
    with torch.device('meta'):
        model = timm.create_model(f'cspdarknet_v6_{size}', features_only=True)
        maps = model(torch.empty(2, 3, 64, 96))
    assert model.feature_info.channels() == channels and model.feature_info.reduction() == [4, 8, 16, 32]
    assert [tuple(x.shape) for x in maps] == [
        (2, c, 64 // s, 96 // s) for c, s in zip(channels, (4, 8, 16, 32), strict=True)
    ]
    assert sum(p.numel() for p in model.parameters()) == parameters
    multiples = {'n': (0.33, 0.25), 's': (0.33, 0.5), 'm': (0.67, 0.75), 'l': (1, 1), 'x': (1.33, 1.25)}[size]
    assert parameters == parameters_by_formula(*multiples)
    norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert norms and all(norm.eps == 1e-3 and norm.momentum == 0.03 for norm in norms)


def test_against_a_plain_stack_of_yolov5s_blocks():
    """timm computes a C3's first two convolutions as one; its halves are YOLOv5's two."""
    torch.manual_seed(0)
    model = timm.create_model('cspdarknet_v6_n', features_only=True, out_indices=(0, 1, 2, 3, 4)).eval()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            for tensor in (module.weight.data, module.bias.data, module.running_mean, module.running_var):
                tensor.uniform_(0.5, 1.5)
    x = torch.rand(1, 3, 64, 64)
    expected = model(x)

    stem = conv(3, 16, 6, 2, 2).eval()
    stem.load_state_dict(model['stem_conv1'].state_dict())
    y = stem(x)
    torch.testing.assert_close(y, expected[0])
    for i, (inputs, outputs) in enumerate(((16, 32), (32, 64), (64, 128), (128, 256))):
        stage = model[f'stages_{i}']
        down, c3 = conv(inputs, outputs, 3, 2).eval(), C3(outputs, outputs, len(stage.blocks)).eval()
        down.load_state_dict(stage.conv_down.state_dict())
        halves = [c3.conv1.state_dict(), c3.conv2.state_dict()]
        for name, tensor in stage.conv_exp.state_dict().items():
            for half, part in zip(halves, tensor.chunk(2) if tensor.dim() else (tensor, tensor), strict=True):
                half[name].copy_(part)
        c3.conv3.load_state_dict(stage.conv_transition.state_dict())
        for own, block in zip(c3.blocks, stage.blocks, strict=True):
            own.conv1.load_state_dict(block.conv1.state_dict())
            own.conv2.load_state_dict(block.conv2.state_dict())
        y = c3(down(y))
        torch.testing.assert_close(y, expected[i + 1], rtol=1e-4, atol=1e-4)


def test_timms_usual_arguments():
    x = torch.rand(2, 1, 64, 64)
    model = timm.create_model('cspdarknet_v6_n', in_chans=1, num_classes=7, drop_path_rate=0.1).eval()
    assert model(x).shape == (2, 7)
    last = timm.create_model('cspdarknet_v6_n', in_chans=1, features_only=True, out_indices=(-1,), output_stride=16)
    assert [tuple(m.shape) for m in last.eval()(x)] == [(2, 256, 4, 4)]
    assert timm.list_models('cspdarknet_v6*') == [f'cspdarknet_v6_{size}' for size in 'lmnsx']
    assert timm.list_pretrained('cspdarknet_v6*') == []
    # YOLOv5 takes pictures as they are.
    assert model.default_cfg['mean'] == (0, 0, 0) and model.default_cfg['std'] == (1, 1, 1)
