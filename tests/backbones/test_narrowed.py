import pytest
import timm
import torch

import mbv3zoo.backbones
from mbv3zoo.widths.named import groups_of

# Of each map but the first, of a layer between them, and of one in the last stage.
WIDTHS = {'blocks.1.0.conv_pwl': 16, 'blocks.2.0.conv_pw': 50, 'blocks.3.0.conv_pwl': 40, 'blocks.5.0.conv': 400}
BASE = 'mbv3_yolo_small'
ALL_CHANNELS, REDUCTION = [16, 16, 16, 40, 400], [2, 4, 8, 16, 32]


def narrowed(base=BASE, widths=WIDTHS, **args):
    torch.manual_seed(0)
    return timm.create_model('narrowed', base=base, widths=widths, **args).eval()


@pytest.mark.parametrize('indices', [(0, 1, 2, 3, 4), (1, 2, 3, 4), (2, 3, 4), (1, 2), (3,), (0, 4), (-1,), (-3, -1)])
def test_channels_are_stated_as_they_are(indices):
    model = narrowed(features_only=True, out_indices=indices)
    maps = model(torch.rand(1, 3, 64, 64))
    assert [x.shape[1] for x in maps] == model.feature_info.channels() == [ALL_CHANNELS[at] for at in indices]
    assert [64 // x.shape[2] for x in maps] == model.feature_info.reduction() == [REDUCTION[at] for at in indices]
    wide = timm.create_model(BASE, features_only=True, out_indices=indices)
    assert model.feature_info.module_name() == wide.feature_info.module_name()


@pytest.mark.parametrize('base', ['resnet18', 'regnety_002', 'mobilenetv4_conv_small'])
def test_other_families_state_theirs(base):
    wide = timm.create_model(base, features_only=True)
    # The last map's layer, whatever its family calls it.
    group = groups_of(wide, 3, outputs_stay=False)[-1]
    width = (group.units - 1) * group.size
    model = narrowed(base, {group.name: width}, features_only=True)
    maps = model(torch.rand(1, 3, 64, 64))
    assert [x.shape[1] for x in maps] == model.feature_info.channels()
    assert model.feature_info.reduction() == wide.feature_info.reduction()
    assert model.get_submodule(group.name).out_channels == width


def test_without_widths_it_is_its_base():
    for widths in ({}, None):
        model = narrowed(widths=widths, features_only=True)
        torch.manual_seed(0)
        base = timm.create_model(BASE, features_only=True).eval()
        assert model.feature_info.channels() == base.feature_info.channels()
        images = torch.rand(1, 3, 64, 64)
        assert all(torch.equal(*pair) for pair in zip(model(images), base(images), strict=True))


def test_is_a_classifier_as_well():
    model = narrowed(num_classes=7, in_chans=1)
    assert model(torch.rand(2, 1, 64, 64)).shape == (2, 7)
    assert model.blocks[1][0].conv_pwl.out_channels == 16 and model.conv_head.in_channels == 400
    assert timm.create_model('narrowed').num_classes == 1000


def test_the_same_weights_give_the_same_maps_whichever_are_taken():
    whole, images = narrowed(features_only=True), torch.rand(1, 3, 64, 64)
    some = narrowed(features_only=True, out_indices=(2, 3))
    some.load_state_dict({name: whole.state_dict()[name] for name in some.state_dict()})
    for found, expected in zip(some(images), whole(images)[1:3], strict=True):
        assert torch.equal(found, expected)


def test_layers_have_the_same_names_each_time_and_in_a_classifier():
    whole = narrowed(widths={}, features_only=True)
    names = [group.name for group in groups_of(whole, 3, outputs_stay=False)]
    assert names == [group.name for group in groups_of(narrowed(features_only=True), 3, outputs_stay=False)]
    assert set(WIDTHS) <= set(names)
    assert set(names) <= {group.name for group in groups_of(narrowed(), 3)}


def test_a_base_may_have_arguments():
    model = narrowed(widths={'blocks.1.0.conv_pwl': 16}, features_only=True, output_stride=16)
    maps = model(torch.rand(1, 3, 64, 64))
    assert [64 // x.shape[2] for x in maps] == model.feature_info.reduction() == [4, 8, 16, 16]


@pytest.mark.parametrize(
    ('base', 'layer'),
    [('mbv3_yolo_small', 'blocks.1.0.conv_pwl'), ('resnet18', 'layer2.0.conv1'), ('regnety_002', 's1.b1.conv1.conv')],
)
def test_timm_loads_it_from_a_saved_detector(base, layer, tmp_path):
    args = {'base': base, 'widths': {layer: 16}}
    config = mbv3zoo.DetectorConfig(
        backbone='narrowed', backbone_args=args, num_classes=2, image_size=64, mean=(0.1, 0.2, 0.3)
    )
    detector = mbv3zoo.create_detector(config).eval()
    source = f'local-dir:{detector.save_pretrained(tmp_path)}'
    indices = detector.backbone.model.feature_info.out_indices
    features = timm.create_model(source, pretrained=True, features_only=True, out_indices=indices).eval()
    images = torch.rand(1, 3, 64, 64)
    for found, expected in zip(features(images), detector.backbone.model(images), strict=True):
        assert torch.equal(found, expected)
    assert features.pretrained_cfg['mean'] == [0.1, 0.2, 0.3]
    # As for other models: in a classifier the same, with a new last layer; grey images by timm's conversion.
    classifier = timm.create_model(source, pretrained=True, num_classes=5)
    assert set(classifier.state_dict()) > set(features.state_dict()) and classifier.num_classes == 5
    for name, tensor in features.state_dict().items():
        assert torch.equal(classifier.state_dict()[name], tensor)
    stem = timm.create_model(source, pretrained=True, features_only=True, in_chans=1).state_dict()
    first = next(iter(stem))
    torch.testing.assert_close(stem[first], features.state_dict()[first].sum(1, keepdim=True))


def test_there_are_no_weights_to_load():
    with pytest.raises(
        ValueError, match='a narrowed mbv3_yolo_small has no weights to load; expected pretrained=False'
    ):
        narrowed(pretrained=True)
    assert timm.list_models('narrowed') == ['narrowed'] and not timm.list_pretrained('narrowed*')


@pytest.mark.parametrize('features_only', [True, False])
@pytest.mark.parametrize(
    ('widths', 'message'),
    [
        (
            {'blocks.1.0.conv_pw1': 16},
            "'blocks.1.0.conv_pw1' has no width of its own; did you mean .*blocks.1.0.conv_pwl",
        ),
        ({'blocks.1.0.conv_pwl': 25}, "'blocks.1.0.conv_pwl' is 25; expected 1 to 24 channels"),
        ({'blocks.1.0.conv_pwl': 0}, "'blocks.1.0.conv_pwl' is 0; expected 1 to 24 channels"),
    ],
)
def test_layers_and_widths_that_there_are_not_are_named(widths, message, features_only):
    with pytest.raises(ValueError, match=f'^widths: {message}'):
        narrowed(widths=widths, features_only=features_only)


@pytest.mark.parametrize('base', ['hf-hub:someone/model', 'local-dir:folder', 'no_such_model'])
def test_a_base_is_one_of_timms_models(base, monkeypatch):
    # A config, which may be anybody's, names it: nothing is downloaded for that.
    monkeypatch.setattr('socket.socket.connect', lambda *_: pytest.fail('the network was asked'))
    with pytest.raises(ValueError, match=f"unknown base '{base}': timm has no such model"):
        narrowed(base)
