import pytest
from program import run

from mbv3zoo.config.training import TrainConfig
from mbv3zoo.synth.config import SyntheticConfig


@pytest.mark.parametrize(('command', 'config'), [('train', TrainConfig), ('synth', SyntheticConfig)])
def test_help_says_what_each_setting_does(command, config):
    text = ' '.join(run(command, '--help').output.split())
    options, settings = text.split('Settings for --set NAME=VALUE:')
    # An option of its own or a setting of --set, and not both.
    for name, field in config.model_fields.items():
        places = options, settings
        assert sum(field.description in place for place in places) == 1, name
        assert f' {name} {field.description}' in settings or field.description in options
    assert '--seed <int> Seed of all random numbers' in options and '[default: 0]' in options


def test_defaults_and_choices_are_those_of_the_settings():
    text = ' '.join(run('train', '--help').output.split())
    assert f'[default: {TrainConfig().epochs}]' in text and '[none|light|medium|heavy; default: light]' in text
    # What a preset sets names the preset's setting, and what is off says so.
    assert 'Peak learning rate. [default: by optimizer]' in text and 'None never stops early. [default: none]' in text
    assert (
        'Gradient accumulation steps. [default: 1]' in text
        and '--seed <int> Seed of all random numbers. [default: 0]' in text
    )
