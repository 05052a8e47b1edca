import pytest
from pydantic import ValidationError

from mbv3zoo.config.detector import DetectorConfig
from mbv3zoo.config.layer_rows import LayerRow, LayerRows
from mbv3zoo.config.license_record import LicensedPart, LicenseRecord
from mbv3zoo.config.training import DataConfig, RunConfig, TrainConfig
from mbv3zoo.synth.config import SyntheticConfig


def test_frozen():
    config = DetectorConfig(backbone='resnet18')
    with pytest.raises(ValidationError, match='frozen'):
        config.num_classes = 3
    with pytest.raises(ValidationError, match='frozen'):
        TrainConfig().lr = 1.0
    assert config.num_classes == 80


@pytest.mark.parametrize(
    ('model', 'data', 'given', 'near'),
    [
        (DetectorConfig, {'backbone': 'resnet18', 'num_clases': 3}, 'num_clases', 'num_classes'),
        (DetectorConfig, {'backbone': 'resnet18', 'img_size': 320}, 'img_size', 'image_size'),
        (DetectorConfig, {'backbon': 'resnet18'}, 'backbon', 'backbone'),
        (TrainConfig, {'epoch': 3}, 'epoch', 'epochs'),
        (DataConfig, {'data': 'a', 'val': 'b'}, 'val', 'val_data'),
        (RunConfig, {'data': {'data': 'a'}, 'train': {'batchsize': 3}}, 'batchsize', 'batch_size'),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest(model, data, given, near):
    with pytest.raises(ValueError) as caught:
        model.parse(data, 'my.yaml')
    message = str(caught.value)
    assert message.startswith('my.yaml: ') and f'unknown key {given!r}; did you mean {near!r}?' in message
    assert '\n' not in message


def test_a_key_like_no_other_is_refused_with_all_names():
    with pytest.raises(ValueError, match="unknown key 'xyzzy'; known keys: data, val_data, images"):
        DataConfig.parse({'data': 'a', 'xyzzy': 1})
    with pytest.raises(ValueError, match='unknown key 1;'):
        DataConfig.parse({'data': 'a', 1: 1})


def test_unknown_keys_are_refused_without_parse_too():
    with pytest.raises(ValueError, match="^unknown key 'num_clases'; did you mean 'num_classes'\\?$"):
        DetectorConfig(backbone='resnet18', num_clases=3)


def test_every_bad_key_is_named_in_one_line():
    with pytest.raises(ValueError) as caught:
        TrainConfig.parse({'epochs': 0, 'lr': -1, 'schedule': 'step', 'ema_decay': 1}, '--set')
    message = str(caught.value)
    assert message.startswith('--set: ') and '\n' not in message
    assert all(f'{key}: ' in message for key in ('epochs', 'lr', 'schedule', 'ema_decay'))
    assert "'cosine' or 'linear'" in message and "(given: 'step')" in message


def test_parse_names_a_missing_key_and_a_wrong_type():
    with pytest.raises(ValueError, match='^backbone: is missing$'):
        DetectorConfig.parse({})
    with pytest.raises(ValueError, match='^a.yaml: expected a mapping of settings'):
        DetectorConfig.parse(['resnet18'], 'a.yaml')


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        ({'epochs': 0}, 'epochs: expected a number greater than 0 (given: 0)'),
        ({'epochs': 1.5}, 'epochs: expected an integer (given: 1.5)'),
        ({'epochs': '1e3'}, "epochs: expected an integer (given: '1e3')"),
        ({'epochs': None}, 'epochs: expected an integer (given: None)'),
        ({'lr': [0.1]}, 'lr: expected a number (given: [0.1])'),
        ({'lr': float('inf')}, 'lr: expected a finite number (given: inf)'),
        ({'lr': {'a': 1}}, 'lr: expected a number'),
        ({'lr_end': 2}, 'lr_end: expected a number less than or equal to 1 (given: 2)'),
        ({'ema_decay': 1}, 'ema_decay: expected a number less than 1 (given: 1)'),
        ({'freeze_norm': 'maybe'}, "freeze_norm: expected true or false (given: 'maybe')"),
        ({'schedule': 'step'}, "schedule: expected 'cosine' or 'linear' (given: 'step')"),
        ({'tracker': 5}, 'tracker: expected a string (given: 5)'),
        (
            {'epochs': -1, 'lr': 'x'},
            "epochs: expected a number greater than 0 (given: -1); lr: expected a number (given: 'x')",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said_in_our_words(settings, message):
    for make in (TrainConfig.parse, lambda settings: TrainConfig(**settings)):
        with pytest.raises(ValueError) as caught:
            make(settings)
        assert str(caught.value) == message


def test_the_given_data_is_not_changed():
    data = {'backbone': 'resnet18', 'class_names': ['cat']}
    DetectorConfig.parse(data)
    assert data == {'backbone': 'resnet18', 'class_names': ['cat']}


@pytest.mark.parametrize(
    'config',
    [
        DataConfig, DetectorConfig, LayerRow, LayerRows, LicensedPart, LicenseRecord, RunConfig, SyntheticConfig,
        TrainConfig,
    ],
)  # fmt: skip
def test_every_field_says_what_it_is_in_one_line(config):
    descriptions = {name: field.description or '' for name, field in config.model_fields.items()}
    assert {name: text for name, text in descriptions.items() if not text or '\n' in text} == {}
    assert [text for text in descriptions.values() if text[-1:] != '.'] == []


def test_a_fields_text_is_its_own():
    assert TrainConfig.model_fields['lr'].description == 'Peak learning rate.'
    assert TrainConfig.model_fields['momentum'].description.startswith('Nesterov momentum')
