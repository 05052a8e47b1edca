import pytest
import timm
import torch

from mbv3zoo.config.layer_rows import LayerRow, LayerRows
from mbv3zoo.models.fuse import fuse_batch_norms
from mbv3zoo.models.pyramid import PyramidBackbone


def rows_of(*table, outputs):
    rows = tuple(LayerRow(sources=s, block=block, args=args) for s, block, args in table)
    return LayerRows(rows=rows, first=0, inputs=(-1,), outputs=outputs)


SMALL = rows_of(
    ((-1,), 'Conv', (16, 3, 2)),
    ((0,), 'Conv', (16, 3, 2)),
    ((1,), 'Conv', (32, 3, 2)),
    ((2,), 'SE', ()),
    ((3,), 'Conv', (64, 3, 2)),
    outputs=(1, 3, 4),
)
ARGS = {'rows': SMALL.model_dump(mode='json'), 'depth_multiple': 1.0, 'width_multiple': 0.5}


def test_by_default_it_is_yolov5n():
    own, named = (timm.create_model(name, features_only=True) for name in ('yolov5_layers', 'cspdarknet_v6_n'))
    assert own.feature_info.channels() == named.feature_info.channels() == [32, 64, 128, 256]
    assert own.feature_info.reduction() == named.feature_info.reduction() == [4, 8, 16, 32]
    assert sum(p.numel() for p in own.parameters()) == sum(p.numel() for p in named.parameters())


def test_maps_are_the_outputs_rows():
    model = timm.create_model('yolov5_layers', features_only=True, **ARGS).eval()
    assert model.feature_info.channels() == [8, 16, 32] and model.feature_info.reduction() == [4, 8, 16]
    x = torch.rand(2, 3, 32, 64)
    assert [tuple(m.shape) for m in model(x)] == [(2, 8, 8, 16), (2, 16, 4, 8), (2, 32, 2, 4)]
    last = timm.create_model('yolov5_layers', features_only=True, out_indices=(-1,), **ARGS).eval()
    last.load_state_dict(model.state_dict())
    assert torch.equal(last(x)[0], model(x)[2])


def test_a_classifier():
    model = timm.create_model('yolov5_layers', num_classes=5, in_chans=1, act_layer='relu', **ARGS).eval()
    x = torch.rand(2, 1, 64, 64)
    assert model(x).shape == (2, 5) and model.forward_features(x).shape == (2, 32, 4, 4)
    model.reset_classifier(3)
    assert model(x).shape == (2, 3)
    model.reset_classifier(0)
    assert model(x).shape == (2, 32)


def test_a_pyramid_takes_all_maps_as_they_are():
    pyramid = PyramidBackbone('yolov5_layers', (64, 64), map_strides=None, **ARGS).eval()
    assert pyramid.strides == [4, 8, 16] and pyramid.channels == [8, 16, 32]
    assert pyramid.mean == (0, 0, 0) and pyramid.std == (1, 1, 1)
    x = torch.rand(1, 3, 64, 64)
    for own, expected in zip(pyramid(x), pyramid.model(x), strict=True):
        assert torch.equal(own, expected)


def test_two_maps_of_one_stride_are_kept_apart():
    rows = SMALL.model_copy(update={'outputs': (2, 3, 4)})
    pyramid = PyramidBackbone('yolov5_layers', (64, 64), map_strides=None, **{**ARGS, 'rows': rows}).eval()
    first, second, _ = pyramid(torch.rand(1, 3, 64, 64))
    assert pyramid.strides == [8, 8, 16] and not torch.equal(first, second)


def test_frozen_row_by_row():
    pyramid = PyramidBackbone('yolov5_layers', (64, 64), map_strides=None, **ARGS)
    pyramid.freeze_stages(2)
    learning = {name.split('.')[4] for name, p in pyramid.named_parameters() if p.requires_grad}
    assert learning == {'3', '4'}
    with pytest.raises(ValueError, match=r'0\.\.4'):
        pyramid.freeze_stages(5)


def test_device_and_type():
    model = timm.create_model('yolov5_layers', device='meta', dtype=torch.float16, **ARGS)
    assert all(p.is_meta and p.dtype == torch.float16 for p in model.parameters())


@pytest.mark.parametrize(
    ('rows', 'words'),
    [
        ({'rows': [], 'first': 0, 'inputs': [-1], 'outputs': [3]}, 'rows of the backbone: Detect takes .* from row 3'),
        ({'rows': 3}, 'rows of the backbone'),
        ({**ARGS['rows'], 'outputs': [4, 1]}, 'none finer than the one before it'),
    ],
)  # fmt: skip
def test_bad_rows(rows, words):
    with pytest.raises(ValueError, match=words):
        timm.create_model('yolov5_layers', features_only=True, rows=rows)


@pytest.mark.parametrize('name', ['depth_multiple', 'width_multiple'])
@pytest.mark.parametrize('value', [0, -1, 4.5, 1e9, float('nan'), '1'])
def test_multiples_have_bounds(name, value):
    with pytest.raises(ValueError, match=f'{name} must be above 0 and at most 4, given'):
        timm.create_model('yolov5_layers', **{**ARGS, name: value})


def test_norms_are_folded_where_they_can_be_and_kept_where_they_cannot():
    rows = rows_of(
        ((-1,), 'Conv', (16, 3, 2)),
        ((0,), 'nn.BatchNorm2d', ()),  # after an activation
        ((1,), 'GhostConv', (16, 3, 2)),
        ((2,), 'Conv', (16, 3, 2, None, 1, 1, False)),
        ((3,), 'nn.BatchNorm2d', ()),  # after another one
        ((4,), 'DWConv', (16, 3, 2)),
        outputs=(3, 4, 5),  # row 3 is looked at itself
    )
    args = {**ARGS, 'rows': rows.model_dump(mode='json')}
    pyramid = PyramidBackbone('yolov5_layers', (64, 64), map_strides=None, **args).eval()
    torch.manual_seed(0)
    for norm in pyramid.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):
            for tensor in (norm.weight.data, norm.bias.data, norm.running_mean, norm.running_var):
                tensor.uniform_(0.5, 1.5)
    x = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        expected = pyramid(x)
        fuse_batch_norms(pyramid, x)
        for own, other in zip(pyramid(x), expected, strict=True):
            torch.testing.assert_close(own, other, rtol=1e-4, atol=1e-4)
