import json
import re
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path

import pytest
import timm
import timm.models._hub as timm_hub
import torch
from safetensors.torch import save_file
from timm.layers import Conv2dSame
from torch import Tensor, nn
from torchvision.models import mobilenetv3 as torchvision_mbv3
from torchvision.ops import SqueezeExcitation
from warm_python import run_code

import mbv3zoo.backbones  # noqa: F401  registers the models
from mbv3zoo.backbones.timm_private import SqueezeExcite

REPOSITORY_ROOT = Path(__file__).resolve().parents[2]

# Ours, and timm's model of the same network.
COUNTERPARTS = {
    'mbv3_yolo': 'mobilenetv3_large_100',
    'mbv3_yolo_large': 'mobilenetv3_large_100',
    'mbv3_yolo_small': 'mobilenetv3_small_100',
    'mbv3_yolo_large_075': 'tf_mobilenetv3_large_075',
    'mbv3_yolo_small_075': 'mobilenetv3_small_075',
    'mbv3_yolo_small_050': 'mobilenetv3_small_050',
    'mbv3_yolo_large_minimal': 'tf_mobilenetv3_large_minimal_100',
    'mbv3_yolo_small_minimal': 'tf_mobilenetv3_small_minimal_100',
}
EXACT_SE = ['mbv3_yolo_large_exact_se', 'mbv3_yolo_small_exact_se']
ALL_NAMES = [*COUNTERPARTS, *EXACT_SE]
TF_NAMES = ['mbv3_yolo_large_075', 'mbv3_yolo_large_minimal', 'mbv3_yolo_small_minimal']

