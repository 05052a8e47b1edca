import pytest

from mbv3zoo.config.backbone_args import check_backbone_args


@pytest.mark.parametrize(
    'args',
    [
        {},
        {'drop_path_rate': 0.1, 'act_layer': 'silu', 'img_size': [224, 320], 'strict': None, 'flag': True},
        {'depth': 512, 'embed_dim': 16384, 'num_layers': (2, 512), 'offset': -16384},
    ],
)
def test_what_shapes_a_network_may_be_set(args):
    check_backbone_args(args, 'a.yaml')


@pytest.mark.parametrize(
    'name',
    ['checkpoint_path', 'cache_dir', 'pretrained', 'pretrained_cfg', 'pretrained_cfg_overlay', 'features_only']
    + ['out_indices', 'feature_cls', 'device', 'dtype', 'in_chans', 'name', 'image_size', 'map_strides'],
)
def test_what_reads_files_or_is_the_callers_may_not(name):
    with pytest.raises(ValueError, match=f'^a.yaml sets {name} for the backbone, which a config file may not set'):
        check_backbone_args({'drop_path_rate': 0.1, name: 1}, 'a.yaml')


def test_all_that_may_not_be_set_are_named():
    with pytest.raises(ValueError, match='sets device, name for the backbone'):
        check_backbone_args({'name': 'a', 'depth': 10**6, 'device': 'cpu'}, 'a.yaml')


@pytest.mark.parametrize(
    ('args', 'most'),
    [
        ({'depth': 513}, 512),
        ({'depths': [2, 2, 1000]}, 512),
        ({'num_layers': -513}, 512),
        ({'embed_dim': 16385}, 16384),
        ({'embed_dims': (1, 10**9)}, 16384),
        ({'mlp_ratio': float('inf')}, 16384),
        ({'mlp_ratio': float('nan')}, 16384),
    ],
)
def test_numbers_far_beyond_any_model(args, most):
    with pytest.raises(ValueError, match=rf'sets {next(iter(args))}=.* for the backbone, expected at most {most}$'):
        check_backbone_args(args, 'a.yaml')
