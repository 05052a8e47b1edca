"""The options of the Hub: those of the functions at the bottom, and no others pass anywhere."""

import inspect

import pytest

import mbv3zoo
from mbv3zoo import hub
from mbv3zoo.hub.publish import publish_folder
from mbv3zoo.zoo.configs import named_weights
from mbv3zoo.zoo.registry import HubWeights, pull_weights
from mbv3zoo.zoo.resolve import copy_saved


def keywords(function):
    return {
        name
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }


def test_each_option_is_one_of_the_function_that_takes_it_at_last():
    assert hub.PullOptions.__optional_keys__ == keywords(hub.pull)
    assert keywords(hub.push_folder) == hub.PushOptions.__optional_keys__ | {'dry_run', 'card', 'license', 'check_card'}


@pytest.mark.parametrize('options', [hub.PullOptions, hub.PushOptions])
def test_each_option_is_documented(options):
    lines = [line.strip() for line in options.__doc__.splitlines()]
    assert all(any(line.startswith(f'{name}: ') for line in lines) for name in options.__optional_keys__)


def test_an_unknown_option_is_refused_by_its_name(tmp_path):
    name, folder = next(iter(named_weights().items()))
    calls = [
        lambda **options: hub.pull('org/name', **options),
        lambda **options: pull_weights(HubWeights('org/name'), **options),
        lambda **options: mbv3zoo.Detector.from_pretrained('org/name', **options),
        lambda **options: mbv3zoo.Detector.from_pretrained(name, **options),
        lambda **options: mbv3zoo.load(folder, **options),
        lambda **options: copy_saved(folder, tmp_path / 'copy', **options),
        lambda **options: publish_folder(folder, 'org/name', **options),
        lambda **options: mbv3zoo.create_detector('resnet18', **options),
    ]
    for call in calls:
        with pytest.raises((TypeError, ValueError), match='colour'):
            call(colour='red')
    assert not (tmp_path / 'copy').exists()