# arch.tag here -> arch.tag at timm, the default tag of each first.
WEIGHTS = {
    **{
        f'{name}.{tag}': f'mobilenetv3_large_100.{tag}'
        for name in ('mbv3_yolo', 'mbv3_yolo_large')
        for tag in ('ra4_e3600_r224_in1k', 'ra_in1k', 'miil_in21k_ft_in1k', 'miil_in21k')
    },
    'mbv3_yolo_small.lamb_in1k': 'mobilenetv3_small_100.lamb_in1k',
    'mbv3_yolo_large_075.tf_in1k': 'tf_mobilenetv3_large_075.in1k',
    'mbv3_yolo_small_075.lamb_in1k': 'mobilenetv3_small_075.lamb_in1k',
    'mbv3_yolo_small_050.lamb_in1k': 'mobilenetv3_small_050.lamb_in1k',
    'mbv3_yolo_large_minimal.tf_in1k': 'tf_mobilenetv3_large_minimal_100.in1k',
    'mbv3_yolo_small_minimal.tf_in1k': 'tf_mobilenetv3_small_minimal_100.in1k',
}


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@torch.no_grad()
def randomise_norms(model: nn.Module) -> nn.Module:
    """Statistics away from 0 and 1, so that a wrong eps, order or missing norm shows in the numbers."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.uniform_(0.5, 1.5)
            module.bias.uniform_(-0.5, 0.5)
            module.running_mean.uniform_(-0.5, 0.5)
            module.running_var.uniform_(0.01, 1.0)
    return model


def tensors(output: Tensor | list[Tensor] | dict[str, Tensor]) -> list[Tensor]:
    if isinstance(output, Tensor):
        return [output]
    return list(output.values() if isinstance(output, dict) else output)


def assert_same(output: Tensor | list[Tensor], expected: Tensor | list[Tensor]) -> None:
    output, expected = tensors(output), tensors(expected)
    assert len(output) == len(expected)
    for ours, theirs in zip(output, expected, strict=True):
        assert torch.equal(ours, theirs)


# --- the networks -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(('name', 'timm_name'), COUNTERPARTS.items())
@torch.no_grad()
def test_bit_equal_to_timm_with_the_same_state_dict(name: str, timm_name: str) -> None:
    theirs = randomise_norms(timm.create_model(timm_name)).eval()
    theirs_features = timm.create_model(timm_name, features_only=True, out_indices=(1, 2, 3, 4)).eval()
    theirs_features.load_state_dict(theirs.state_dict(), strict=False)
    ours = timm.create_model(name).eval()
    ours.load_state_dict(theirs.state_dict())
    ours_features = timm.create_model(name, features_only=True).eval()
    assert not ours_features.load_state_dict(theirs.state_dict(), strict=False).missing_keys
    for size in ((64, 96), (75, 101), (1, 1)):
        images = torch.rand(2, 3, *size)
        assert_same(ours(images), theirs(images))
        assert_same(ours_features(images), theirs_features(images))


def torchvision_model(size: str, exact_se: bool) -> nn.Module:
    rows, last_channels = torchvision_mbv3._mobilenet_v3_conf(f'mobilenet_v3_{size}')

    def exact(channels: int, _rounded: int) -> nn.Module:
        return SqueezeExcitation(channels, channels // 4, scale_activation=nn.Hardsigmoid)

    block: Callable | None = partial(torchvision_mbv3.InvertedResidual, se_layer=exact) if exact_se else None
    return torchvision_mbv3.MobileNetV3(rows, last_channels, block=block)


@pytest.mark.parametrize('exact_se', [False, True])
@pytest.mark.parametrize('size', ['large', 'small'])
@torch.no_grad()
def test_same_network_as_torchvision(size: str, exact_se: bool) -> None:
    theirs = randomise_norms(torchvision_model(size, exact_se)).eval()
    name = f'mbv3_yolo_{size}' + ('_exact_se' if exact_se else '')
    ours = timm.create_model(name, bn_eps=1e-3).eval()  # torchvision's eps
    # Both register their layers in forward order. torchvision's head has a Linear where timm has a 1x1 conv.
    own = ours.state_dict()
    foreign = theirs.state_dict().values()
    ours.load_state_dict(
        {key: value.view(own[key].shape) for key, value in zip(own, foreign, strict=True)}, strict=True
    )
    images = torch.rand(2, 3, 75, 101)
    torch.testing.assert_close(ours.forward_features(images), theirs.features(images), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(ours(images), theirs(images), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ('name', 'channels'),
    [
        ('mbv3_yolo', [24, 40, 112, 960]),
        ('mbv3_yolo_large', [24, 40, 112, 960]),
        ('mbv3_yolo_large_exact_se', [24, 40, 112, 960]),
        ('mbv3_yolo_large_minimal', [24, 40, 112, 960]),
        ('mbv3_yolo_small', [16, 24, 48, 576]),
        ('mbv3_yolo_small_exact_se', [16, 24, 48, 576]),
        ('mbv3_yolo_small_minimal', [16, 24, 48, 576]),
        ('mbv3_yolo_large_075', [24, 32, 88, 720]),
        ('mbv3_yolo_small_075', [16, 24, 40, 432]),
        ('mbv3_yolo_small_050', [8, 16, 24, 288]),
    ],
)
@torch.no_grad()
def test_feature_maps(name: str, channels: list[int]) -> None:
    model = timm.create_model(name, features_only=True).eval()
    assert model.feature_info.channels() == channels
    assert model.feature_info.reduction() == [4, 8, 16, 32]
    for batch, height, width in ((1, 64, 96), (1, 75, 101), (1, 1, 1), (0, 64, 64)):
        features = model(torch.rand(batch, 3, height, width))
        expected = [
            (batch, c, -(-height // stride), -(-width // stride))
            for c, stride in zip(channels, (4, 8, 16, 32), strict=True)
        ]
        assert [tuple(feature.shape) for feature in features] == expected


@pytest.mark.parametrize(
    ('name', 'squeezed'),
    [
        ('mbv3_yolo_large_exact_se', [18, 30, 30, 120, 168, 168, 240, 240]),
        ('mbv3_yolo_small_exact_se', [4, 24, 60, 60, 30, 36, 72, 144, 144]),
        ('mbv3_yolo_large', [24, 32, 32, 120, 168, 168, 240, 240]),
        ('mbv3_yolo_small', [8, 24, 64, 64, 32, 40, 72, 144, 144]),
    ],
)
def test_squeeze_channels(name: str, squeezed: list[int]) -> None:
    model = timm.create_model(name, features_only=True, device='meta')
    layers = [module for module in model.modules() if isinstance(module, SqueezeExcite)]
    assert [layer.conv_reduce.out_channels for layer in layers] == squeezed


@pytest.mark.parametrize('size', ['large', 'small'])
def test_minimal_has_only_plain_layers(size: str) -> None:
    model = timm.create_model(f'mbv3_yolo_{size}_minimal', device='meta')
    kernels = {module.kernel_size for module in model.modules() if isinstance(module, nn.Conv2d)}
    assert kernels == {(1, 1), (3, 3)}
    assert not [m for m in model.modules() if isinstance(m, (SqueezeExcite, nn.Hardswish, nn.Hardsigmoid))]


@pytest.mark.parametrize('name', ALL_NAMES)
def test_tensorflow_defaults_only_where_the_weights_need_them(name: str) -> None:
    model = timm.create_model(name, features_only=True, device='meta')
    same_convs = [module for module in model.modules() if isinstance(module, Conv2dSame)]
    eps = {module.eps for module in model.modules() if isinstance(module, nn.BatchNorm2d)}
    # The five convs of stride 2: the figure docs/same_padding.md gives.
    assert (len(same_convs), eps) == ((5, {1e-3}) if name in TF_NAMES else (0, {1e-5}))


@pytest.mark.parametrize('name', TF_NAMES)
def test_tensorflow_defaults_can_be_overridden(name: str) -> None:
    model = timm.create_model(name, features_only=True, pad_type='', bn_eps=1e-4, device='meta')
    assert not [module for module in model.modules() if isinstance(module, Conv2dSame)]
    assert {module.eps for module in model.modules() if isinstance(module, nn.BatchNorm2d)} == {1e-4}


# --- arguments behave as timm's -----------------------------------------------------------------------------

ALL_LEVELS = (0, 1, 2, 3, 4)
FEATURE_ARGUMENTS = [
    {'out_indices': ALL_LEVELS},
    {'out_indices': (2, 3, 4)},
    {'out_indices': (0, 2)},
    {'out_indices': (-1,)},
    {'out_indices': 2},
    {'out_indices': (5,)},
    {'out_indices': ()},
    {'out_indices': ALL_LEVELS, 'in_chans': 1},
    {'out_indices': ALL_LEVELS, 'output_stride': 16},
    {'out_indices': ALL_LEVELS, 'output_stride': 8},
    {'out_indices': ALL_LEVELS, 'output_stride': 64},
    {'out_indices': ALL_LEVELS, 'drop_path_rate': 0.5},
    {'out_indices': ALL_LEVELS, 'num_classes': 3, 'global_pool': 'max'},
    {'out_indices': ALL_LEVELS, 'dtype': torch.float64},
    {'out_indices': ALL_LEVELS, 'device': 'cpu'},
    {'out_indices': ALL_LEVELS, 'feature_location': 'expansion'},
    {'out_indices': ALL_LEVELS, 'feature_location': 'nowhere'},
    {'out_indices': ALL_LEVELS, 'act_layer': 'relu', 'bn_eps': 1e-2, 'bn_momentum': 0.03},
    {'out_indices': ALL_LEVELS, 'pad_type': 'same'},
    {'out_indices': ALL_LEVELS, 'depth_multiplier': 1.2},
    {'out_indices': ALL_LEVELS, 'group_size': 8},
    {'out_indices': (1, 3), 'feature_cls': 'list'},
    {'out_indices': (1, 3), 'feature_cls': 'dict'},
    {'out_indices': (1, 3), 'feature_cls': 'getter'},
    {'out_indices': (1, 3), 'feature_cls': 'hook'},
    {'out_indices': (1, 3), 'feature_cls': 'fx'},
    {'out_indices': (1, 3), 'feature_cls': 'nonsense'},
    {'feature_cfg': {'out_indices': (0, 4)}},
    {'feature_cfg': {'out_indices': (0, 4), 'feature_cls': 'getter'}},
    {'feature_cfg': {'out_indices': (0, 4), 'nonsense': 1}},
    {'out_indices': (2,), 'feature_cfg': {'out_indices': (0, 4)}},
    {'out_indices': (2,), 'feature_cfg': {}, 'output_stride': 16},
    {'nonsense': 1},
    {'channel_multiplier': 2.0},
    {'stem_size': 32},
    {'pretrained_cfg': 'no_such_tag'},
    {'pretrained_cfg_overlay': {'nonsense': 1}},
    {'pretrained_cfg_overlay': {'input_size': (5, 32, 32)}, 'out_indices': ALL_LEVELS},
]
CLASSIFIER_ARGUMENTS = [
    {},
    {'num_classes': 7},
    {'num_classes': 0},
    {'num_classes': 7, 'in_chans': 4, 'drop_rate': 0.5, 'drop_path_rate': 0.5},
    {'num_classes': 0, 'global_pool': ''},
    {'global_pool': 'catavgmax'},
    {'global_pool': 'nonsense'},
    {'dtype': torch.float64},
    {'depth_multiplier': 1.2},
    {'out_indices': (1, 2)},
    {'output_stride': 16},
    {'nonsense': 1},
    {'pretrained_cfg_overlay': {'num_classes': 5, 'crop_pct': 0.5}},
    {'pretrained_cfg_overlay': {'hf_hub_id': None, 'url': None}, 'pretrained': True},
    {'pretrained': True, 'pretrained_cfg_overlay': {'file': 'no/such/file.safetensors'}},
]


def attempt(name: str, arguments: dict) -> nn.Module | Exception:
    copied = {key: dict(value) if isinstance(value, dict) else value for key, value in arguments.items()}
    try:
        return timm.create_model(name, **copied)
    except Exception as error:  # whatever timm raises is what is compared
        return error


def same_words(text: str) -> str:
    """An error's text without what may differ: model names and the names of functions."""
    text = re.sub(r'mbv3_yolo_small|mobilenetv3_small_100', 'MODEL', text)
    return re.sub(r'[\w.]+\(\)', 'function()', text)


