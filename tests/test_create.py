import ast
import inspect

import pytest
import timm
from timm.models._hub import save_for_hf

from mbv3zoo import DetectorConfig, create_detector

NAME = 'mbv3_yolo_small'


@pytest.fixture(scope='module')
def saved(tmp_path_factory):
    return create_detector(NAME, class_names=['cat', 'dog'], image_size=64).save_pretrained(
        tmp_path_factory.mktemp('saved') / 'detector'
    )


def test_a_detector_is_created_in_a_few_steps():
    function = ast.parse(inspect.getsource(create_detector)).body[0]
    docstring = function.body[0]
    lines = function.end_lineno - (docstring.end_lineno - docstring.lineno + 1)
    assert lines < 35
    # Resolve, override, build; then the weights and what is frozen.
    assert len(function.body) <= 12


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        ({'in_chans': 0}, 'in_chans: .* 1 .given: 0'),
        ({'in_chans': True}, 'in_chans: expected an integer'),
        ({'in_chans': '3'}, 'in_chans: expected an integer'),
        ({'image_size': -64}, 'image_size: .*32 to 8192 pixels'),
        ({'image_size': 0}, 'image_size: .*32 to 8192 pixels'),
        ({'image_size': True}, 'image_size: .*32 to 8192 pixels'),
        ({'image_size': '320'}, 'image_size: .*32 to 8192 pixels'),
        ({'image_size': 100}, 'image_size must be multiples of 32'),
        ({'num_classes': 0}, 'num_classes: .* 1 .given: 0'),
        ({'num_classes': 2.0}, 'num_classes: expected an integer'),
        ({'class_names': 'cat'}, "class_names must be a list of names, given 'cat'"),
        ({'class_names': {}}, 'class_names must be a list of names, given {}'),
        ({'class_names': ''}, "class_names must be a list of names, given ''"),
        ({'class_names': []}, 'class_names must hold one name at least'),
        ({'class_names': ['cat'], 'num_classes': 2}, 'num_classes is 2, but class_names has 1 name'),
        ({'anchors': []}, r'anchors must hold 3 lists of equal length, given lengths \[\]'),
        ({'anchors': 0}, 'anchors.number: .* 1 .given: 0'),
        ({'anchors': [[10, 13, 16, 30]] * 3}, 'anchors.levels.0.0: expected a list .* and 4 more'),
        ({'mean': (0.5,)}, 'mean must have in_chans=3 values, given 1'),
        ({'std': (0, 1, 1)}, 'std.0: expected a number greater than 0'),
        ({'backbone': ''}, "unknown backbone ''"),
        ({'depth_multiple': True}, 'depth_multiple: expected a number'),
        ({'width_multiple': 0}, 'width_multiple: expected a number greater than 0'),
        ({'neck': 'fpn'}, "neck.name: expected 'pan' or 'light'"),
        ({'activation': ''}, 'an activation is a name'),
        ({'backbone_args': 5}, 'backbone_args: expected a mapping'),
        ({'backbone_args': {'in_chans': 1}}, 'backbone_args: in_chans: not to be set for the backbone alone'),
        ({'backbone_args': {'num_classes': 5}}, 'backbone_args: num_classes: not to be set for the backbone alone'),
        ({'backbone_args': {'pretrained': True}}, 'backbone_args: pretrained: not to be set for the backbone alone'),
        ({'backbone_args': {'name': 'x'}}, 'backbone_args: name: not to be set, a detector chooses it itself'),
        ({'map_strides': (4, 8, 16)}, 'map_strides: not to be set, a detector chooses it itself'),
        ({'drop_path_rate': 2.0}, 'drop_path_rate is 2.0, expected a share'),
        ({'no_such_argument': 1}, "unexpected keyword argument 'no_such_argument'"),
        ({'freeze_backbone': '2'}, "freeze_backbone must be 0..6, .*; given '2'"),
        ({'freeze_backbone': 1.5}, 'freeze_backbone must be 0..6, .*; given 1.5'),
        ({'pretrained': 'imagenet'}, "pretrained must be True or False, given 'imagenet'"),
        ({'revision': 'main'}, "revision='main' was given for 'mbv3_yolo_small', of which nothing is fetched"),
    ],
    ids=str,
)
def test_nonsense_is_told_in_one_sentence(settings, message):
    with pytest.raises(ValueError, match=message) as caught:
        create_detector(NAME, device='meta', **settings)
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize('name', ['', ' ', None, 5, {'backbone': 'resnet18'}], ids=str)
def test_a_name_that_is_none(name):
    with pytest.raises(ValueError, match='unknown detector or backbone'):
        create_detector(name, device='meta')


