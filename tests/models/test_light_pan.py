import pytest
import torch

import mbv3zoo
from mbv3zoo.config.detector import DetectorConfig
from mbv3zoo.models.layers import C3
from mbv3zoo.models.light_pan import LightPAN, SeparableC3
from mbv3zoo.models.neck import PAN

LIGHT = ['mbv3_yolo_small_light', 'mbv3_yolo_large_light', 'mbv3_yolo_large_075_light']


def test_maps_have_the_pans_widths_and_sizes():
    light, usual = LightPAN([24, 48, 96], 0.33, 0.25), PAN([24, 48, 96], 0.33, 0.25)
    features = [torch.rand(2, c, 64 // s, 96 // s) for c, s in ((24, 8), (48, 16), (96, 32))]
    assert [tuple(x.shape) for x in light(features)] == [tuple(x.shape) for x in usual(features)]
    assert light.out_channels == usual.out_channels == [64, 128, 256] and light.strides == (8, 16, 32)


def test_it_is_lighter_where_it_says_so():
    light = LightPAN([24, 48, 96], 0.33, 0.25)
    assert isinstance(light.top_down3, SeparableC3)
    assert all(isinstance(block, C3) for block in (light.top_down4, light.bottom_up4, light.bottom_up5))
    kernels = {(c.kernel_size, c.groups > 1) for c in light.top_down3.modules() if isinstance(c, torch.nn.Conv2d)}
    assert kernels == {((1, 1), False), ((5, 5), True)}
    assert light.down3.depthwise.conv.stride == (2, 2)


def test_depth_and_width_scale_it():
    assert len(LightPAN([24, 48, 96], 1.0, 0.5).top_down3.blocks) == 3
    assert LightPAN([24, 48, 96], 1.0, 0.5).out_channels == [128, 256, 512]


def test_fewer_channels_are_pooled():
    light, usual = LightPAN([24, 48, 96], 0.33, 0.25), PAN([24, 48, 96], 0.33, 0.25)
    assert light.sppf.conv1.out_channels == 64 and light.sppf.conv2.in_channels == 256
    # Half of what comes in, which behind a last expansion is much.
    assert usual.sppf.conv1.out_channels == 48
    assert PAN([24, 48, 576], 0.33, 0.25).sppf.conv1.out_channels == 288


@pytest.mark.parametrize('name', LIGHT)
def test_named_detectors(name, tmp_path):
    detector = mbv3zoo.create_detector(name, num_classes=3, image_size=64).eval()
    assert isinstance(detector.neck, LightPAN)
    assert detector.backbone.channels[-1] == {'small': 96, 'large': 160}[name.split('_')[2]] * (
        0.75 if '075' in name else 1
    )
    images = torch.rand(1, 3, 64, 96)
    expected = detector(images)
    folder = detector.save_pretrained(tmp_path)
    loaded = mbv3zoo.Detector.from_pretrained(folder)
    assert all(torch.equal(a, b) for a, b in zip(expected, loaded(images), strict=True))
    assert all(torch.allclose(a, b, atol=1e-4) for a, b in zip(expected, detector.fuse()(images), strict=True))
    # timm's own architecture has no such argument: only we can build it.
    config = (folder / 'config.json').read_text()
    assert '"architecture": "mbv3_yolo_' in config and 'light PAN' in (folder / 'README.md').read_text()


def test_slim_is_a_usual_pan_on_fewer_channels():
    detector = mbv3zoo.create_detector('mbv3_yolo_large_075_slim', num_classes=3, image_size=64, device='meta')
    assert type(detector.neck) is PAN and detector.backbone.channels[-1] == 120
    assert detector.neck.sppf.conv1.out_channels == 60


@pytest.mark.parametrize(('neck', 'said'), [('lite', "'light'"), ({'rows': []}, 'first'), (5, 'neck')])
def test_other_necks_are_refused(neck, said):
    with pytest.raises(ValueError, match=said):
        DetectorConfig.parse({'backbone': 'mbv3_yolo_small', 'neck': neck}, 'a.yaml')