def compare(arguments: dict) -> None:
    ours, theirs = attempt('mbv3_yolo_small', arguments), attempt('mobilenetv3_small_100', arguments)
    if isinstance(theirs, Exception):
        assert type(ours) is type(theirs), ours
        assert same_words(str(ours)) == same_words(str(theirs))
        return
    assert isinstance(ours, nn.Module), ours
    assert type(ours) is type(theirs)
    ours.load_state_dict(randomise_norms(theirs).state_dict())
    assert repr(ours) == repr(theirs)  # eps, momentum, padding, dilation and drop path stand in it
    ours_cfg, theirs_cfg = (
        {k: v for k, v in model.pretrained_cfg.items() if k not in ('url', 'architecture', 'tag', 'hf_hub_id')}
        for model in (ours, theirs)
    )
    # timm leaves the .pth address in; apart from it and the names the records are the same.
    assert ours_cfg == theirs_cfg
    if arguments.get('features_only'):
        assert ours.feature_info.channels() == theirs.feature_info.channels()
        assert ours.feature_info.reduction() == theirs.feature_info.reduction()
    images = torch.rand(2, theirs.in_chans, 75, 101, dtype=arguments.get('dtype', torch.float32))
    for train in (False, True):  # in train mode with the same seed dropout and drop path show
        outputs = []
        for model in (ours, theirs):
            torch.manual_seed(1)
            with torch.no_grad():
                outputs.append(model.train(train)(images))
        assert_same(*outputs)


