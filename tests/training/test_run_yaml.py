import logging

import pytest
import yaml

from mbv3zoo.config.training import DataConfig, RunConfig, TrainConfig
from mbv3zoo.training.run_yaml import CONFIG_NAME, read_run_config, write_run_config


@pytest.fixture
def settings(tmp_path):
    (tmp_path / 'data.yaml').touch()
    config = RunConfig(data=DataConfig(data=str(tmp_path / 'data.yaml')), train=TrainConfig(optimizer='sgd'))
    write_run_config(config, tmp_path)
    return yaml.safe_load((tmp_path / CONFIG_NAME).read_text())


def changed(run, settings):
    (run / CONFIG_NAME).write_text(yaml.safe_dump(settings))
    return read_run_config(run)


def test_what_was_written_comes_back_without_a_word(tmp_path, settings, caplog):
    assert read_run_config(tmp_path).train == TrainConfig(optimizer='sgd')
    settings['train']['assigner'] = 'simota'
    del settings['train']['loss']
    assert changed(tmp_path, settings).train == TrainConfig(optimizer='sgd')
    assert not caplog.records


def test_settings_that_are_not_there_are_named_with_what_is_taken(tmp_path, settings, caplog):
    caplog.set_level(logging.WARNING, 'mbv3zoo')
    del settings['train']['lr'], settings['train']['freeze_norm']
    assert changed(tmp_path, settings).train == TrainConfig(optimizer='sgd')
    (message,) = [record.getMessage() for record in caplog.records]
    assert str(tmp_path / CONFIG_NAME) in message and 'lr=0.1, freeze_norm=False' in message


@pytest.mark.parametrize(
    ('section', 'name', 'value', 'message'),
    [
        ('train', 'epochz', 3, r"train: unknown key 'epochz'; did you mean 'epochs'"),
        ('train', 'lr', 'fast', r'train\.lr: expected a number'),
        ('train', 'optimizer', 'sgdd', r"train\.optimizer: .*'sgdd'.* did you mean sgd"),
        ('train', 'assigner', 'old', 'assigner is called loss now'),
        ('data', 'data', '/no/such/data.yaml', r'the data /no/such/data\.yaml is gone; put it back, or write'),
        ('data', 'val_data', '/no/such/val.json', r'the data /no/such/val\.json is gone'),
    ],
)
def test_a_setting_that_does_not_fit_names_the_file_and_itself(tmp_path, settings, section, name, value, message):
    settings[section][name] = value
    with pytest.raises(ValueError, match=rf'run\.yaml: .*{message}') as error:
        changed(tmp_path, settings)
    assert '\n' not in str(error.value)


@pytest.mark.parametrize('content', [b'', b'\x00\xff\x13', b'- a', b'{', b'train: ~\n', b'data: 3\n', b'train: [1]\n'])
def test_a_damaged_file_is_named(tmp_path, content):
    (tmp_path / CONFIG_NAME).write_bytes(content)
    with pytest.raises(ValueError, match=r'run\.yaml'):
        read_run_config(tmp_path)
