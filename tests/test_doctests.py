"""Each public call has an example in its docstring, and the example runs.

Examples may use `mbv3zoo` and what lies in their working folder: an image (a.jpg), a labelled set of the shipped
detectors' classes (data.yaml), an exported detector (model.onnx) and a finished training run (runs/train-1). A Hub of
their own is there too.
"""

import doctest
import inspect
import os
import shutil
from pathlib import Path

import pytest
from hub_server import HubServer, run_client

import mbv3zoo
from mbv3zoo.models.layer_lists import blocks
from mbv3zoo.synth import SyntheticConfig, synthesize
from mbv3zoo.zoo import registry

SCENE = Path(__file__).parents[1] / 'docs' / 'scene.jpg'
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def public_calls():
    """Name -> function or class: what `mbv3zoo.__all__` names, and the public methods of classes in it."""
    calls = {}
    for name in mbv3zoo.__all__:
        value = getattr(mbv3zoo, name)
        if callable(value):
            calls[name] = value
        for member in dir(value) if inspect.isclass(value) else ():
            method = getattr(value, member)
            if not member.startswith('_') and callable(method) and method.__module__.startswith('mbv3zoo.'):
                calls[f'{name}.{member}'] = method
    return calls


CALLS = public_calls()


def example_of(name):
    # Not inspect.getdoc, which takes a base class's docstring where there is none.
    return doctest.DocTestParser().get_doctest(CALLS[name].__doc__ or '', {'mbv3zoo': mbv3zoo}, name, None, 0)


def run(name):
    """What is wrong with an example, '' where it runs as it says."""
    lines = []
    doctest.DocTestRunner(optionflags=FLAGS).run(example_of(name), out=lines.append)
    return ''.join(lines)


@pytest.fixture(scope='module')
def stock(tmp_path_factory):
    """A working folder, to be copied, with what every example may use."""
    folder = tmp_path_factory.mktemp('stock') / 'folder'
    synthesize(folder, SyntheticConfig(train=8, val=4, image_size=160, workers=0))
    shutil.copy(SCENE, folder / 'a.jpg')
    return folder


@pytest.fixture(scope='module')
def exported(tmp_path_factory):
    pytest.importorskip('onnxruntime')
    pytest.importorskip('onnxscript')
    path = tmp_path_factory.mktemp('exported') / 'model.onnx'
    return mbv3zoo.Detector.from_pretrained('mbv3_yolo_small.synth').export(path, image_size=320)


@pytest.fixture(scope='module')
def trained(stock, tmp_path_factory):
    out = tmp_path_factory.mktemp('trained') / 'train-1'
    return mbv3zoo.train(stock, epochs=1, image_size=64, workers=0, out=out).folder


@pytest.fixture
def folder(stock, tmp_path, monkeypatch):
    """A working folder of the test's own; what is registered is forgotten afterwards."""
    shutil.copytree(stock, tmp_path / 'here')
    monkeypatch.chdir(tmp_path / 'here')
    monkeypatch.setattr(registry, '_registered', dict(registry._registered))
    monkeypatch.setattr(blocks, '_registered', dict(blocks._registered))
    return tmp_path / 'here'


@pytest.mark.parametrize('name', [name for name in CALLS if example_of(name).examples])
def test_examples_run(name, folder, request):
    text = CALLS[name].__doc__
    if "load('model.onnx'" in text:
        exported = request.getfixturevalue('exported')
        shutil.copy(exported, folder)
        shutil.copy(f'{exported}.json', folder)
    if "'runs/train-1'" in text and 'mbv3zoo.train(' not in text:
        shutil.copytree(request.getfixturevalue('trained'), folder / 'runs/train-1')
    if 'org/name' in example_of(name).docstring.partition('>>>')[2]:
        tests = Path(__file__).parent
        paths = os.pathsep.join(map(str, (tests.parent, tests, tests / 'helpers')))
        with HubServer() as server:
            code = f'import test_doctests\nprint(test_doctests.run({name!r}))'
            report = run_client(server, code, folder, {'PYTHONPATH': paths})
        wrong = report.stdout.strip()
    else:
        wrong = run(name)
    assert not wrong, wrong


def test_an_example_that_says_something_else_is_found(monkeypatch):
    def call():
        """
        >>> len(mbv3zoo.Detections.empty())
        1
        """

    monkeypatch.setitem(CALLS, 'call', call)
    assert 'Expected:\n    1\nGot:\n    0' in run('call')