@pytest.mark.parametrize('arguments', FEATURE_ARGUMENTS, ids=str)
def test_features_take_arguments_as_timm_does(arguments: dict) -> None:
    compare({'features_only': True, **arguments})


@pytest.mark.parametrize('arguments', CLASSIFIER_ARGUMENTS, ids=str)
def test_classifier_takes_arguments_as_timm_does(arguments: dict) -> None:
    compare(arguments)


@pytest.mark.parametrize(
    'arguments',
    [{}, {'feature_cls': 'getter'}, {'feature_cls': 'hook'}, {'feature_cfg': {'feature_cls': 'getter'}}],
    ids=str,
)
def test_four_levels_by_default_with_every_feature_class(arguments: dict) -> None:
    model = attempt('mbv3_yolo', {'features_only': True, **arguments})
    assert model.feature_info.reduction() == [4, 8, 16, 32]
    assert len(model.eval()(torch.rand(1, 3, 64, 64))) == 4


def test_a_model_on_the_meta_device_has_no_data() -> None:
    model = timm.create_model('mbv3_yolo', features_only=True, device='meta')
    assert {parameter.device.type for parameter in model.parameters()} == {'meta'}


# --- what timm's models can do ------------------------------------------------------------------------------


@torch.no_grad()
def test_forward_intermediates_ends_with_the_feature_maps() -> None:
    for name in ('mbv3_yolo', 'mbv3_yolo_small_exact_se'):
        classifier = randomise_norms(timm.create_model(name)).eval()
        extractor = timm.create_model(name, features_only=True).eval()
        extractor.load_state_dict(classifier.state_dict(), strict=False)
        images = torch.rand(1, 3, 75, 101)
        final, intermediates = classifier.forward_intermediates(images)
        assert [info['reduction'] for info in classifier.feature_info] == [2, 4, 8, 16, 32]
        assert_same(intermediates[1:], extractor(images))
        assert_same(final, intermediates[-1])


