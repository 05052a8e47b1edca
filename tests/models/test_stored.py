"""One rule: what is saved comes back with the same numbers and the same logits, or nothing is written."""

import copy
import json

import pytest
import timm
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune, spectral_norm, weight_norm

import mbv3zoo
from mbv3zoo.models import stored, structure
from mbv3zoo.models.stored import read_network

IMAGES = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope='module')
def built():
    detector = mbv3zoo.create_detector('mbv3_yolo_small_050', num_classes=2, image_size=64).eval()
    generator = torch.Generator().manual_seed(1)
    for module in detector.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1, generator=generator)
            module.running_var.uniform_(0.5, 1.5, generator=generator)
    return detector


@pytest.fixture
def detector(built):
    return copy.deepcopy(built)


@pytest.fixture(scope='module')
def good(built, tmp_path_factory):
    """A folder with a save that is to stay where another one is refused."""
    return built.save_pretrained(tmp_path_factory.mktemp('good') / 'saved')


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def logits(detector):
    with torch.no_grad():
        return detector.eval()(IMAGES.to(detector.mean))


def neck_conv(detector):
    return next(module for module in detector.neck.modules() if isinstance(module, nn.Conv2d))


def replace_config(detector, **fields):
    detector.config = detector.config.model_copy(update=fields)


def two_alike(detector):
    """Two convolutions of the neck whose weights have one shape."""
    convs = [module for module in detector.neck.modules() if isinstance(module, nn.Conv2d)]
    return next((a, b) for a in convs for b in convs if a is not b and a.weight.shape == b.weight.shape)


# What is saved


def nothing(detector):
    pass


def train_a_step(detector):
    detector.train()(IMAGES)[0].mean().backward()
    torch.optim.SGD(detector.parameters(), 0.1).step()


def prune_for_good(detector):
    prune.l1_unstructured(neck_conv(detector), 'weight', 0.5)
    prune.remove(neck_conv(detector), 'weight')


def synchronise_norms(detector):
    detector.backbone = timm.layers.convert_sync_batchnorm(detector.backbone)


def freeze_and_thaw_norms(detector):
    detector.backbone = timm.layers.unfreeze_batch_norm_2d(timm.layers.freeze_batch_norm_2d(detector.backbone))


def tie_weights(detector):
    one, other = two_alike(detector)
    one.weight = other.weight


def share_memory(detector):
    one, other = two_alike(detector)
    one.weight.data = other.weight.data


def views_of_one_tensor(detector):
    norms = [module for module in detector.modules() if isinstance(module, nn.BatchNorm2d)]
    parts = torch.cat([norm.running_var for norm in norms]).split([norm.num_features for norm in norms])
    for norm, part in zip(norms, parts, strict=True):
        norm.running_var = part


def half(detector):
    detector.half()


def bfloat16(detector):
    detector.bfloat16()


def double_with_more_digits(detector):
    detector.double()
    for parameter in detector.parameters():
        parameter.data += torch.rand_like(parameter) * 1e-12


def half_and_back(detector):
    detector.half().float()


def to_empty_and_loaded(detector):
    state = copy.deepcopy(detector.state_dict())
    detector.to_empty(device='cpu')
    detector.load_state_dict(state)


def rename_classes(detector):
    replace_config(detector, class_names=('cat', 'dog'))


def list_of_classes(detector):
    replace_config(detector, class_names=['cat', 'dog'])


def anchors_anew(detector):
    detector.set_anchors([[[10, 10]] * 3, [[60, 60]] * 3, [[200, 200]] * 3])


def compile_in_place(detector):
    detector.neck.compile(backend='eager')


def look_on(detector):
    detector.neck.register_forward_hook(lambda module, args, output: None)


SAVED = [
    nothing, train_a_step, prune_for_good, synchronise_norms, freeze_and_thaw_norms, tie_weights, share_memory,
    views_of_one_tensor, half, bfloat16, double_with_more_digits, half_and_back, to_empty_and_loaded, rename_classes,
    list_of_classes, anchors_anew, pytest.param(compile_in_place, marks=pytest.mark.slow), look_on,
]  # fmt: skip