@pytest.mark.parametrize(
    ('settings', 'words'),
    [
        ({'activation': 'relu'}, 'trained with activation silu, and are used with relu'),
        ({'activation': 'nn.SiLU()'}, None),
        ({'act_layer': 'relu'}, "trained with backbone_args {}, and are used with {'act_layer': 'relu'}"),
        ({'bn_eps': 0.1}, "used with {'bn_eps': 0.1}"),
        ({'drop_path_rate': 0.1}, None),
        ({'anchors': [[[20, 20]] * 3, [[50, 50]] * 3, [[90, 90]] * 3]}, 'trained with anchors .*used with ..20.0, 20'),
        ({'anchors': 3}, None),
        ({'mean': (0, 0, 0)}, 'trained with mean .*used with .0.0, 0.0'),
        ({'image_size': 96}, None),
        ({'depth_multiple': 0.3}, None),
    ],
    ids=str,
)
def test_weights_that_are_used_otherwise_than_they_were_trained(saved, settings, words, caplog):
    create_detector(saved, pretrained=True, **settings)
    assert [record.levelname for record in caplog.records] == ([] if words is None else ['WARNING'])
    caplog.clear()
    # Without the weights there is nothing that they could be used otherwise for.
    create_detector(saved, device='meta', **settings)
    assert not caplog.records


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        ({'in_chans': 1}, r'the weights do not fit .*conv_stem.weight is \[16, 3, 3, 3\], expected \[16, 1'),
        ({'depth_multiple': 1.0}, 'the weights do not fit .*blocks.1.* is missing'),
        ({'width_multiple': 0.5}, 'the weights do not fit'),
        ({'neck': 'light'}, 'the weights do not fit'),
        ({'backbone': 'resnet18'}, "the weights do not fit a detector on 'resnet18'"),
        ({'anchors': 2}, 'the weights do not fit .*head.convs.0.bias'),
        ({'pretrained_cfg': {'mean': (0, 0, 0)}}, 'pretrained_cfg has no effect on a saved detector'),
        ({'pretrained_cfg_overlay': {'std': (1, 1, 1)}}, 'pretrained_cfg_overlay has no effect on a saved detector'),
        ({'checkpoint_path': 'x.pth'}, 'checkpoint_path has no effect on a saved detector'),
        ({'class_names': []}, 'class_names must hold one name at least'),
    ],
    ids=str,
)
def test_what_saved_weights_cannot_follow(saved, settings, message):
    with pytest.raises(ValueError, match=message):
        create_detector(saved, pretrained=True, **settings)


def test_a_mean_for_whole_numbers_is_told(caplog):
    create_detector(NAME, mean=(123.7, 116.3, 103.5), std=(58.4, 57.1, 57.4), device='meta')
    assert 'are for images in 0..1: divide those for 0..255 by 255' in caplog.text


def test_a_config_of_nonsense_is_told_before_anything_is_built():
    with pytest.raises(ValueError, match='image_size: not to be set for the backbone alone'):
        DetectorConfig(backbone='resnet18', backbone_args={'image_size': 64})


def test_layers_that_pretrained_weights_were_not_trained_with_are_told(tmp_path, caplog):
    save_for_hf(timm.create_model('test_resnet'), tmp_path, safe_serialization=True)
    for settings, words in (({'act_layer': 'gelu'}, "trained without {'act_layer': 'gelu'}"), ({}, None)):
        caplog.clear()
        create_detector(f'local-dir:{tmp_path}', pretrained=True, image_size=64, **settings)
        assert [record.message for record in caplog.records if words and words in record.message] or not words
        assert bool(caplog.records) == bool(words)
