import copy

import pytest
import timm
import torch

import mbv3zoo
from mbv3zoo.widths.named import groups_of, set_widths


@pytest.fixture(scope='module')
def small():
    torch.manual_seed(0)
    return timm.create_model('mbv3_yolo_small')


def test_groups_are_found_without_a_change_of_the_network(small):
    network = copy.deepcopy(small).train()
    calls = []
    network.conv_stem.register_forward_hook(lambda *_: calls.append(1))
    before = copy.deepcopy(network.state_dict())
    groups = groups_of(network, 3)
    assert len(groups) > 20 and network.training and network.conv_stem.weight.device.type == 'cpu'
    # The statistics of norms too: nothing ran but a copy, which has no numbers.
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert [group.name for group in groups] == [group.name for group in groups_of(network, 3)]


@pytest.mark.parametrize('in_chans', [1, 4])
def test_images_may_have_other_channels(in_chans):
    network = timm.create_model('mbv3_yolo_small', in_chans=in_chans)
    assert groups_of(network, in_chans)[0].name == 'conv_stem'


def test_outputs_keep_their_channels_unless_they_need_not():
    network = timm.create_model('mbv3_yolo_small', features_only=True, out_indices=(1, 2))
    assert 'blocks.1.0.conv_pwl' not in {group.name for group in groups_of(network, 3)}
    assert 'blocks.1.0.conv_pwl' in {group.name for group in groups_of(network, 3, outputs_stay=False)}


def test_larger_images_may_be_asked_for():
    detector = mbv3zoo.create_detector('mbv3_yolo_small', num_classes=4, image_size=64)
    assert [g.name for g in groups_of(detector, 3, side=128)] == [g.name for g in groups_of(detector, 3)]


def test_the_first_channels_are_kept_and_other_layers_follow(small):
    network = copy.deepcopy(small)
    before = copy.deepcopy(network.state_dict())
    set_widths(network, groups_of(network, 3), {'blocks.1.0.conv_pwl': 16, 'conv_head': 1024})
    after = network.state_dict()
    assert torch.equal(after['blocks.1.0.conv_pwl.weight'], before['blocks.1.0.conv_pwl.weight'][:16])
    assert torch.equal(after['blocks.1.0.bn3.running_var'], before['blocks.1.0.bn3.running_var'][:16])
    assert torch.equal(after['blocks.1.1.conv_pw.weight'], before['blocks.1.1.conv_pw.weight'][:, :16])
    # The sum with the block before has the same channels.
    assert torch.equal(after['blocks.1.1.conv_pwl.weight'], before['blocks.1.1.conv_pwl.weight'][:16])
    changed = {name.rpartition('.')[0] for name in before if after[name].shape != before[name].shape}
    assert changed == {
        'blocks.1.0.conv_pwl', 'blocks.1.0.bn3', 'blocks.1.1.conv_pw', 'blocks.1.1.conv_pwl', 'blocks.1.1.bn3',
        'blocks.2.0.conv_pw',
    }  # fmt: skip


@pytest.mark.parametrize(
    ('widths', 'message'),
    [
        (
            {'blocks.1.0.conv_pw1': 8},
            "'blocks.1.0.conv_pw1' has no width of its own; did you mean .*blocks.1.0.conv_pw",
        ),
        # Its channels are those of the layer before, as it is depthwise.
        ({'blocks.1.0.conv_dw': 8}, "'blocks.1.0.conv_dw' has no width of its own"),
        ({'blocks.1.0.conv_pw': 0}, "'blocks.1.0.conv_pw' is 0; expected 1 to 72 channels$"),
        ({'blocks.1.0.conv_pw': -1}, "'blocks.1.0.conv_pw' is -1; expected 1 to 72 channels$"),
        ({'blocks.1.0.conv_pw': 73}, "'blocks.1.0.conv_pw' is 73; expected 1 to 72 channels$"),
        ({'blocks.1.0.conv_pw': 8.5}, "'blocks.1.0.conv_pw' is 8.5; expected 1 to 72 channels$"),
    ],
)
def test_widths_that_there_are_not_are_refused(small, widths, message):
    network = copy.deepcopy(small)
    with pytest.raises(ValueError, match=f'^widths: {message}'):
        set_widths(network, groups_of(network, 3), {'conv_stem': 8} | widths)
    # Nor is anything else done.
    assert network.conv_stem.out_channels == 16


def test_widths_of_grouped_convolutions_are_multiples_of_a_group():
    network = timm.create_model('regnety_002')
    groups = groups_of(network, 3)
    for width in (12, 32, 0):
        with pytest.raises(
            ValueError, match=f"'s1.b1.conv1.conv' is {width}; expected 16 to 24 channels, a multiple of 8"
        ):
            set_widths(network, groups, {'s1.b1.conv1.conv': width})
    set_widths(network, groups, {'s1.b1.conv1.conv': 16})
    block = network.s1.b1
    assert (block.conv1.conv.out_channels, block.conv2.conv.groups, block.conv3.conv.in_channels) == (16, 2, 16)
    assert network.eval()(torch.rand(1, 3, 64, 64)).shape == (1, 1000)
