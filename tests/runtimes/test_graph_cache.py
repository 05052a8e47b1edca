import json
import logging
from dataclasses import replace

import numpy as np
import pytest

from mbv3zoo.runtimes import graph_cache
from mbv3zoo.runtimes.graph_cache import KeptGraphs

CONFIG = {'backbone': 'a', 'image_size': [96, 160]}
WEIGHTS = {'model.safetensors': '0' * 64, 'detector.safetensors': '1' * 64}
GRAPHS = KeptGraphs('org/name', CONFIG, WEIGHTS)
SIZE = (96, 160)
IMAGES = np.random.default_rng(0).integers(0, 256, (2, 3, *SIZE), np.uint8)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv('MBV3ZOO_CACHE', str(tmp_path / 'cache'))
    return tmp_path / 'cache' / 'graphs'


@pytest.mark.parametrize(('runtime', 'format'), [('onnxruntime', 'onnx'), ('openvino', 'openvino')])
def test_a_kept_graph_is_the_file_that_was_written(exported, runtime, format, cache, caplog):
    path = exported(format)
    assert GRAPHS.open(runtime, SIZE) is None
    with caplog.at_level(logging.INFO, 'mbv3zoo'):
        GRAPHS.keep(runtime, SIZE, 1, path)
    told = [record.getMessage() for record in caplog.records if record.name.startswith('mbv3zoo')]
    assert told == [f'the graph of org/name for {runtime} at 96 x 160 is kept in {cache} for the next start']
    opened, written = GRAPHS.open(runtime, SIZE, threads=1), graph_cache.ExportedModel.open(path, runtime, threads=1)
    assert opened.info == written.info and opened.runtime == runtime and not opened.tensors
    assert all(map(np.array_equal, opened.run(IMAGES), written.run(IMAGES)))
    assert GRAPHS.open(runtime, SIZE, tensors=True).tensors


@pytest.fixture
def kept(exported):
    GRAPHS.keep('onnxruntime', SIZE, 1, exported('onnx'))


@pytest.mark.parametrize(
    'graphs',
    [
        replace(GRAPHS, config=CONFIG | {'activation': 'relu'}),
        replace(GRAPHS, weights=WEIGHTS | {'model.safetensors': '2' * 64}),
        replace(GRAPHS, weights=WEIGHTS | {'detector.safetensors': '2' * 64}),
    ],
)
def test_other_weights_and_another_config_have_another_graph(kept, graphs):
    assert graphs.open('onnxruntime', SIZE) is None and GRAPHS.open('onnxruntime', SIZE)


def test_another_size_batch_and_runtime_have_another_graph(kept):
    assert GRAPHS.open('onnxruntime', (160, 96)) is None
    assert GRAPHS.open('onnxruntime', SIZE, 2) is None
    assert GRAPHS.open('openvino', SIZE) is None


@pytest.mark.parametrize('package', ['torch', 'timm', 'onnx', 'onnxscript', 'onnxruntime'])
def test_after_an_update_of_a_library_the_graph_is_written_anew(kept, package, monkeypatch):
    real = graph_cache.installed_version
    monkeypatch.setattr(graph_cache, 'installed_version', lambda name: '99' if name == package else real(name))
    assert GRAPHS.open('onnxruntime', SIZE) is None


@pytest.mark.parametrize('name', ['__version__', 'code_digest'])
def test_after_a_change_of_this_library_the_graph_is_written_anew(kept, name, monkeypatch):
    monkeypatch.setattr(graph_cache, name, '99' if name == '__version__' else lambda *rooms: '99')
    assert GRAPHS.open('onnxruntime', SIZE) is None


def test_another_name_of_the_same_detector_has_the_same_graph(kept):
    assert replace(GRAPHS, name='a copy').open('onnxruntime', SIZE)


def test_a_package_that_is_not_installed_has_no_version(kept, monkeypatch):
    monkeypatch.setattr(graph_cache, '_PACKAGES', (*graph_cache._PACKAGES, 'no_such_package'))
    assert GRAPHS.open('onnxruntime', SIZE) is None


def test_what_cannot_be_opened_so_is_written_anew_which_tells_why(kept):
    assert GRAPHS.open('onnxruntime', SIZE, device='tpu') is None
    assert GRAPHS.open('onnxruntime', SIZE)


def test_people_can_read_what_an_entry_is(kept, cache):
    (entry,) = cache.iterdir()
    record = json.loads((entry / 'entry.json').read_text())
    assert record['of'] == {'name': 'org/name', 'runtime': 'onnxruntime', 'image_size': [96, 160], 'batch_size': 1}