@torch.no_grad()
def test_reset_classifier() -> None:
    model = timm.create_model('mbv3_yolo_small').eval()
    images = torch.rand(2, 3, 64, 64)
    model.reset_classifier(5)
    assert model(images).shape == (2, 5)
    model.reset_classifier(0)
    assert model(images).shape == (2, 1024)


@pytest.mark.parametrize('features_only', [False, True])
def test_grad_checkpointing_gives_the_same_gradients(features_only: bool) -> None:
    model = timm.create_model('mbv3_yolo_small', features_only=features_only).eval()
    images = torch.rand(1, 3, 64, 64)
    gradients = []
    for enable in (False, True):
        model.set_grad_checkpointing(enable)
        assert model.grad_checkpointing is enable
        model.zero_grad()
        sum(output.sum() for output in tensors(model(images))).backward()
        gradients.append([parameter.grad.clone() for parameter in model.parameters()])
    # Not bit-equal: with several threads the order of a backward pass's sums is not fixed.
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize('name', ['mbv3_yolo_small', 'mbv3_yolo_small_minimal'])
@torch.no_grad()
def test_torchscript(name: str) -> None:
    model = randomise_norms(timm.create_model(name, features_only=True)).eval()
    scripted = torch.jit.script(model)
    for size in ((64, 96), (75, 101)):
        images = torch.rand(1, 3, *size)
        for output, expected in zip(scripted(images), model(images), strict=True):
            torch.testing.assert_close(output, expected)


# --- the registry -------------------------------------------------------------------------------------------


def test_names_and_tags() -> None:
    assert sorted(timm.list_models('mbv3*')) == sorted(ALL_NAMES)
    assert timm.list_models(module='mbv3') == timm.list_models('mbv3*')
    assert sorted(timm.list_pretrained('mbv3*')) == sorted(WEIGHTS)
    assert all(timm.is_model(name) for name in (*ALL_NAMES, *WEIGHTS))
    assert not timm.is_model('mbv3_yolo_huge')
    for name in ALL_NAMES:
        assert timm.create_model(name, device='meta').pretrained_cfg['architecture'] == name


@pytest.mark.parametrize(('ours', 'theirs'), WEIGHTS.items())
def test_records_are_timms(ours: str, theirs: str) -> None:
    name, tag = ours.split('.')
    expected = asdict(timm.get_pretrained_cfg(theirs))
    assert expected['hf_hub_id'] == f'timm/{theirs}'
    expected.update(url=None, architecture=name, tag=tag)
    assert asdict(timm.get_pretrained_cfg(ours)) == expected


