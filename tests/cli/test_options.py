import pytest

from mbv3zoo.cli.options import given, parse_settings


def test_settings_are_yaml_scalars():
    assert parse_settings(['mosaic=0.3', 'epochs = 2', 'freeze_norm=true', 'patience=null', 'tracker=a=b']) == {
        'mosaic': 0.3, 'epochs': 2, 'freeze_norm': True, 'patience': None, 'tracker': 'a=b',
    }  # fmt: skip
    assert parse_settings([]) == {}
    with pytest.raises(ValueError, match='--set mosaic: expected name=value'):
        parse_settings(['mosaic'])


def test_what_was_not_given_is_left_to_the_settings():
    assert given(seed=0, workers=None, cache='no') == {'seed': 0, 'cache': 'no'}
