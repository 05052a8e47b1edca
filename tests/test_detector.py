import json
import logging
import os
import shutil
import socket
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from dense_nms import postprocess
from PIL import Image, ImageDraw
from safetensors.torch import load_file, save_file
from torch.nn.functional import interpolate
from torch.nn.modules.batchnorm import _BatchNorm

import mbv3zoo
from mbv3zoo import Detections, Detector, DetectorConfig, create_detector, list_detectors
from mbv3zoo.images.letterbox import Letterbox
from mbv3zoo.models.postprocess.dense import decode
from mbv3zoo.utils.atomic import STAGING_NAME
from mbv3zoo.utils.files import file_digest
from mbv3zoo.zoo import configs as config_loader
from mbv3zoo.zoo.resolve import copy_saved

CONFIG = DetectorConfig(
    backbone='mbv3_yolo_small',
    class_names=('cat', 'dog', 'größe'),
    image_size=(64, 96),
    anchors=[[[10, 13], [16, 30]], [[30, 61], [62, 45]], [[116, 90], [156.5, 198]]],
    mean=(0.1, 0.2, 0.3),
    std=(0.4, 0.5, 0.6),
    activation='relu',
)


@pytest.fixture(autouse=True)
def _offline(monkeypatch):
    def refuse(*args):
        raise AssertionError(f'a test reached for the network: {args[1:]}')

    monkeypatch.setattr(socket.socket, 'connect', refuse)
    torch.manual_seed(0)


def patches(detector, size, seed):
    """Pictures of large patches of colour, since noise looks the same everywhere to the deeper layers."""
    coarse = torch.rand(8, detector.config.in_chans, 4, 4, generator=torch.Generator().manual_seed(seed))
    return interpolate(coarse, size, mode='nearest')