def test_records_by_value() -> None:
    """A few written out: what a wrong record would break is the normalisation, silently."""
    cfg = timm.get_pretrained_cfg('mbv3_yolo')
    assert cfg.hf_hub_id == 'timm/mobilenetv3_large_100.ra4_e3600_r224_in1k'
    assert (cfg.mean, cfg.std, cfg.crop_pct, cfg.interpolation) == ((0.5,) * 3, (0.5,) * 3, 0.95, 'bicubic')
    cfg = timm.get_pretrained_cfg('mbv3_yolo_large.miil_in21k')
    assert (cfg.mean, cfg.std, cfg.num_classes) == ((0.0,) * 3, (1.0,) * 3, 11221)
    assert cfg.origin_url == 'https://github.com/Alibaba-MIIL/ImageNet21K'
    assert cfg.paper_ids == 'arXiv:2104.10972v4'
    cfg = timm.get_pretrained_cfg('mbv3_yolo_small')
    assert cfg.tag == 'lamb_in1k' and cfg.license == 'apache-2.0'
    assert (cfg.mean, cfg.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@pytest.mark.parametrize('name', EXACT_SE)
def test_exact_se_has_no_weights(name: str) -> None:
    assert timm.get_pretrained_cfg(name).tag == 'untrained'
    for features_only in (False, True):
        with pytest.raises(RuntimeError, match=f'No pretrained weights exist for {name}'):
            timm.create_model(name, pretrained=True, features_only=features_only)


def test_wrong_tag() -> None:
    with pytest.raises(RuntimeError, match='Invalid pretrained tag'):
        timm.create_model('mbv3_yolo.lamb_in1k')


def test_import_adds_three_modules_to_timm_and_loads_nothing_else() -> None:
    # A package of the same name without the root __init__, so that only the backbones are imported.
    code = f"""
import json, sys, types, warnings
import timm

def registry():
    return {{module: timm.list_models(module=module, include_tags=True) for module in timm.list_modules()}}

package = types.ModuleType('mbv3zoo')
package.__path__ = [{str(REPOSITORY_ROOT / 'mbv3zoo')!r}]
sys.modules['mbv3zoo'] = package
before, pretrained, loaded = registry(), timm.list_pretrained(), set(sys.modules)
warnings.simplefilter('error')
import mbv3zoo.backbones
after = registry()
print(json.dumps({{
    'ours': after.pop('mbv3'),
    'yolov5': after.pop('cspdarknet'),
    'narrowed': after.pop('narrowed'),
    'timm_unchanged': after == before,
    'pretrained_lost': sorted(set(pretrained) - set(timm.list_pretrained())),
    'loaded': sorted(set(sys.modules) - loaded),
}}))
"""
    report = json.loads(run_code(code).stdout)
    assert sorted(report['ours']) == sorted([*WEIGHTS, *(f'{name}.untrained' for name in EXACT_SE)])
    assert report['timm_unchanged']
    assert report['pretrained_lost'] == []
    assert sorted(report['yolov5']) == [f'cspdarknet_v6_{size}.untrained' for size in 'lmnsx']
    assert report['narrowed'] == ['narrowed.untrained']
    rooms = ['', '.cspdarknet', '.mbv3', '.narrowed', '.timm_private']
    ours = [*(f'backbones{name}' for name in rooms), 'config', 'config.scaling', 'widths']
    assert report['loaded'] == [f'mbv3zoo.{name}' for name in ours]


# --- weights ------------------------------------------------------------------------------------------------


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[nn.Module], None]:
    """Serve one model's weights to whatever timm asks the Hub for."""

    def serve(model: nn.Module) -> None:
        save_file(model.state_dict(), tmp_path / 'model.safetensors')
        monkeypatch.setattr(timm_hub, 'hf_hub_download', lambda **_: str(tmp_path / 'model.safetensors'))

    return serve


