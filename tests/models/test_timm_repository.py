"""What a detector saves is a detector for mbv3zoo, and a backbone for timm where mbv3zoo is not installed."""

import json

import pytest
import timm
import torch
from hub_server import HubServer, run_client
from safetensors.torch import load_file, save_file
from timm.models._registry import _model_entrypoints
from warm_python import run_code

import mbv3zoo
from mbv3zoo.models.timm_repository import stock_architecture

OURS = [name for name in timm.list_models('mbv3_yolo*') if 'exact_se' not in name]
THEIRS = ['test_resnet', 'test_convnext', 'test_vit', 'swin_s3_tiny_224', 'hrnet_w18_small']

# A process in which nothing of mbv3zoo can be imported.
_TIMM_ALONE = """
import sys
sys.modules['mbv3zoo'] = None
import timm, torch
from safetensors.torch import load_file, save_file
for folder in {folders}:
    case = load_file(folder + '/images')
    indices = case['indices'].tolist()
    model = timm.create_model('local-dir:' + folder, features_only=True, pretrained=True, out_indices=indices)
    with torch.no_grad():
        maps = model.eval()(case['images'])
    save_file({{str(i): x.contiguous() for i, x in enumerate(maps)}}, folder + '/maps')
"""


def make_detector(name, **settings):
    size = 224 if 'swin' in name else 64
    torch.manual_seed(0)
    detector = mbv3zoo.create_detector(name, num_classes=2, image_size=size, **settings)
    for norm in (m for m in detector.modules() if isinstance(m, torch.nn.BatchNorm2d)):
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2)
    return detector.eval()


@torch.no_grad()
def test_timm_alone_loads_the_backbone(tmp_path):
    cases = {name: make_detector(name) for name in OURS + THEIRS}
    cases['grey'] = make_detector('mbv3_yolo_small_050', in_chans=1)
    folders = []
    for name, detector in cases.items():
        folders.append(detector.save_pretrained(tmp_path / name))
        images = torch.rand(1, detector.config.in_chans, *detector.config.image_size)
        indices = torch.tensor(detector.backbone.model.feature_info.out_indices)
        save_file({'images': images, 'indices': indices}, folders[-1] / 'images')
    done = run_code(_TIMM_ALONE.format(folders=list(map(str, folders))))
    assert done.returncode == 0, done.stderr
    for folder, detector in zip(folders, cases.values(), strict=True):
        expected = detector.backbone.model(load_file(folder / 'images')['images'])
        maps = load_file(folder / 'maps')
        assert len(maps) == len(expected)
        for i, level in enumerate(expected):
            assert torch.equal(maps[str(i)], level), folder.name


def test_timm_alone_loads_the_backbone_from_the_hub(tmp_path):
    with HubServer() as server:
        run_client(
            server,
            """
            import torch, mbv3zoo

            torch.manual_seed(0)
            detector = mbv3zoo.create_detector('mbv3_yolo_small', num_classes=2, image_size=64).eval()
            detector.push_to_hub('me/detector')
            images = torch.rand(1, 3, 64, 64)
            torch.save((images, detector.backbone.model(images)), 'expected')
            """,
            tmp_path,
        )
        run_client(
            server,
            """
            import sys
            sys.modules['mbv3zoo'] = None
            import timm, torch
            images, expected = torch.load('expected')
            model = timm.create_model('hf-hub:me/detector', features_only=True, pretrained=True)
            maps = model.eval()(images)
            assert len(maps) == 5
            assert all(torch.equal(a, b) for a, b in zip(maps[2:], expected, strict=True))
            """,
            tmp_path,
        )
        run_client(
            server,
            """
            import torch, mbv3zoo

            again = mbv3zoo.create_detector('hf-hub:me/detector', pretrained=True, num_classes=9)
            assert again.config.backbone == 'mobilenetv3_small_100'
            weight = 'blocks.0.0.conv_dw.weight'
            torch.manual_seed(0)
            detector = mbv3zoo.create_detector('mbv3_yolo_small', num_classes=2, image_size=64)
            assert torch.equal(again.backbone.model.state_dict()[weight], detector.backbone.model.state_dict()[weight])
            """,
            tmp_path,
        )
        # The head is of no use to either of them.
        assert not server.requests('GET', 'storage')[2:]


def test_no_weight_is_stored_twice_or_left_out(tmp_path):
    detector = make_detector('mbv3_yolo_small_050')
    folder = detector.save_pretrained(tmp_path)
    backbone, head = (set(load_file(folder / name)) for name in ('model.safetensors', 'detector.safetensors'))
    assert not backbone & head
    assert len(backbone) + len(head) == len(detector.state_dict())
    assert not any(name.startswith('backbone.model') for name in head)
    assert backbone <= timm.create_model('mobilenetv3_small_050').state_dict().keys()


def test_every_one_of_our_backbones_says_whether_timm_has_it():
    assert {name: stock_architecture(name) is not None for name in timm.list_models('mbv3_yolo*')} == {
        name: 'exact_se' not in name for name in timm.list_models('mbv3_yolo*')
    }
    assert stock_architecture('resnet18.a1_in1k') == 'resnet18'


@pytest.mark.parametrize('name', ['mbv3_yolo_small_exact_se', 'mbv3_yolo_large_exact_se'])
def test_a_network_that_timm_lacks_keeps_its_name(tmp_path, name):
    config = json.loads((make_detector(name).save_pretrained(tmp_path) / 'config.json').read_text())
    assert config['architecture'] == name and name in _model_entrypoints
    mbv3zoo.Detector.from_pretrained(tmp_path)
