import numpy as np
import pytest
import torch
from torch import nn

import mbv3zoo
from mbv3zoo.config.detector import DetectorConfig
from mbv3zoo.config.segmenter import SegmenterConfig
from mbv3zoo.widths.named import groups_of
from mbv3zoo.widths.narrow import narrow
from mbv3zoo.widths.rebuilt import all_widths, narrowed_config, wide_config

STEM, NECK = 'backbone.model.conv_stem', 'neck.lateral4.conv'


def build(name, task='detection'):
    torch.manual_seed(0)
    config = {'detection': DetectorConfig, 'segmentation': SegmenterConfig}[task]
    create = {'detection': mbv3zoo.create_detector, 'segmentation': mbv3zoo.create_segmenter}[task]
    named = name.startswith('mbv3_')
    model = create(name if named else config(backbone=name), num_classes=4, image_size=64)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.2)
                module.running_var.uniform_(0.5, 1.5)
    return model.eval()


def narrowed_in_place(model, share=0.7, seed=0):
    """Removes random units; returns the config that goes with what is left."""
    groups, random = groups_of(model, 3), np.random.default_rng(seed)
    kept = {g.name: np.sort(random.permutation(g.units)[: max(2, int(g.units * share))]) for g in groups}
    narrow(model, groups, kept)
    return narrowed_config(model.config, groups, {name: len(units) for name, units in kept.items()})


def outputs(model):
    with torch.inference_mode():
        found = model(torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1)))
    return [found] if isinstance(found, torch.Tensor) else found


def assert_equal(model, other):
    assert all(torch.equal(*pair) for pair in zip(outputs(model), outputs(other), strict=True))


@pytest.mark.parametrize(
    ('name', 'task'),
    [
        ('mbv3_yolo_medium_v2', 'detection'),
        ('resnet18', 'detection'),
        ('regnety_002', 'detection'),
        ('mbv3_yolo_small', 'segmentation'),
    ],
)
def test_the_model_of_the_config_takes_the_weights_of_the_narrower_one(name, task):
    model = build(name, task)
    whole = {name: tensor.shape for name, tensor in model.state_dict().items()}
    config = narrowed_in_place(model)
    again = type(model)(config)
    shapes = {name: tensor.shape for name, tensor in again.state_dict().items()}
    assert shapes == {name: tensor.shape for name, tensor in model.state_dict().items()} != whole
    again.load_state_dict(model.state_dict())
    assert_equal(again.eval(), model)


def test_the_neck_and_the_backbone_say_how_many_channels_they_give():
    model = mbv3zoo.create_detector(narrowed_in_place(build('mbv3_yolo_small'))).eval()
    images = torch.rand(1, 3, 64, 64)
    maps = model.backbone(images)
    assert [x.shape[1] for x in maps] == list(model.backbone.channels) != [24, 48, 576]
    assert [x.shape[1] for x in model.neck(maps)] == list(model.neck.out_channels) != [64, 128, 256]
    assert [layer.in_channels for layer in model.head.convs] == list(model.neck.out_channels)


def test_a_narrower_model_is_saved_and_loaded_and_made_narrower_again(tmp_path):
    model = build('mbv3_yolo_small')
    config = narrowed_in_place(model)
    saved = mbv3zoo.create_detector(config)
    saved.load_state_dict(model.state_dict())
    loaded = mbv3zoo.load(saved.save_pretrained(tmp_path / 'saved'))
    assert loaded.config.widths == config.widths and loaded.config.backbone_args == config.backbone_args
    assert_equal(loaded.eval(), model)
    # Once more, with other units; what was narrowed before is kept in the config.
    twice = narrowed_in_place(loaded, 0.8, seed=1)
    assert twice.backbone == 'narrowed' and twice.backbone_args['base'] == 'mbv3_yolo_small'
    assert twice.widths.keys() == config.widths.keys()
    assert all(width < config.widths[name] for name, width in twice.widths.items())
    again = mbv3zoo.create_detector(twice)
    again.load_state_dict(loaded.state_dict())
    assert_equal(again.eval(), loaded)