@pytest.mark.parametrize(('name', 'timm_name'), WEIGHTS.items())
def test_pretrained_asks_the_hub_for_timms_weights(monkeypatch: pytest.MonkeyPatch, name: str, timm_name: str) -> None:
    def download(repo_id: str, filename: str, revision: str | None, cache_dir: str) -> str:
        raise ConnectionError(repo_id, filename, revision, cache_dir)

    monkeypatch.setattr(timm_hub, 'hf_hub_download', download)
    with pytest.raises(ConnectionError) as raised:
        timm.create_model(name, pretrained=True, cache_dir='somewhere', features_only=True)
    assert raised.value.args == (f'timm/{timm_name}', 'model.safetensors', None, 'somewhere')


@pytest.mark.parametrize(('name', 'timm_name'), COUNTERPARTS.items())
@torch.no_grad()
def test_pretrained_loads_what_the_hub_serves(hub: Callable, name: str, timm_name: str) -> None:
    theirs = randomise_norms(timm.create_model(timm_name)).eval()
    hub(theirs)
    images = torch.rand(1, 3, 64, 64)
    assert_same(timm.create_model(name, pretrained=True).eval()(images), theirs(images))
    _, expected = theirs.forward_intermediates(images, indices=4)
    assert_same(timm.create_model(name, pretrained=True, features_only=True).eval()(images), expected)


@pytest.mark.parametrize('name', ['mbv3_yolo', 'mbv3_yolo_large_075', 'mbv3_yolo_small_minimal'])
@torch.no_grad()
def test_pretrained_adapts_channels_and_classes(hub: Callable, name: str) -> None:
    hub(randomise_norms(timm.create_model(COUNTERPARTS[name])))
    for in_chans in (1, 4):
        images = torch.rand(1, in_chans, 33, 65)
        arguments = {'pretrained': True, 'in_chans': in_chans}
        ours, theirs = (timm.create_model(n, num_classes=7, **arguments).eval() for n in (name, COUNTERPARTS[name]))
        assert ours(images).shape == (1, 7)
        assert_same(ours.forward_features(images), theirs.forward_features(images))
        ours = timm.create_model(name, features_only=True, **arguments).eval()
        assert_same(ours(images)[-1], theirs.forward_features(images))


@torch.no_grad()
def test_weights_from_a_file_and_a_folder(tmp_path: Path) -> None:
    source = randomise_norms(timm.create_model('mobilenetv3_large_100', num_classes=3)).eval()
    images = torch.rand(1, 3, 64, 64)
    save_file(source.state_dict(), tmp_path / 'weights.safetensors')
    overlay = {'file': str(tmp_path / 'weights.safetensors'), 'num_classes': 3}
    from_file = timm.create_model('mbv3_yolo', pretrained=True, pretrained_cfg_overlay=overlay).eval()
    assert_same(from_file(images), source(images))

    timm_hub.save_for_hf(from_file, tmp_path / 'folder', safe_serialization=True)
    from_folder = timm.create_model(f'local-dir:{tmp_path / "folder"}', pretrained=True, features_only=True).eval()
    assert from_folder.feature_info.reduction() == [4, 8, 16, 32]
    assert_same(from_folder(images)[-1], source.forward_features(images))


@pytest.mark.parametrize(('ours', 'timms'), [('mbv3_yolo_large', 'large'), ('mbv3_yolo_small', 'small')])
def test_without_the_last_expansion_the_maps_are_those_before_it(ours, timms, tmp_path):
    torch.manual_seed(0)
    whole = timm.create_model(f'mobilenetv3_{timms}_100').eval()
    save_file(whole.state_dict(), tmp_path / 'whole.safetensors')
    overlay = {'file': str(tmp_path / 'whole.safetensors')}
    model = timm.create_model(
        ours, features_only=True, last_expansion=False, pretrained=True, pretrained_cfg_overlay=overlay
    ).eval()
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        x = whole.bn1(whole.conv_stem(images))
        for stage in whole.blocks[:-1]:
            x = stage(x)
        assert torch.allclose(model(images)[-1], x, atol=1e-6)
    assert model.feature_info.channels()[-1] == x.shape[1] == {'large': 160, 'small': 96}[timms]
