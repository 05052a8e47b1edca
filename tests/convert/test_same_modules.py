import pytest
from detector_logits import assert_same, logits_of
from torch import nn
from yolov5_tree import OFFICIAL_LAYERS, PATCHED_LAYERS, yolov5_checkpoint

from mbv3zoo.convert.convert import load_yolov5


def test_an_activation_that_only_the_code_knows(tmp_path):
    """Trees set Conv's default activation in the code, and the layer list says nothing of it."""

    def relu(model):
        for module in model.modules():
            if isinstance(getattr(module, 'act', None), nn.SiLU):
                module.act = nn.LeakyReLU(0.1)

    yolov5_checkpoint(tmp_path / 'best.pt', OFFICIAL_LAYERS, change=relu)
    detector = load_yolov5(tmp_path / 'best.pt').detector
    assert detector.config.activation == 'nn.LeakyReLU(0.1)'
    yolov5_checkpoint(tmp_path / 'said.pt', {**OFFICIAL_LAYERS, 'activation': 'nn.LeakyReLU(0.1)'}, change=relu)
    assert_same(logits_of(detector), logits_of(load_yolov5(tmp_path / 'said.pt').detector))

    def mixed(model):
        model.model[0].act = nn.ReLU()

    yolov5_checkpoint(tmp_path / 'mixed.pt', OFFICIAL_LAYERS, change=mixed)
    with pytest.raises(ValueError, match=r'mixed.pt: .*several activations, nn.ReLU\(\), nn.SiLU\(\)'):
        load_yolov5(tmp_path / 'mixed.pt')


def _pool(model):
    model.model[9].m = nn.MaxPool2d(3, 1, 1)


def _no_shortcut(model):
    for block in model.model[2].m:
        block.add = False


def _bilinear(model):
    model.model[11].mode = 'bilinear'


def _stride(model):
    model.model[1].conv.stride = (1, 1)


def _swish(model):
    model.model[0].model[0].activation = nn.SiLU()


def _network_stride(model):
    model.model[0].model[0].conv.stride = (1, 1)


@pytest.mark.parametrize(
    ('layers', 'change', 'words'),
    [
        (OFFICIAL_LAYERS, _pool, r'row 9 \(SPPF\): a MaxPool2d of it has .*\(3, 3\).* says .*\(5, 5\)'),
        (
            OFFICIAL_LAYERS,
            _no_shortcut,
            r'row 2 \(C3\): its bottlenecks add their input: \[False\], by the list \[True\]',
        ),
        (OFFICIAL_LAYERS, _bilinear, r'row 11 \(nn.Upsample\): a Upsample of it has .*bilinear.* says .*nearest'),
        (OFFICIAL_LAYERS, _stride, r'row 1 \(Conv\): a Conv2d of it has .*\(1, 1\)'),
        (PATCHED_LAYERS, _swish, 'the activations of its network are not those'),
        (PATCHED_LAYERS, _network_stride, 'the network: a Conv2d of it has'),
    ],
)
def test_modules_that_are_not_what_the_layer_list_says(tmp_path, layers, change, words):
    yolov5_checkpoint(tmp_path / 'best.pt', layers, change=change)
    with pytest.raises(ValueError, match=f'best.pt: {words}'):
        load_yolov5(tmp_path / 'best.pt')