@pytest.mark.parametrize('change', SAVED, ids=lambda change: change.__name__)
def test_what_is_saved_comes_back_bit_for_bit(detector, tmp_path, change):
    change(detector)
    loaded = mbv3zoo.Detector.from_pretrained(detector.save_pretrained(tmp_path / 'saved'))
    own, state = detector.state_dict(), loaded.state_dict()
    assert own.keys() == state.keys() and all(torch.equal(own[name], state[name]) for name in own)
    assert all(map(torch.equal, logits(loaded), logits(detector)))
    assert loaded.config.class_names == tuple(detector.config.class_names)
    assert loaded.config.anchors == detector.config.anchors


def test_frozen_norms_are_saved_as_the_norms_of_their_numbers(detector, tmp_path):
    expected, state = logits(detector), copy.deepcopy(detector.state_dict())
    for name in ('backbone', 'neck'):
        setattr(detector, name, timm.layers.freeze_batch_norm_2d(getattr(detector, name)))
    loaded = mbv3zoo.Detector.from_pretrained(detector.save_pretrained(tmp_path / 'saved'))
    for name, tensor in loaded.state_dict().items():
        assert torch.equal(tensor, torch.zeros_like(tensor) if name.endswith('tracked') else state[name])
    assert all(map(torch.equal, logits(loaded), expected))


def test_the_type_in_memory_is_kept_whatever_the_files_are_stored_in(detector, tmp_path):
    folder = detector.bfloat16().save_pretrained(tmp_path / 'saved', dtype='float32')
    config = json.loads((folder / 'config.json').read_text(encoding='utf-8'))
    assert config['dtype'] == 'bfloat16'
    loaded = mbv3zoo.load(folder)
    assert {tensor.dtype for tensor in loaded.state_dict().values()} == {torch.bfloat16, torch.int64}
    assert all(map(torch.equal, logits(loaded), logits(detector)))
    # Training, and whatever else is built from it, has float32 unless told otherwise.
    assert mbv3zoo.create_detector(folder, pretrained=True).mean.dtype == torch.float32
    config['dtype'] = 'int8'
    (folder / 'config.json').write_text(json.dumps(config), encoding='utf-8')
    with pytest.raises(ValueError, match=r"dtype in config\.json must be one of float16, .*given 'int8'"):
        mbv3zoo.load(folder)


# What is not


class LowRank(nn.Module):
    def __init__(self, base):
        super().__init__()
        self.base, self.down = base, nn.Conv2d(base.in_channels, 2, 1)
        self.up = nn.Conv2d(2, base.out_channels, 1)

    def forward(self, x):
        return self.base(x) + self.up(self.down(x))


def prune_a_layer(detector):
    prune.l1_unstructured(neck_conv(detector), 'weight', 0.5)


def norm_weights(detector):
    weight_norm(neck_conv(detector))


def norm_the_spectrum(detector):
    spectral_norm(neck_conv(detector))


def parametrize(detector):
    parametrizations.orthogonal(neck_conv(detector))


def low_rank_adaptation(detector):
    name = next(name for name, module in detector.named_modules() if module is neck_conv(detector))
    detector.set_submodule(name, LowRank(neck_conv(detector)))


def swap_an_activation(detector):
    detector.set_submodule(next(n for n, m in detector.named_modules() if isinstance(m, nn.SiLU)), nn.GELU())


def trace_a_part(detector):
    detector.neck = torch.fx.symbolic_trace(detector.neck)


def data_parallel(detector):
    detector.neck = nn.DataParallel(detector.neck)


def share_a_layer(detector):
    one, other = two_alike(detector)
    detector.set_submodule(next(name for name, module in detector.named_modules() if module is one), other)


def add_a_buffer(detector):
    detector.register_buffer('extra', torch.ones(3))


def drop_a_bias(detector):
    del detector.head.convs[0].bias


