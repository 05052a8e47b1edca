import pytest
import torch

from mbv3zoo.config.detector import DetectorConfig
from mbv3zoo.models.network import DetectorNetwork
from mbv3zoo.models.stored import read_network
from mbv3zoo.models.weights import (
    SavedWeights,
    check_finite,
    check_size,
    load_saved,
    load_weights,
    stock_weights,
)

CONFIG = DetectorConfig(backbone='test_resnet', class_names=['cat', 'dog'], image_size=64)


@pytest.fixture(scope='module')
def trained():
    return DetectorNetwork(CONFIG)


def test_weights_are_read_by_timms_names_and_loaded_again(trained):
    saved = read_network(trained).weights
    assert set(stock_weights(trained)) <= saved.backbone.keys()
    assert not any(name.startswith('backbone.') for name in saved.head)
    network = DetectorNetwork(CONFIG)
    load_saved(network, saved, CONFIG.class_names, 'here')
    state = network.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in trained.state_dict().items())
    half = read_network(trained, torch.float16).weights
    assert {tensor.dtype for tensor in half.head.values()} <= {torch.float16, torch.int64}


def test_other_classes_keep_those_of_the_same_name_and_the_log_says_which(trained, caplog):
    network = DetectorNetwork(CONFIG.model_copy(update={'class_names': ('dog', 'owl', 'cat'), 'num_classes': 3}))
    load_saved(network, read_network(trained).weights, CONFIG.class_names, 'here')
    before, after = (n.head.convs[0].bias.detach().view(3, -1) for n in (trained, network))
    assert torch.equal(after[:, [0, 1, 2, 3, 4, 7, 5]], before)
    assert caplog.messages == ['here: kept all but the classes; of these 1 start anew: owl']


def test_what_does_not_fit_is_named_and_nothing_is_loaded(trained):
    state = dict(trained.state_dict())
    before = {name: tensor.clone() for name, tensor in state.items()}
    wrong = {name: tensor + 1 for name, tensor in state.items() if name != 'head.convs.0.bias'} | {
        'extra': torch.zeros(1)
    }
    with pytest.raises(ValueError, match='here: .*head.convs.0.bias is missing; extra is unknown'):
        load_weights(trained, wrong, 'here')
    assert all(torch.equal(tensor, before[name]) for name, tensor in trained.state_dict().items())


def test_a_config_far_larger_than_its_weights_is_refused_unbuilt(trained):
    check_size(CONFIG, SavedWeights({}, {}), 'here')
    wide = CONFIG.model_copy(update={'neck': 'light'})
    check_size(wide, read_network(trained).weights, 'here')
    with pytest.raises(ValueError, match='here: the weights do not fit: .* and 0 are stored'):
        check_size(wide, SavedWeights({}, {}), 'here')


@pytest.mark.parametrize(
    ('name', 'value', 'fault'),
    [
        ('head.convs.0.weight', float('nan'), True),
        ('backbone.model.bn1.running_var', float('inf'), True),
        ('bounds', float('inf'), False),
        ('bounds', float('nan'), True),
    ],
)
def test_weights_must_be_finite_and_buffers_that_bound_something_no_nan(name, value, fault):
    network = DetectorNetwork(CONFIG)
    # timm's Gemma 4 has bounds of a range, which may be infinite.
    network.register_buffer('bounds', torch.zeros(1))
    with torch.no_grad():
        network.state_dict()[name].view(-1)[0] = value
    if fault:
        with pytest.raises(ValueError, match=rf'here: NaN or infinity in 1 tensor of the weights, {name} \(float32'):
            check_finite(network, 'here')
    else:
        check_finite(network, 'here')


@pytest.mark.parametrize('dtype', [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e5m2])
def test_one_value_anywhere_is_found_in_any_precision(trained, dtype):
    for size in (0, 1, 17, 200):
        whole = torch.ones(size).to(dtype)
        check_finite(trained, 'here', {'a': whole})
        for place in {0, size // 2, size - 1} if size else ():
            for value in (torch.nan, torch.inf, -torch.inf):
                wrong = torch.ones(size)
                wrong[place] = value
                with pytest.raises(ValueError, match='here: NaN or infinity in 1 tensor of the weights, b'):
                    check_finite(trained, 'here', {'a': whole, 'b': wrong.to(dtype)})


def test_types_of_tensors_are_checked_before_they_are_loaded(trained):
    state = dict(trained.state_dict())
    for tensor, kind in ((torch.ones(21), 'complex64'), (torch.ones(21), 'int64')):
        wrong = state | {'head.convs.0.bias': tensor.to(getattr(torch, kind))}
        with pytest.raises(ValueError, match=f'head.convs.0.bias is of type {kind}, expected float32'):
            load_weights(trained, wrong, 'here')
