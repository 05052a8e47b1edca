"""What a user's editor shows: every public argument has a name and a type."""

import inspect

import pytest

import mbv3zoo
from mbv3zoo.detector import Detector
from mbv3zoo.export.export import export
from mbv3zoo.prediction.predict import PredictOptions, iter_predict, predict


def public_functions():
    for name in mbv3zoo.__all__:
        value = getattr(mbv3zoo, name)
        if inspect.isfunction(value):
            yield name, value
        for member, method in inspect.getmembers(value, inspect.isroutine) if inspect.isclass(value) else ():
            if not member.startswith('_') and getattr(method, '__module__', '').startswith('mbv3zoo.'):
                yield f'{name}.{member}', method


FUNCTIONS = dict(public_functions())


def keywords(function):
    return {
        name: (parameter.default, parameter.annotation)
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }


@pytest.mark.parametrize('name', FUNCTIONS)
def test_further_options_have_names(name):
    for parameter in inspect.signature(FUNCTIONS[name]).parameters.values():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            assert str(parameter.annotation).startswith('Unpack[')


def test_the_walk_finds_functions_and_methods():
    assert {'create_detector', 'load', 'Detector.predict', 'Detector.from_pretrained', 'Detector.fuse'} <= set(
        FUNCTIONS
    )


def test_a_detector_exports_with_the_arguments_of_export():
    assert keywords(Detector.export) == keywords(export)


def test_every_predict_takes_the_same():
    assert keywords(iter_predict) == keywords(predict) and keywords(predict).keys() == PredictOptions.__optional_keys__
    own = keywords(Detector.predict)
    assert {name: own[name] for name in keywords(predict)} == keywords(predict)
    assert own.keys() - keywords(predict).keys() == {'nms', 'runtime', 'threads', 'device'}