def test_widths_of_both_times_are_merged():
    config = DetectorConfig(backbone='mbv3_yolo_small', backbone_args={'drop_rate': 0.1}, num_classes=4, image_size=64)
    groups = groups_of(mbv3zoo.create_detector(config), 3)
    first = narrowed_config(config, groups, {STEM: 8, NECK: 32, 'neck.down3.conv': 60})
    assert first.backbone == 'narrowed' and first.widths == {NECK: 32, 'neck.down3.conv': 60}
    assert first.backbone_args == {'drop_rate': 0.1, 'base': 'mbv3_yolo_small', 'widths': {'conv_stem': 8}}
    groups = groups_of(mbv3zoo.create_detector(first), 3)
    second = narrowed_config(first, groups, {NECK: 20, 'backbone.model.blocks.1.0.conv_pw': 50})
    assert second.widths == {NECK: 20, 'neck.down3.conv': 60}
    assert second.backbone_args == {
        'drop_rate': 0.1, 'base': 'mbv3_yolo_small', 'widths': {'conv_stem': 8, 'blocks.1.0.conv_pw': 50},
    }  # fmt: skip
    # The configs before are as they were.
    assert config.backbone_args == {'drop_rate': 0.1} and first.backbone_args['widths'] == {'conv_stem': 8}


def test_what_is_not_narrower_is_not_named():
    config = DetectorConfig(backbone='mbv3_yolo_small', num_classes=4, image_size=64)
    groups = groups_of(mbv3zoo.create_detector(config), 3)
    assert narrowed_config(config, groups, {group.name: group.units for group in groups}) == config
    behind = narrowed_config(config, groups, {STEM: 16, NECK: 32})
    assert behind.backbone == 'mbv3_yolo_small' and behind.backbone_args == {} and behind.widths == {NECK: 32}


def test_widths_of_grouped_convolutions_are_in_channels():
    config = DetectorConfig(backbone='regnety_002', num_classes=4, image_size=64)
    groups = groups_of(mbv3zoo.create_detector(config), 3)
    found = narrowed_config(config, groups, {'backbone.model.s1.b1.conv1.conv': 2})
    assert found.backbone_args['widths'] == {'s1.b1.conv1.conv': 16}


def test_the_wide_config_and_the_widths_are_those_before():
    config = DetectorConfig(backbone='mbv3_yolo_small', backbone_args={'drop_rate': 0.1}, num_classes=4, image_size=64)
    assert wide_config(config) is None and all_widths(config) == {}
    narrower = config.model_copy(
        update={
            'backbone': 'narrowed',
            'backbone_args': {'drop_rate': 0.1, 'base': 'mbv3_yolo_small', 'widths': {'conv_stem': 8}},
            'widths': {NECK: 32},
        }
    )
    assert wide_config(narrower) == config and all_widths(narrower) == {STEM: 8, NECK: 32}
    behind = config.model_copy(update={'widths': {NECK: 32}})
    assert wide_config(behind) == config and all_widths(behind) == {NECK: 32}


def test_configs_without_widths_are_written_as_before():
    """Earlier versions refuse keys that they do not know."""
    for config in (DetectorConfig(backbone='resnet18'), SegmenterConfig(backbone='resnet18')):
        written = config.model_dump(mode='json')
        assert not {'widths', 'fit'} & written.keys() and 'num_classes' in written
        narrower = type(config).parse({**written, 'widths': {NECK: 32}})
        again = narrower.model_dump(mode='json')
        assert again['widths'] == {NECK: 32} and 'fit' not in again and type(config).parse(again) == narrower


@pytest.mark.parametrize('width', [-1, 1.5, '8', True, None])
def test_widths_in_a_config_are_whole_and_not_negative(width):
    with pytest.raises(ValueError, match='widths'):
        DetectorConfig.parse({'backbone': 'resnet18', 'widths': {NECK: width}})


@pytest.mark.parametrize(
    ('widths', 'message'),
    [({'neck.lateral4.cnov': 32}, "'neck.lateral4.cnov' has no width of its own; did you mean .*neck.lateral4.conv")]
    + [({NECK: width}, f"'neck.lateral4.conv' is {width}; expected 1 to 64 channels") for width in (0, 65)],
)
def test_layers_and_widths_that_there_are_not_are_named(widths, message):
    config = DetectorConfig(backbone='mbv3_yolo_small', num_classes=4, image_size=64, widths=widths)
    with pytest.raises(ValueError, match=f'widths: {message}'):
        mbv3zoo.create_detector(config)


def test_an_exported_narrower_detector_computes_the_same(tmp_path):
    pytest.importorskip('onnxruntime')
    model = build('mbv3_yolo_small')
    again = mbv3zoo.create_detector(narrowed_in_place(model))
    again.load_state_dict(model.state_dict())
    exported = mbv3zoo.load(again.eval().export(tmp_path / 'narrow.onnx', image_size=64))
    pixels = np.random.default_rng(0).integers(0, 256, (1, 3, 64, 64), np.uint8)
    with torch.inference_mode():
        expected = model(torch.from_numpy(pixels) / 255)
    for found, level in zip(exported.run(pixels), expected, strict=True):
        level = level.permute(0, 1, 4, 2, 3).flatten(1, 2).numpy()
        np.testing.assert_allclose(found, level, rtol=0, atol=1e-4 * level.std())