def change_what_goes_out(detector):
    detector.neck.register_forward_hook(lambda module, args, output: [x * 2 for x in output])


def change_what_goes_in(detector):
    neck_conv(detector).register_forward_pre_hook(lambda module, args: (args[0] + 0.1,))


def halve_a_part(detector):
    detector.backbone.half()


def doubled_layer(detector):
    detector.head.convs[0].double()


def layer_of_8_bits(detector):
    detector.to(torch.float8_e4m3fn)


def sparse_weight(detector):
    detector.head.convs[0].weight = nn.Parameter(detector.head.convs[0].weight.detach().to_sparse())


def complex_weight(detector):
    detector.head.convs[0].weight = nn.Parameter(detector.head.convs[0].weight.detach().to(torch.complex64))


def whole_numbers(detector):
    detector.head.convs[0].bias = nn.Parameter(torch.zeros(21, dtype=torch.int64), requires_grad=False)


def count_of_batches_with_fractions(detector):
    detector.backbone.model.bn1.num_batches_tracked = torch.tensor(5.5)


def mean_in_place(detector):
    detector.mean.fill_(0.1)


def infinite_weight(detector):
    detector.head.convs[0].bias.data[0] = torch.inf


def no_config(detector):
    detector.config = None


def config_as_mapping(detector):
    detector.config = detector.config.model_dump()


def same_name_twice(detector):
    replace_config(detector, class_names=('cat', 'cat'))


def one_name_more(detector):
    replace_config(detector, class_names=('cat', 'dog', 'owl'))


def three_classes(detector):
    replace_config(detector, class_names=('cat', 'dog', 'owl'), num_classes=3)


def odd_size(detector):
    replace_config(detector, image_size=(65, 64))


def other_backbone(detector):
    replace_config(detector, backbone='test_resnet')


def class_in_the_config(detector):
    replace_config(detector, backbone_args={'norm_layer': nn.BatchNorm2d})


def file_in_the_config(detector):
    replace_config(detector, backbone_args={'checkpoint_path': 'a.pth'})


def argument_in_place(detector):
    detector.config.backbone_args['act_layer'] = 'gelu'


def no_mean(detector):
    replace_config(detector, mean=None)


def other_activation(detector):
    replace_config(detector, activation='relu')


REFUSED = {
    prune_a_layer: 'has weight_orig',
    norm_weights: 'has weight_g',
    norm_the_spectrum: 'has weight_orig',
    parametrize: 'is ParametrizedConv2d',
    low_rank_adaptation: 'is LowRank, expected Conv2d',
    swap_an_activation: 'is GELU, expected SiLU',
    trace_a_part: 'neck is torch.fx.graph_module',
    data_parallel: 'neck is DataParallel',
    share_a_layer: 'is missing',
    add_a_buffer: 'it has extra',
    drop_a_bias: 'has bias missing',
    change_what_goes_out: 'a forward hook changes what it gives',
    change_what_goes_in: 'a forward hook changes what it gives',
    halve_a_part: 'its floating point tensors are of float16, float32',
    doubled_layer: 'its floating point tensors are of float32, float64',
    layer_of_8_bits: 'its floating point tensors are of float8_e4m3fn, expected one of .*float16',
    sparse_weight: r'head\.convs\.0\.weight is not dense',
    complex_weight: r'head\.convs\.0\.weight is of type complex64, expected float32',
    whole_numbers: r'head\.convs\.0\.bias is of type int64, expected float32',
    count_of_batches_with_fractions: 'num_batches_tracked is of type float32, expected int64',
    mean_in_place: "the buffer 'mean'",
    infinite_weight: 'NaN or infinity in 1 tensor',
    no_config: r'detector\.config is of type NoneType',
    config_as_mapping: r'detector\.config is of type dict',
    same_name_twice: 'class_names must be unique',
    one_name_more: 'num_classes is 2, but class_names has 3 names',
    three_classes: 'expected 8',
    odd_size: 'must be multiples of 32',
    other_backbone: 'is not the one that its config builds',
    class_in_the_config: 'a value that JSON has no form for',
    file_in_the_config: 'sets checkpoint_path for the backbone',
    argument_in_place: 'expected GELU',
    no_mean: r'detector\.config has no mean',
    other_activation: 'is SiLU, expected ReLU',
}


