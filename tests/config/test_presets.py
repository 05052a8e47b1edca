import json

import pytest
import yaml
from torch import nn

from mbv3zoo.config.presets import AUGMENTATIONS, OPTIMIZERS, PRESETS, Augmentation, Gains, Recipe
from mbv3zoo.config.training import RunConfig, TrainConfig
from mbv3zoo.training.optimizer import create_optimizer

FIELDS = {'optimizer': Recipe, 'loss': Gains, 'augmentation': Augmentation}
DEFAULTS = {field: TrainConfig.model_fields[field].default for field in PRESETS}
NAMES = [(field, name) for field, presets in PRESETS.items() for name in presets]
# The fields that nothing but a preset fills.
FILLED = {name for name, field in TrainConfig.model_fields.items() if field.is_required()}


def test_presets_fill_the_same_fields_each_and_together_all_that_have_no_default():
    assert all(len({tuple(preset) for preset in presets.values()}) == 1 for presets in PRESETS.values())
    assert all(set(presets[DEFAULTS[kind]]) == FIELDS[kind].__required_keys__ for kind, presets in PRESETS.items())
    fields = [field for kind, presets in PRESETS.items() for field in presets[DEFAULTS[kind]]]
    assert len(fields) == len(set(fields)) and set(fields) == FILLED


@pytest.mark.parametrize(('field', 'name'), NAMES)
def test_a_preset_fills_what_is_not_given(field, name):
    config = TrainConfig(**{field: name})
    for kind, default in (DEFAULTS | {field: name}).items():
        preset = PRESETS[kind][default]
        assert config.model_dump(include=set(preset)) == preset


def test_without_names_the_defaults_presets_fill():
    config = TrainConfig()
    assert all(getattr(config, field) == name for field, name in DEFAULTS.items())
    assert config == TrainConfig(**DEFAULTS)


def test_timm_takes_names_in_any_case_and_so_do_the_recipes():
    assert TrainConfig(optimizer='SGD') == TrainConfig(optimizer='sgd').model_copy(update={'optimizer': 'SGD'})
    assert create_optimizer(nn.Linear(2, 2), TrainConfig(optimizer='SGD')).param_groups[0]['lr'] == 0.1


def test_another_optimizer_takes_the_recipe_of_adamw():
    assert TrainConfig(optimizer='lamb').model_dump(include={'lr'}) == {'lr': OPTIMIZERS['adamw']['lr']}


@pytest.mark.parametrize(('kind', 'name'), NAMES)
@pytest.mark.parametrize('field', sorted(FILLED))
def test_what_is_given_wins(kind, name, field):
    preset = TrainConfig(**{kind: name})
    # No preset has this value anywhere, and every field takes it; 0 is a value too.
    for value in (0.125, *([0.0] if field != 'lr' else [])):
        assert TrainConfig(**{kind: name, field: value}) == preset.model_copy(update={field: value})


@pytest.mark.parametrize('field', ['augmentation', 'loss'])
@pytest.mark.parametrize('bad', ['strong', 'LIGHT', 'SimOTA', '', None, 3, ['light']])
def test_an_unknown_preset_is_refused_in_one_line(field, bad):
    with pytest.raises(ValueError) as caught:
        TrainConfig.parse({field: bad}, 'run.yaml')
    message = str(caught.value)
    assert message.startswith(f'run.yaml: {field}: ') and '\n' not in message and '; ' not in message
    assert all(repr(name) in message for name in PRESETS[field]) and f'(given: {bad!r})' in message


def test_an_unknown_optimizer_is_refused_in_one_line():
    with pytest.raises(ValueError, match='adamv') as caught:
        create_optimizer(nn.Linear(2, 2), TrainConfig(optimizer='adamv'))
    assert '\n' not in str(caught.value)
    for bad in (None, 3, ['sgd']):
        with pytest.raises(ValueError, match='^optimizer: .*string'):
            TrainConfig.parse({'optimizer': bad})


def test_a_misspelt_name_is_not_taken_for_a_missing_one():
    with pytest.raises(ValueError, match="unknown key 'augmentations'; did you mean 'augmentation'"):
        TrainConfig.parse({'augmentations': 'heavy'})
    with pytest.raises(ValueError, match='^mosaic: expected a number'):
        TrainConfig.parse({'mosaic': None})


@pytest.mark.parametrize(
    'settings',
    [
        {},
        *({field: name} for field, name in NAMES),
        {'optimizer': 'sgd', 'lr': 0.01, 'augmentation': 'heavy', 'mosaic': 0, 'cache': 'disk', 'clip_grad': None},
    ],
)
def test_a_saved_run_is_read_as_it_was(settings):
    config = TrainConfig(**settings)
    assert TrainConfig.parse(config.model_dump()) == config
    assert TrainConfig.parse(json.loads(json.dumps(config.model_dump(mode='json')))) == config
    run = RunConfig(data={'data': 'a'}, train=settings)
    assert run.train == config
    assert RunConfig.parse(yaml.safe_load(yaml.safe_dump(run.model_dump(mode='json')))) == run


def test_a_saved_run_does_not_change_with_the_presets(monkeypatch):
    saved = TrainConfig(augmentation='medium', optimizer='sgd').model_dump()
    monkeypatch.setitem(AUGMENTATIONS, 'medium', AUGMENTATIONS['none'])
    monkeypatch.setitem(OPTIMIZERS, 'sgd', OPTIMIZERS['adamw'])
    assert TrainConfig(augmentation='medium', optimizer='sgd').model_dump() != saved
    assert TrainConfig.parse(saved).model_dump() == saved


def test_the_given_settings_are_not_changed():
    given = {'augmentation': 'heavy', 'flip': 0.0}
    TrainConfig.parse(given)
    assert given == {'augmentation': 'heavy', 'flip': 0.0}
    before = {name: dict(preset) for name, preset in AUGMENTATIONS.items()}
    TrainConfig(augmentation='none', flip=1.0)
    assert before == AUGMENTATIONS
