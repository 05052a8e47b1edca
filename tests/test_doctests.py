"""Each public call has an example in its docstring, and the example runs.

Examples may use `mbv3zoo` and what lies in their working folder: an image (a.jpg), a labelled set of the shipped
detectors' classes (data.yaml), an exported detector (model.onnx) and segmenter (segmenter.onnx), and a finished
training run (runs/train-1). A Hub of their own is there too.
"""

import contextlib
import doctest
import inspect
import os
import shutil
from functools import cache
from pathlib import Path

import pytest
from fake_times import use_fake_times
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
            own = not member.startswith('_') and callable(method) and method.__module__.startswith('mbv3zoo.')
            # What two classes have from one base is tried once.
            if own and method not in calls.values():
                calls[f'{name}.{member}'] = method
    return calls


CALLS = public_calls()
# Files that examples need, and the examples that make them.
MADE_BY = {'model.onnx': 'Detector.export', 'segmenter.onnx': 'ExportedSegmenter', 'runs/train-1': 'train'}


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
def run_once(stock, tmp_path_factory):
    """Runs an example in a working folder of its own -> the folder, and what is wrong with the example."""

    @cache
    def run_here(name):
        folder = tmp_path_factory.mktemp('example') / 'folder'
        shutil.copytree(stock, folder)
        examples = example_of(name).examples
        assert examples and not any(doctest.SKIP in example.options for example in examples), f'{name} has no example'
        source = ''.join(example.source for example in examples)
        if 'model.onnx' in source:
            pytest.importorskip('onnxruntime')
        if 'to_fiftyone' in source:
            pytest.importorskip('fiftyone')
            pytest.importorskip('onnxscript')
        for file, maker in MADE_BY.items():
            if file in source and name != maker:
                shutil.copytree(run_here(maker)[0], folder, dirs_exist_ok=True)
        if 'organisation/name' in source:
            return folder, run_with_hub(name, folder)
        with contextlib.chdir(folder), pytest.MonkeyPatch.context() as patch:
            if 'mbv3zoo.fit(' in source:
                # Timing layers takes minutes, and on a machine that others use too it may say anything.
                use_fake_times(patch)
            return folder, run(name)

    return run_here


def run_with_hub(name, folder):
    tests = Path(__file__).parent
    paths = os.pathsep.join(map(str, (tests.parent, tests, tests / 'helpers')))
    with HubServer() as server:
        code = f'import test_doctests\nprint(test_doctests.run({name!r}))'
        return run_client(server, code, folder, {'PYTHONPATH': paths}).stdout.strip()


@pytest.mark.parametrize('name', CALLS)
def test_every_public_call_has_an_example_that_runs(name, run_once, monkeypatch):
    # What examples register is forgotten afterwards.
    monkeypatch.setattr(registry, '_registered', dict(registry._registered))
    monkeypatch.setattr(blocks, '_registered', dict(blocks._registered))
    wrong = run_once(name)[1]
    assert not wrong, wrong


def test_an_example_that_says_something_else_is_found(monkeypatch):
    def call():
        """
        >>> len(mbv3zoo.Detections.empty())
        1
        """

    monkeypatch.setitem(CALLS, 'call', call)
    assert 'Expected:\n    1\nGot:\n    0' in run('call')
