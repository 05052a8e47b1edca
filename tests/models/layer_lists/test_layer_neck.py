import pytest
import torch
from rows import rows_of

from mbv3zoo.config.layer_rows import LayerRows
from mbv3zoo.layer_lists.official import NECK_INPUTS, NECK_OUTPUTS, NECK_ROWS
from mbv3zoo.models.layer_lists.layer_neck import LayerNeck
from mbv3zoo.models.neck import PAN


def test_the_neck_is_the_pan():
    torch.manual_seed(0)
    channels, strides = [24, 48, 576], (8, 16, 32)
    rows = LayerRows(rows=NECK_ROWS, first=9, inputs=NECK_INPUTS, outputs=NECK_OUTPUTS, strides=strides)
    neck, pan = LayerNeck(rows, channels, strides, (64, 96), 0.67, 0.25).eval(), PAN(channels, 0.67, 0.25).eval()
    assert neck.strides == [8, 16, 32] and neck.out_channels == pan.out_channels
    order = ['sppf', 'lateral5', 'top_down4', 'lateral4', 'top_down3', 'down3', 'bottom_up4', 'down4', 'bottom_up5']
    for number, name in zip((9, 10, 13, 14, 17, 18, 20, 21, 23), order, strict=True):
        getattr(pan, name).load_state_dict(neck.layers[str(number)].state_dict())
    maps = [torch.rand(1, c, 64 // s, 96 // s) for c, s in zip(channels, strides, strict=True)]
    for own, expected in zip(neck(maps), pan(maps), strict=True):
        torch.testing.assert_close(own, expected)


def test_a_necks_own_mistakes():
    def neck(image_size, *table, outputs):
        rows = rows_of(*table, first=2, inputs=(0, 1), outputs=outputs)
        return LayerNeck(rows, [4, 4], [8, 64], image_size, 1.0, 1.0)

    conv = ((0,), 1, 'Conv', (8, 3, 2))
    assert neck((128, 64), conv, outputs=(0, 2, 1)).strides == [8, 16, 64]
    with pytest.raises(ValueError, match='multiples of 64'):
        neck((96, 96), conv, outputs=(2,))
    with pytest.raises(
        ValueError, match=r'Detect takes rows \[1, 2\] of strides \[64, 16\]; expected each once, finest first'
    ):
        neck((64, 64), conv, outputs=(1, 2))
    with pytest.raises(
        ValueError, match='row 2 gives a map of 3 x 3 cells on a picture of 64 x 64 pixels; expected one whole'
    ):
        neck((64, 64), ((0,), 1, 'nn.MaxPool2d', (3, 2, 0)), outputs=(2,))


def test_a_stride_is_the_same_down_and_across():
    rows = rows_of(((0,), 1, 'nn.MaxPool2d', ([1, 2],)), first=1, inputs=(0,))
    with pytest.raises(ValueError, match='row 1 gives a map of 8 x 4 cells on a picture of 64 x 64 pixels'):
        LayerNeck(rows, [4], [8], (64, 64), 1.0, 1.0)


def test_a_neck_for_another_number_of_maps():
    rows = rows_of(((0,), 1, 'Conv', (8, 3, 2)), first=2, inputs=(0, 1))
    with pytest.raises(ValueError, match=r'take 2 maps from outside, \[0, 1\]; the backbone gives 3'):
        LayerNeck(rows, [4, 4, 4], [8, 16, 32], (64, 64), 1.0, 1.0)