@torch.no_grad()
def trained(detector):
    """Stands for training: statistics such that the logits depend on the picture, and no weight as it started."""
    norms = [module for module in detector.modules() if isinstance(module, _BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for parameter in detector.parameters():
        parameter += 0.01 * torch.randn_like(parameter)
    for norm in norms:
        norm.momentum = 1.0
    detector.train()(patches(detector, (64, 96), seed=1))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    return detector.eval()


@pytest.fixture(scope='module')
def detector():
    torch.manual_seed(0)
    return trained(create_detector(CONFIG))


@pytest.fixture
def saved(detector, tmp_path):
    return detector.save_pretrained(tmp_path / 'saved')


def logits(detector, size=(64, 96)):
    with torch.no_grad():
        return detector(patches(detector, size, seed=2))


def assert_same_logits(one, other):
    assert all(torch.equal(x, y) for x, y in zip(logits(one), logits(other), strict=True))


# Building


def test_by_packaged_name():
    detector = create_detector('mbv3_yolo_small', device='meta')
    assert isinstance(detector, Detector) and detector.training
    assert detector.config.backbone == 'mbv3_yolo_small' and detector.config.image_size == (640, 640)
    assert detector.backbone.channels == [24, 48, 576] and detector.neck.out_channels == [64, 128, 256]


def test_by_timm_name():
    detector = create_detector('resnet18', num_classes=20, image_size=320, device='meta')
    assert detector.config.backbone == 'resnet18' and detector.config.num_classes == 20
    assert detector.config.image_size == (320, 320) and detector.backbone.channels == [128, 256, 512]


def test_by_tag_without_a_download():
    for name in ('mbv3_yolo_small.lamb_in1k', 'resnet18.a1_in1k', 'mbv3_yolo_large.ra_in1k'):
        assert create_detector(name, image_size=64, device='meta').config.backbone == name
    # The tag tells the statistics, before any weight is loaded.
    assert create_detector('mbv3_yolo_large.ra_in1k', device='meta').config.mean == (0.485, 0.456, 0.406)
    assert create_detector('mbv3_yolo_large', device='meta').config.mean == (0.5, 0.5, 0.5)


def test_by_yaml_and_by_config(tmp_path):
    path = tmp_path / 'mine.yaml'
    path.write_text('backbone: resnet18\nclass_names: [cat, dog]\nimage_size: [64, 96]\n', encoding='utf-8')
    config = DetectorConfig(backbone='resnet18', class_names=['cat', 'dog'], image_size=(64, 96))
    configs = [create_detector(source, device='meta').config for source in (path, str(path), config)]
    assert configs[0] == configs[1] == configs[2]
    assert configs[0].class_names == ('cat', 'dog') and configs[0].image_size == (64, 96)


def test_settings_override_the_config(tmp_path):
    detector = create_detector(
        CONFIG, class_names=['bird'], image_size=32, depth_multiple=1, width_multiple=0.5, anchors=[[[1, 2]]] * 3
    )
    assert detector.config.class_names == ('bird',) and detector.config.num_classes == 1
    assert len(detector.neck.top_down4.blocks) == 3 and detector.neck.out_channels == [128, 256, 512]
    assert logits(detector, (32, 32))[0].shape == (8, 1, 4, 4, 6)
    # What is not named stays.
    assert detector.config.activation == 'relu' and detector.config.mean == CONFIG.mean
    assert CONFIG.num_classes == 3
    assert create_detector(CONFIG, num_classes=5, device='meta').config.class_names == ('0', '1', '2', '3', '4')
    # The backbone's statistics for three channels say nothing about one.
    assert create_detector(CONFIG, in_chans=1, device='meta').config.mean == pytest.approx((0.449,))
    # None, as callers pass on what they were not given.
    kept = create_detector(CONFIG, num_classes=None, class_names=None, image_size=None, anchors=None, device='meta')
    assert kept.config.model_copy(update={'licenses': CONFIG.licenses}) == CONFIG


def test_other_settings_go_to_timm_and_are_kept_unless_they_are_of_one_build():
    detector = create_detector('resnet18', act_layer='gelu', device='meta', cache_dir='/nowhere', image_size=64)
    assert detector.config.backbone_args == {'act_layer': 'gelu'}
    assert not any(isinstance(module, torch.nn.ReLU) for module in detector.backbone.modules())
    again = create_detector(detector.config, drop_path_rate=0.1, device='meta')
    assert again.config.backbone_args == {'act_layer': 'gelu', 'drop_path_rate': 0.1}


def test_device_and_dtype():
    detector = create_detector('mbv3_yolo_small', image_size=64, dtype=torch.float64)
    assert {p.dtype for p in detector.parameters()} == {torch.float64} and detector.mean.dtype == torch.float64
    with torch.no_grad():
        assert detector.eval()(torch.rand(1, 3, 64, 64).double())[0].dtype == torch.float64
    meta = create_detector('mbv3_yolo_small', device='meta')
    assert all(tensor.is_meta for tensor in (*meta.parameters(), *meta.buffers()))


# Any backbone of timm


@pytest.mark.parametrize(
    ('name', 'size'),
    [
        ('resnet18', 640),
        ('mbv3_yolo_small', 640),
        ('test_vit', 640),
        ('swin_tiny_patch4_window7_224', 640),
        ('test_vit_relpos', 160),
        ('levit_128s', 224),
        ('crossvit_9_240', 256),
        ('gemma4_vit_167m', 768),
    ],
)
def test_default_image_size_is_one_that_the_backbone_takes(name, size):
    detector = create_detector(name, device='meta').eval()
    assert detector.config.image_size == (size, size)
    logits = detector(torch.empty(1, 3, size, size, device='meta'))
    assert [x.shape[2:4] for x in logits] == [(size // s, size // s) for s in (8, 16, 32)]
    # What is asked for wins.
    assert create_detector(name, image_size=256, device='meta').config.image_size == (256, 256)


def test_no_forward_pass_at_construction(monkeypatch):
    def refuse(self, *args, **kwargs):
        raise AssertionError('a forward pass')

    monkeypatch.setattr(torch.nn.Module, '__call__', refuse)
    for name in ('mbv3_yolo_small', 'resnet18', 'test_vit', 'test_vit_relpos', 'swin_tiny_patch4_window7_224'):
        create_detector(name, image_size=64, freeze_backbone=1, freeze_norm=True, grad_checkpointing=True)
    for name in ('crossvit_9_240', 'levit_128s', 'nest_tiny', 'hrnet_w18_small', 'vit_small_patch14_dinov2'):
        create_detector(name, device='meta', freeze_backbone=1)


def test_a_detector_on_a_transformer_is_saved_and_loaded(tmp_path):
    detector = create_detector('test_vit', num_classes=2, image_size=(64, 96)).eval()
    loaded = Detector.from_pretrained(detector.save_pretrained(tmp_path / 'vit'))
    assert loaded.config == detector.config and loaded.config.image_size == (64, 96)
    assert_same_logits(loaded, detector)
    found = loaded.predict(drawn_picture(60, 50), score_thresh=0, max_detections=5)
    assert len(found) == 5 and found.image_size == (50, 60)


def test_freezing_and_checkpointing_are_asked_for_at_construction():
    detector = create_detector('resnet18', image_size=64, freeze_backbone=2)
    model = detector.backbone.model
    frozen = {n for n, p in model.named_parameters() if not p.requires_grad}
    assert frozen == {n for n, _ in model.named_parameters() if n.startswith(('conv1.', 'bn1.', 'layer1.', 'layer2.'))}
    assert detector.training and not model['layer2'].training and model['layer3'].training
    normed = create_detector('resnet18', image_size=64, freeze_norm=True)
    norms = [m for m in normed.backbone.modules() if isinstance(m, _BatchNorm)]
    assert norms and not any(norm.training or norm.weight.requires_grad for norm in norms)
    assert all(m.training for m in normed.neck.modules() if isinstance(m, _BatchNorm))
    # They are of this build only, and none is the default.
    assert 'freeze' not in json.dumps(detector.config.model_dump(mode='json'))
    assert all(p.requires_grad for p in create_detector(detector.config, device='meta').parameters())
    assert create_detector('resnet18', image_size=64, grad_checkpointing=True).backbone.model.grad_checkpointing
    assert not create_detector('resnet18', image_size=64).backbone.model.grad_checkpointing


def test_freezing_what_was_loaded(saved, detector):
    tuned = create_detector(saved, pretrained=True, freeze_backbone=1, freeze_norm=True)
    assert_same_logits(tuned, detector)
    assert not next(tuned.backbone.parameters()).requires_grad and not tuned.training


@pytest.mark.parametrize(
    ('name', 'near'),
    [
        ('mbv3_yolo_smal', 'mbv3_yolo_small'),
        ('resnet81', 'resnet18'),
        ('mbv3_yolo_small.lamb_in2k', 'mbv3_yolo_small.lamb_in1k'),
        ('resnet18.nope', 'resnet18'),
        ('§§§', 'list_detectors()'),
        (5, 'list_detectors()'),
        (None, 'list_detectors()'),
    ],
)
def test_unknown_names_are_refused_with_near_ones(name, near):
    with pytest.raises(ValueError, match='unknown detector or backbone') as caught:
        create_detector(name)
    assert str(name) in str(caught.value) and near in str(caught.value)


@pytest.mark.parametrize(
    ('source', 'settings', 'words'),
    [
        ('resnet18', {'freeze_backbone': 5, 'device': 'meta'}, ['0..4', 'resnet18', '5']),
        ('resnet18', {'freeze_backbone': -1, 'device': 'meta'}, ['0..4', 'resnet18', '-1']),
        ('convit_tiny', {'grad_checkpointing': True, 'device': 'meta'}, ['convit_tiny', 'checkpoint']),
        ('resnet18', {'num_clases': 3}, ['num_clases', "did you mean 'num_classes'"]),
        ('resnet18', {'num_classes': 0}, ['num_classes', '0']),
        ('resnet18', {'class_names': ['a'], 'num_classes': 2}, ['num_classes is 2', '1 names']),
        ('resnet18', {'class_names': 5}, ['class_names', '5']),
        ('resnet18', {'image_size': 100}, ['image_size', '100']),
        ('resnet18', {'anchors': 2.5}, ['anchors', '2.5']),
        ('resnet18', {'activation': 'silly'}, ['silly']),
        ('none.yaml', {}, ['none.yaml', 'mbv3_yolo_small']),
        (Path('none'), {}, ['none', 'mbv3_yolo_small']),
    ],
)
def test_bad_settings_are_refused_by_name(source, settings, words):
    with pytest.raises(ValueError) as caught:
        create_detector(source, **settings)
    assert all(word in str(caught.value) for word in words)


def test_pretrained_loads_the_backbone_through_timm(tmp_path):
    torch.manual_seed(1)
    reference = timm.create_model('mobilenetv3_small_100')
    for norm in reference.modules():
        if isinstance(norm, _BatchNorm):
            norm.running_mean.uniform_(-0.3, 0.3)
            norm.running_var.uniform_(0.5, 1.5)
    save_file(reference.state_dict(), tmp_path / 'backbone.safetensors')
    overlay = {'file': str(tmp_path / 'backbone.safetensors'), 'mean': (0.3, 0.4, 0.5)}
    detector = create_detector(
        'mbv3_yolo_small', pretrained=True, pretrained_cfg_overlay=overlay, num_classes=2, image_size=64
    ).eval()

    timms = timm.create_model('mobilenetv3_small_100', features_only=True).eval()
    timms.load_state_dict(reference.state_dict(), strict=False)
    images = torch.rand(1, 3, 64, 64)
    mean, std = torch.tensor((0.3, 0.4, 0.5)).view(3, 1, 1), torch.tensor((0.229, 0.224, 0.225)).view(3, 1, 1)
    with torch.no_grad():
        features = detector.backbone((images - detector.mean) / detector.std)
        expected = timms((images - mean) / std)[-3:]
    assert all(torch.equal(x, y) for x, y in zip(features, expected, strict=True))
    # The statistics are the weights' own; where they were loaded from is of this build only.
    assert detector.config.mean == (0.3, 0.4, 0.5) and detector.config.backbone_args == {}
    # Without pretrained=True nothing is read.
    other = create_detector('mbv3_yolo_small', pretrained_cfg_overlay={'file': '/nowhere'}, image_size=64)
    assert not torch.equal(next(other.backbone.parameters()), next(detector.backbone.parameters()))


def test_list_detectors():
    names = list_detectors()
    assert names == sorted(names) and {'mbv3_yolo', 'mbv3_yolo_large', 'mbv3_yolo_small'} <= set(names)
    assert list_detectors('mbv3*') == names and list_detectors('nothing*') == []
    assert list_detectors('*small') == ['mbv3_yolo_small'] and list_detectors('mbv3_yolo') == ['mbv3_yolo']
    assert list_detectors('mbv3*', pretrained=False) == names
    assert all(name.split('.')[0] in names and '.' in name for name in list_detectors(pretrained=True))


# Saving and loading


def test_saved_and_loaded_bit_by_bit(detector, saved):
    loaded = Detector.from_pretrained(saved)
    assert loaded.config == detector.config and not loaded.training
    assert loaded.config.class_names == ('cat', 'dog', 'größe') and loaded.config.mean == (0.1, 0.2, 0.3)
    for name in ('mean', 'std', 'anchors'):
        assert torch.equal(getattr(loaded, name), getattr(detector, name))
    assert_same_logits(loaded, detector)
    # Not because nothing depends on the weights.
    assert any(
        not torch.equal(x, y) for x, y in zip(logits(loaded), logits(create_detector(CONFIG).eval()), strict=True)
    )
    assert_same_logits(Detector.from_pretrained(str(saved)), detector)


def test_names_of_any_script_are_saved_in_config_and_card_and_loaded(tmp_path):
    names = ('می\u200cخواهم', '\U0001f469\u200d\U0001f680', 'a\u00a0b', 'no', '010')
    detector = create_detector('mbv3_yolo_small', class_names=names, image_size=64)
    folder = detector.save_pretrained(tmp_path / 'names')
    # As an editor on Windows saves it again.
    config = folder / 'config.json'
    config.write_bytes(b'\xef\xbb\xbf' + config.read_bytes())
    loaded = Detector.from_pretrained(folder)
    assert loaded.config.class_names == names
    assert loaded.predict(np.zeros((64, 64, 3), np.uint8)).class_names == names
    card = (folder / 'README.md').read_text(encoding='utf-8')
    assert names[0] in card and names[1] in card


def test_what_is_in_the_folder(detector, saved):
    assert sorted(path.name for path in saved.iterdir()) == [
        'README.md', 'config.json', 'detector.safetensors', 'model.safetensors',
    ]  # fmt: skip
    config = json.loads((saved / 'config.json').read_text(encoding='utf-8'))
    assert config.pop('sha256') == {
        name: file_digest(saved / name) for name in ('model.safetensors', 'detector.safetensors')
    }
    assert config.pop('library_name') == 'mbv3zoo' and config.pop('library_version') == mbv3zoo.__version__
    assert DetectorConfig.parse(config['detector']) == detector.config
    weights = [load_file(saved / name) for name in ('model.safetensors', 'detector.safetensors')]
    assert sum(map(len, weights)) == len(detector.state_dict())
    card = (saved / 'README.md').read_text(encoding='utf-8')
    assert 'cat, dog, größe' in card and 'mbv3_yolo_small' in card


def test_saving_does_not_change_the_detector(detector, tmp_path):
    before = {name: tensor.clone() for name, tensor in detector.state_dict().items()}
    detector.save_pretrained(tmp_path / 'half', dtype=torch.float16)
    assert all(torch.equal(before[name], tensor) for name, tensor in detector.state_dict().items())


@pytest.mark.parametrize('dtype', ['float16', torch.bfloat16])
def test_half_precision_storage(detector, saved, tmp_path, dtype):
    half = detector.save_pretrained(tmp_path / 'half', dtype=dtype)
    for name in ('model.safetensors', 'detector.safetensors'):
        assert (half / name).stat().st_size < 0.55 * (saved / name).stat().st_size
    loaded = Detector.from_pretrained(half)
    assert {p.dtype for p in loaded.parameters()} == {torch.float32} and loaded.config == detector.config
    # The mantissa of bfloat16 has 8 bits, that of float16 has 11.
    bound = 0.02 if dtype == 'float16' else 0.16
    for x, y in zip(logits(loaded), logits(detector), strict=True):
        assert 0 < (x - y).abs().mean() < bound * y.std()


def test_readme_is_not_overwritten(detector, saved, tmp_path):
    (saved / 'README.md').write_text('mine', encoding='utf-8')
    detector.save_pretrained(saved)
    assert (saved / 'README.md').read_text(encoding='utf-8') == 'mine'


def test_card_data_reaches_the_card(detector, tmp_path):
    folder = detector.save_pretrained(tmp_path / 'a', card_data={'name': 'team/cats', 'dataset': 'my cats'})
    card = (folder / 'README.md').read_text(encoding='utf-8')
    assert '# team/cats' in card and 'my cats' in card


def test_a_fused_detector_is_not_saved(saved, tmp_path):
    fused = Detector.from_pretrained(saved).fuse()
    for save in (lambda: fused.save_pretrained(tmp_path / 'fused'), lambda: fused.push_to_hub('team/cats')):
        with pytest.raises(ValueError, match='fused'):
            save()
    assert not (tmp_path / 'fused').exists()


def test_a_layer_is_given_by_its_name_as_a_class_cannot_be_saved():
    with pytest.raises(ValueError, match="norm_layer is the class BatchNorm2d.*such as norm_layer='batchnorm2d'"):
        create_detector('resnet18', norm_layer=torch.nn.BatchNorm2d, image_size=32, num_classes=1)
    detector = create_detector('resnet18', norm_layer='batchnorm2d', device='meta', num_classes=1)
    assert type(detector.backbone.model.bn1) is torch.nn.BatchNorm2d


def without_digests(folder):
    path = folder / 'config.json'
    config = json.loads(path.read_text(encoding='utf-8'))
    del config['sha256']
    path.write_text(json.dumps(config), encoding='utf-8')


def change(folder, **settings):
    path = folder / 'config.json'
    config = json.loads(path.read_text(encoding='utf-8'))
    for name, value in settings.items():
        (config if name in config and name != 'num_classes' else config['detector'])[name] = value
    path.write_text(json.dumps(config), encoding='utf-8')


@pytest.mark.parametrize(
    ('settings', 'words'),
    [
        ({'num_classes': 4, 'class_names': []}, ['4 classes', 'head.convs.0.weight is [16, 64, 1, 1]', '[18, 64']),
        ({'backbone': 'mbv3_yolo_large'}, ["'mbv3_yolo_large'", 'do not fit']),
        ({'backbone': 'resnet18'}, ["'resnet18'", 'do not fit', ' ...']),
        ({'width_multiple': 0.5}, ['neck.']),
        ({'library_name': 'timm'}, ["'timm'", 'mbv3zoo']),
        ({'num_clases': 3}, ["did you mean 'num_classes'"]),
        ({'backbone': 'resnet81'}, ['resnet18']),
    ],
)
def test_weights_and_config_that_disagree(saved, settings, words):
    change(saved, **settings)
    for load in (Detector.from_pretrained, lambda source: create_detector(source, pretrained=True)):
        with pytest.raises(ValueError) as caught:
            load(saved)
        assert all(word in str(caught.value) for word in words)
        assert str(saved) in str(caught.value) or 'resnet81' in str(caught.value)


def test_a_config_that_asks_for_far_more_than_was_saved(tmp_path):
    folder = create_detector('test_vit', num_classes=2, image_size=64).save_pretrained(tmp_path)
    for args in ({'embed_dim': 16384, 'num_heads': 2}, {'depth': 100}, {'img_size': 16384}):
        change(folder, backbone_args=args)
        for load in (Detector.from_pretrained, lambda source: create_detector(source, pretrained=True)):
            with pytest.raises(ValueError, match='do not fit: .* asks for [0-9]+ parameters'):
                load(folder)
    for args in ({'embed_dim': 10**6}, {'depth': 10**6}):
        change(folder, backbone_args=args)
        with pytest.raises(ValueError, match='config.json sets .* expected at most'):
            Detector.from_pretrained(folder)


def test_missing_and_unknown_weights_are_named(saved):
    without_digests(saved)
    path = saved / 'detector.safetensors'
    weights = load_file(path)
    save_file({name: t for name, t in weights.items() if name != 'head.convs.1.bias'}, path)
    with pytest.raises(ValueError, match='head.convs.1.bias is missing'):
        Detector.from_pretrained(saved)
    # Fine-tuning may start the head anew, but a file that lacks a part of it is broken.
    with pytest.raises(ValueError, match='head.convs.1.bias is missing'):
        create_detector(saved, pretrained=True, num_classes=7)
    save_file({**weights, 'extra': torch.zeros(1)}, path)
    with pytest.raises(ValueError, match='extra is unknown'):
        Detector.from_pretrained(saved)


@pytest.mark.parametrize('name', ['model.safetensors', 'detector.safetensors'])
def test_weights_of_another_save_are_refused_unless_they_were_exchanged_on_purpose(saved, tmp_path, name):
    other = create_detector(CONFIG).save_pretrained(tmp_path / 'other')
    (saved / name).write_bytes((other / name).read_bytes())
    with pytest.raises(ValueError, match=f"{name} is not the file that was saved .* remove the entry 'sha256'"):
        Detector.from_pretrained(saved)
    with pytest.raises(ValueError, match=f'{name} is not the file that was saved'):
        copy_saved(saved, tmp_path / 'copy')
    without_digests(saved)
    Detector.from_pretrained(saved)


def test_a_save_that_was_killed_between_its_files_is_whole(saved, tmp_path, monkeypatch):
    new = create_detector(CONFIG).eval()
    moved, replace = [], os.replace

    def killed(source, target):
        moved.append(target)
        if len(moved) == 3:
            raise KeyboardInterrupt
        replace(source, target)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(os, 'replace', killed)
        new.save_pretrained(saved)
    assert_same_logits(Detector.from_pretrained(saved), new)
    # A copy has all in its place.
    copy = copy_saved(saved, tmp_path / 'copy')
    assert not (copy / STAGING_NAME).exists()
    assert_same_logits(Detector.from_pretrained(copy), new)


def test_no_detector_there(tmp_path):
    (tmp_path / 'empty').mkdir()
    for source in (tmp_path / 'empty', str(tmp_path / 'empty'), tmp_path / 'none'):
        with pytest.raises(ValueError) as caught:
            Detector.from_pretrained(source)
        assert str(source) in str(caught.value)
    with pytest.raises(ValueError, match='mbv3_yolo_smal'):
        Detector.from_pretrained('mbv3_yolo_smal')
    with pytest.raises(ValueError, match='revision'):
        Detector.from_pretrained(tmp_path / 'empty', revision='main')


# From what was saved


def test_create_from_a_saved_folder(detector, saved):
    for source in (saved, str(saved)):
        loaded = create_detector(source, pretrained=True)
        assert loaded.config == detector.config and not loaded.training
        assert_same_logits(loaded, detector)
    fresh = create_detector(saved)
    assert fresh.config == detector.config and fresh.training
    assert not torch.equal(fresh.head.convs[0].weight, detector.head.convs[0].weight)
    # Another size of picture needs no other weights.
    larger = create_detector(saved, pretrained=True, image_size=128)
    assert larger.config.image_size == (128, 128)
    assert_same_logits(larger, detector)


def tune(saved, names, caplog):
    """A detector for other classes, what was logged, and one with a new head that starts from the same seed."""
    with caplog.at_level(logging.INFO, logger='mbv3zoo'):
        caplog.clear()
        torch.manual_seed(5)
        tuned = create_detector(saved, pretrained=True, class_names=names)
    torch.manual_seed(5)
    return tuned, caplog.messages, create_detector(saved, class_names=names)


@pytest.mark.parametrize(
    ('names', 'anew', 'dropped'),
    [
        (('fish', 'dog', 'bird', 'cat'), 'fish, bird', 'größe'),
        (('dog', 'fish', 'cat'), 'fish', 'größe'),  # as many as before
        (('fish', 'bird', 'snail'), 'fish, bird, snail', 'cat, dog, größe'),
        (('größe', 'cat', 'dog'), 'none', None),  # the same in another order
        (('dog',), 'none', 'cat, größe'),
        (('größe', 'dog', 'cat', 'fish', 'bird'), 'fish, bird', None),
    ],
)
def test_fine_tuning_keeps_all_but_new_classes_and_says_so(detector, saved, caplog, names, anew, dropped):
    tuned, messages, fresh = tune(saved, names, caplog)
    assert tuned.config.class_names == names and tuned.config.mean == CONFIG.mean and not tuned.training
    before, after, new = (d.state_dict() for d in (detector, tuned, fresh))
    head = {name for name in after if name.startswith('head.')}
    assert len(head) == 6 and all(torch.equal(before[name], after[name]) for name in after.keys() - head)
    for name in head:
        old_rows, rows, new_rows = (
            before[name].unflatten(0, (2, 8)),
            *(state[name].unflatten(0, (2, 5 + len(names))) for state in (after, new)),
        )
        # Boxes and objectness, and the classes of the same name, stay; the others start as in a new detector.
        assert torch.equal(rows[:, :5], old_rows[:, :5])
        for index, class_name in enumerate(names):
            if class_name in CONFIG.class_names:
                expected = old_rows[:, 5 + CONFIG.class_names.index(class_name)]
            else:
                expected = new_rows[:, 5 + index]
            assert torch.equal(rows[:, 5 + index], expected)
    assert len(messages) == 1 and str(saved) in messages[0] and f'start anew: {anew}' in messages[0]
    assert messages[0].endswith(f'dropped: {dropped}' if dropped else f'start anew: {anew}')


def test_fine_tuning_computes_the_kept_classes_as_before(detector, saved, caplog):
    tuned, _, _ = tune(saved, ('fish', 'größe', 'cat'), caplog)
    for x, y in zip(logits(tuned), logits(detector), strict=True):
        torch.testing.assert_close(x[..., [0, 1, 2, 3, 4, 6, 7]], y[..., [0, 1, 2, 3, 4, 7, 5]])
        assert (x[..., 5] - y[..., 6]).abs().max() > 0.1


def test_fine_tuning_for_a_number_of_classes(detector, saved, caplog):
    tuned = create_detector(saved, pretrained=True, num_classes=5)
    assert tuned.config.class_names == ('0', '1', '2', '3', '4') and 'start anew: 0, 1, 2, 3, 4' in caplog.text
    # The same number is no change.
    caplog.clear()
    assert_same_logits(create_detector(saved, pretrained=True, num_classes=3), detector)
    assert_same_logits(create_detector(saved, pretrained=True, class_names=list(CONFIG.class_names)), detector)
    assert caplog.messages == []


def test_fine_tuning_what_had_a_single_class(tmp_path, caplog):
    saved = create_detector('mbv3_yolo_small_050', class_names=['cat'], image_size=64).save_pretrained(tmp_path / 'one')
    tuned, messages, fresh = tune(saved, ('cat', 'dog'), caplog)
    assert 'start anew: cat, dog' in messages[0] and 'dropped' not in messages[0]
    # Its class was never learned; kept, all would be cats for long.
    biases = [d.head.convs[0].bias.view(3, 7) for d in (tuned, fresh)]
    assert torch.equal(biases[0][:, 5:], biases[1][:, 5:]) and biases[0][:, 5:].max() < 1


def test_fine_tuning_with_other_anchors_too_is_refused(saved):
    with pytest.raises(ValueError, match='has 2 anchors.*expected 1') as caught:
        create_detector(saved, pretrained=True, class_names=['a', 'b'], anchors=[[[1, 2]]] * 3)
    assert str(saved) in str(caught.value)
    # As many others are only other boxes.
    other = create_detector(saved, pretrained=True, class_names=['a', 'b'], anchors=[[[1, 2], [3, 4]]] * 3)
    assert other.config.anchors[0] == ((1, 2), (3, 4))


def test_fine_tuning_from_a_config_that_does_not_fit_its_weights(saved):
    change(saved, num_classes=4, class_names=[])
    with pytest.raises(ValueError, match='16 outputs.*multiple of 9') as caught:
        create_detector(saved, pretrained=True, class_names=['a', 'b'])
    assert str(saved) in str(caught.value)


def test_other_anchors_are_saved_and_loaded(saved, tmp_path):
    changed = Detector.from_pretrained(saved)
    anchors = (((7.5, 8.0), (9.0, 30.0)), ((31.0, 30.0), (40.0, 62.0)), ((90.0, 90.0), (150.0, 150.0)))
    assert changed.set_anchors(anchors) is changed
    loaded = Detector.from_pretrained(changed.save_pretrained(tmp_path / 'changed'))
    assert loaded.config == changed.config and loaded.config.anchors == anchors
    assert torch.equal(loaded.anchors, changed.anchors)
    found, expected, old = (
        d.predict(drawn_picture(60, 50), score_thresh=0, max_detections=5).boxes
        for d in (loaded, changed, Detector.from_pretrained(saved))
    )
    assert torch.equal(found, expected) and not torch.equal(found, old)


def test_other_changes_do_not_pass_as_fine_tuning(saved):
    with pytest.raises(ValueError, match='neck'):
        create_detector(saved, pretrained=True, num_classes=5, width_multiple=0.5)
    with pytest.raises(ValueError, match='head'):
        create_detector(saved, pretrained=True, anchors=[[[1, 2]]] * 3)
    with pytest.raises(ValueError, match='backbone'):
        create_detector(saved, pretrained=True, num_classes=5, in_chans=1)


def test_packaged_weights_are_found_as_in_a_wheel(detector, tmp_path, monkeypatch):
    package = tmp_path / 'site-packages' / 'mbv3zoo'
    shutil.copytree(config_loader.config_folder(), package / 'configs')
    detector.save_pretrained(package / 'weights' / 'mbv3_yolo_small.test', dtype=torch.float16)
    expected = Detector.from_pretrained(package / 'weights' / 'mbv3_yolo_small.test')
    names = list_detectors()
    monkeypatch.setattr(config_loader, '_PACKAGE', package)
    assert list_detectors() == names and list_detectors(pretrained=True) == ['mbv3_yolo_small.test']
    assert_same_logits(Detector.from_pretrained('mbv3_yolo_small.test'), expected)
    assert_same_logits(create_detector('mbv3_yolo_small.test', pretrained=True), expected)
    assert create_detector('mbv3_yolo_small.test', device='meta').config.class_names == ('cat', 'dog', 'größe')
    with pytest.raises(ValueError, match='mbv3_yolo_small.test'):
        create_detector('mbv3_yolo_small.tesst', pretrained=True)


# Predicting


def drawn_picture(width, height):
    image = Image.new('RGB', (width, height), (200, 220, 180))
    draw = ImageDraw.Draw(image)
    draw.rectangle((width // 8, height // 4, width // 2, height // 2), fill=(220, 30, 40))
    draw.ellipse((width // 2, height // 3, width - 9, height - 7), fill=(30, 60, 210))
    return image


def eager(detector):
    """Sees objects everywhere, so that there is something to compare."""
    for conv in detector.head.convs:
        bias = conv.bias.data.view(detector.head.num_anchors, -1)
        bias[:, 4:] += torch.tensor([4.0, 1, 0.5, 0])
    return detector


@pytest.mark.parametrize(('width', 'height'), [(150, 100), (40, 90), (301, 20)])
@torch.no_grad()
def test_predict_is_letterbox_logits_decode_suppression_and_back(saved, width, height):
    detector = eager(Detector.from_pretrained(saved))
    image = drawn_picture(width, height)
    found = detector.predict(image, score_thresh=0.3, iou_thresh=0.6, max_detections=20)

    letterbox = Letterbox.fit((height, width), (64, 96))
    pixels = letterbox.apply(torch.from_numpy(np.array(image)).permute(2, 0, 1))
    boxes, scores = decode(detector(pixels[None] / 255), torch.tensor(CONFIG.anchors), (8, 16, 32))
    kept = postprocess(boxes, scores, score_thresh=0.3, iou_thresh=0.6, max_detections=20)[0]
    assert isinstance(found, Detections) and len(found) == len(kept.scores) > 3
    torch.testing.assert_close(found.boxes, letterbox.boxes_to_original(kept.boxes), atol=1e-2, rtol=0)
    torch.testing.assert_close(found.scores, kept.scores, atol=1e-5, rtol=0)
    assert torch.equal(found.labels, kept.labels)

    assert found.class_names == CONFIG.class_names and found.image_size == (height, width)
    assert found.boxes.dtype == found.scores.dtype == torch.float32 and found.labels.dtype == torch.int64
    assert (found.boxes >= 0).all() and (found.boxes[:, 2] <= width).all() and (found.boxes[:, 3] <= height).all()
    assert found.draw(image).size == image.size


def test_predict_takes_files_of_as_many_pixels_as_asked_for(saved, tmp_path):
    detector = Detector.from_pretrained(saved)
    Image.new('RGB', (9, 6)).save(tmp_path / 'a.png')
    assert detector.predict(tmp_path / 'a.png', max_pixels=54).image_size == (6, 9)
    with pytest.raises(ValueError, match=r'a\.png.*9 x 6 = 54 pixels, more than 53'):
        detector.predict(tmp_path / 'a.png', max_pixels=53)


def test_predict_takes_files_and_lists(saved, tmp_path):
    detector = eager(Detector.from_pretrained(saved))
    for index, size in enumerate([(60, 40), (30, 80)]):
        drawn_picture(*size).save(tmp_path / f'{index}.png')
    single = detector.predict(tmp_path / '0.png')
    many = detector.predict([tmp_path / '0.png', drawn_picture(30, 80)], batch_size=1)
    folder = detector.predict(str(tmp_path / '*.png'))
    assert isinstance(single, Detections) and [d.image_size for d in many] == [(40, 60), (80, 30)]
    assert torch.equal(single.boxes, many[0].boxes) and torch.equal(many[1].labels, folder[1].labels)


def test_an_untrained_detector_finds_nothing():
    found = create_detector('mbv3_yolo_small', image_size=64).predict(drawn_picture(50, 50))
    assert len(found) == 0 and found.boxes.shape == (0, 4)


def test_fusing_does_not_move_what_is_found(saved):
    detector = eager(Detector.from_pretrained(saved))
    image = drawn_picture(150, 100)
    before, after = detector.predict(image, max_detections=50), detector.fuse().predict(image, max_detections=50)
    assert len(before) == len(after) > 3
    # Two scores within rounding of one another may change places.
    torch.testing.assert_close(before.scores, after.scores, atol=1e-4, rtol=0)
    torch.testing.assert_close(before.boxes.sum(0), after.boxes.sum(0), atol=0.5, rtol=1e-3)


def test_a_folder_called_like_a_model_does_not_stand_in_its_way(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'resnet18').mkdir()
    assert create_detector('resnet18', device='meta').config.backbone == 'resnet18'
    create_detector('mbv3_yolo_small_050', num_classes=7, image_size=64).save_pretrained('resnet18')
    assert create_detector('./resnet18').config.num_classes == 7


def test_the_same_number_of_classes_keeps_their_names(tmp_path):
    create_detector('resnet18', class_names=['cat', 'dog'], image_size=64).save_pretrained(tmp_path)
    assert create_detector(tmp_path, num_classes=2).config.class_names == ('cat', 'dog')
    assert create_detector(tmp_path, num_classes=3).config.class_names == ('0', '1', '2')


# Saved at one size, used at another


@pytest.mark.parametrize('name', ['resnet18', 'test_vit', 'swin_tiny_patch4_window7_224'])
@torch.no_grad()
def test_saved_weights_run_at_another_size(name, tmp_path):
    detector = create_detector(name, num_classes=2, image_size=64).eval()
    detector.save_pretrained(tmp_path / 'saved')
    other = create_detector(tmp_path / 'saved', pretrained=True, image_size=(96, 128))
    assert other.config.image_size == (96, 128)
    images = torch.rand(1, 3, 96, 128)
    for x, y in zip(other(images), detector(images), strict=True):
        assert torch.equal(x, y)
    # And can be saved so, and built anew for yet another size.
    other.save_pretrained(tmp_path / 'other')
    again = Detector.from_pretrained(tmp_path / 'other')
    assert all(torch.equal(x, y) for x, y in zip(again(images), detector(images), strict=True))
    fresh = create_detector(tmp_path / 'other', image_size=160, device='meta')
    shapes = [p.shape for p in create_detector(name, num_classes=2, image_size=160, device='meta').parameters()]
    assert [p.shape for p in fresh.parameters()] == shapes


def test_weights_that_are_bound_to_their_size_say_so(tmp_path):
    saved = create_detector('test_vit_relpos', num_classes=2, image_size=64).save_pretrained(tmp_path / 'saved')
    with pytest.raises(ValueError, match=r"\(64, 64\).*'test_vit_relpos'.*\(96, 96\)"):
        create_detector(saved, pretrained=True, image_size=96)
    assert create_detector(saved, image_size=96, device='meta').config.image_size == (96, 96)


@pytest.mark.parametrize('name', ['mbv3_yolo_small', 'vit_base_patch16_siglip_gap_512.v2_webli'])
def test_a_detector_is_shown_in_one_line(name):
    detector = create_detector(name, device='meta', num_classes=7)
    shown = repr(detector)
    assert len(shown) < 300 and '\n' not in shown and str(detector) == shown
    size = '{} x {}'.format(*detector.config.image_size)
    for part in ('Detector(', name, 'neck pan', '7 classes', size, 'M parameters', 'training', 'meta'):
        assert part in shown
    detector.eval().fused = True
    assert 'eval, fused' in repr(detector)
    # The modules are still there for whoever wants them.
    assert len(repr(detector.backbone).splitlines()) > 50


def test_predict_finds_the_classes_that_are_asked_for():
    detector = Detector.from_pretrained('mbv3_yolo_small.synth')
    scene = Path(__file__).parents[1] / 'docs' / 'scene.jpg'
    every = detector.predict(scene)
    name = every.class_names[int(every.labels[0])]
    some = detector.predict(scene, classes=[name])
    assert 0 < len(some) < len(every)
    assert torch.equal(some.boxes, every.filter([name]).boxes) and set(some.labels.tolist()) == {int(every.labels[0])}
    with pytest.raises(ValueError, match='no_such_class'):
        detector.predict(scene, classes='no_such_class')


def test_names_and_device_are_attributes():
    detector = create_detector('mbv3_yolo_small', class_names=['cat', 'dog'], device='meta')
    assert detector.class_names == ('cat', 'dog') and detector.device == torch.device('meta')
    assert create_detector('mbv3_yolo_small').device == torch.device('cpu')