@pytest.mark.parametrize('change', REFUSED, ids=lambda change: change.__name__)
def test_what_would_come_back_as_another_is_refused_before_anything_is_written(detector, good, tmp_path, change):
    before = contents(good)
    change(detector)
    for folder in (good, tmp_path / 'new'):
        with pytest.raises(ValueError, match=REFUSED[change]) as told:
            detector.save_pretrained(folder)
        assert '\n' not in str(told.value)
    with pytest.raises(ValueError, match=REFUSED[change]):
        detector.push_to_hub('org/name', dtype='float16')
    assert contents(good) == before and not (tmp_path / 'new').exists()


@pytest.mark.slow
def test_layers_that_are_one_in_the_config_are_not_saved_apart():
    network = mbv3zoo.create_detector('coat_tiny', num_classes=1, image_size=224)
    assert len(read_network(network).weights.backbone) < len(network.backbone.model.state_dict())
    model = network.backbone.model.model
    model.serial_blocks1[0].cpe = copy.deepcopy(model.cpe1)
    with pytest.raises(ValueError, match='cpe .*, which is not in the config'):
        read_network(network)


def change_an_index(detector):
    index = next(buffer for name, buffer in detector.named_buffers() if name.endswith('attention_bias_idxs'))
    index.add_(1)


@pytest.mark.parametrize(
    ('name', 'change'),
    [
        ('efficientvit_m0', change_an_index),
        pytest.param('swinv2_cr_tiny_ns_224', half_and_back, marks=pytest.mark.slow),
    ],
)
def test_a_buffer_that_is_computed_and_not_saved_is_as_it_is_built(name, change):
    detector = mbv3zoo.create_detector(name, num_classes=1)
    with torch.no_grad():
        detector.eval()(torch.rand(1, 3, *detector.config.image_size))
    read_network(detector)
    change(detector)
    with pytest.raises(ValueError, match='which is computed and not saved, has other numbers than the config gives it'):
        read_network(detector)


@pytest.mark.parametrize('dtype', [torch.int8, 'int8', torch.bool, torch.float8_e4m3fn, torch.complex64, '', 16])
def test_weights_are_stored_in_types_that_hold_them(detector, dtype):
    with pytest.raises(ValueError, match='^dtype must be one of float16, bfloat16, float32, float64'):
        read_network(detector, dtype)


@pytest.mark.parametrize('name', ['backbone.model.bn1.running_var', 'head.convs.0.bias'])
def test_a_number_that_a_type_does_not_reach_is_told_with_its_tensor(detector, name):
    read_network(detector, 'float16')
    with torch.no_grad():
        detector.state_dict()[name][-1] = 70000
    assert read_network(detector, 'bfloat16').weights.head['head.convs.0.bias'].dtype == torch.bfloat16
    with pytest.raises(
        ValueError,
        match=rf'^the detector cannot be saved in float16: NaN or infinity in 1 tensor of the weights, {name} first, '
        'whose largest number is .* where float16 ends at 65504; save in bfloat16',
    ):
        read_network(detector, 'half')


@pytest.mark.parametrize('hooked', [False, True])
@pytest.mark.parametrize('name', ['mbv3_yolo_small_050', 'swin_tiny_patch4_window7_224', 'vit_tiny_patch16_224'])
def test_a_save_draws_no_random_numbers_so_that_what_follows_is_the_same_without_it(name, hooked):
    detector = mbv3zoo.create_detector(name, num_classes=2)
    if hooked:
        detector.register_forward_hook(lambda *args: None)
    # What its config builds may be known from another test.
    for known in (structure._built, structure._built_parts, stored._computed):
        known.cache_clear()
    before = torch.get_rng_state()
    read_network(detector)
    assert torch.equal(torch.get_rng_state(), before)
