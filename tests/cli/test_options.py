import pytest
from program import run

from mbv3zoo.cli.options import given, read_size, with_set


def test_settings_are_yaml_scalars():
    pairs = ['mosaic=0.3', 'epochs = 2', 'freeze_norm=true', 'patience=null', 'tracker=a=b', 'sizes=[1, 2]']
    assert with_set({'seed': 1}, pairs) == {
        'seed': 1, 'mosaic': 0.3, 'epochs': 2, 'freeze_norm': True, 'patience': None, 'tracker': 'a=b', 'sizes': [1, 2],
    }  # fmt: skip
    assert with_set({}, []) == with_set({}, None) == {}


@pytest.mark.parametrize('pair', ['mosaic', '=3', ' = 3', ''])
def test_a_setting_is_a_name_and_a_value(pair):
    with pytest.raises(ValueError, match=f'^--set {pair.strip()}: expected name=value$'):
        with_set({}, [pair])


@pytest.mark.parametrize(
    'value',
    [
        '[0.1', '{a: 1', '"open', '2020-99-99: : x', '!!int x', '!!bool maybe', '!!python/name:os.system', '9' * 5000,
        '&a [*a]', '*b', '[' * 3000, 'a\x00b', '%', '- a\nb', '@x', '`x`', '!!float ten', 'a: b: c', '\t- x',
    ],
    ids=lambda value: ascii(value[:12]),
)  # fmt: skip
def test_a_value_that_yaml_chokes_on_is_one_sentence(value):
    with pytest.raises(ValueError) as caught:
        with_set({}, [f'lr={value}'])
    text = str(caught.value)
    assert text.startswith('--set lr=') and '\n' not in text and len(text) < 200


@pytest.mark.parametrize(('settings', 'pairs'), [({'lr': 0.1}, ['lr=0.2']), ({}, ['lr=0.1', 'lr=0.2'])])
def test_a_setting_that_is_given_twice_is_refused(settings, pairs):
    with pytest.raises(ValueError, match='--set lr=0.2: lr is given twice'):
        with_set(settings, pairs)


def test_what_was_not_given_is_left_to_the_settings():
    assert given(seed=0, workers=None, cache='no') == {'seed': 0, 'cache': 'no'}


@pytest.mark.parametrize('text', ['640,320', '0x32', 'abc', '-64', '0', '64x'])
@pytest.mark.parametrize(
    'command',
    [
        ['predict', 'no-such-model', 'a.jpg', '--image-size'],
        ['val', 'no-such-model', '--data', 'data.yaml', '--image-size'],
        ['export', 'no-such-model', 'a.onnx', '--image-size'],
        ['train', '--data', 'data.yaml', '--image-size'],
        ['benchmark', 'no-such-model', '--size'],
    ],
    ids=lambda command: command[0],
)
def test_what_is_no_image_size_is_told_before_anything_else(command, text):
    result = run(*command, text, ok=False)
    assert result.exit_code == 2
    assert 'expected a side such as 320, or HEIGHTxWIDTH such as 320x640, of 32 to 8192' in result.output
    assert f'size {text!r}' in result.output


def test_a_size_of_two_sides_is_height_and_width():
    assert given(image_size=read_size('320x640')) == {'image_size': (320, 640)}
