import json
import logging
import shutil

import numpy as np
import pytest
import torch

import mbv3zoo
from mbv3zoo.config.license_record import LicenseRecord
from mbv3zoo.export import live
from mbv3zoo.runtimes.exported_detector import ExportedDetector

AGPL = LicenseRecord(imported='agpl-3.0')


def test_other_sources_give_a_detector():
    detector = mbv3zoo.load('mbv3_yolo_small.synth')
    assert isinstance(detector, mbv3zoo.Detector) and not detector.training
    assert isinstance(mbv3zoo.load('mbv3_yolo_small.synth', runtime='eager'), ExportedDetector)
    assert mbv3zoo.load('mbv3_yolo_small.synth', device='cpu').device == torch.device('cpu')
    with pytest.raises(ValueError, match="device 'cuda:99': PyTorch cannot use it here"):
        mbv3zoo.load('mbv3_yolo_small.synth', device='cuda:99')
    with pytest.raises(ValueError, match="no weights called 'nothing'"):
        mbv3zoo.load('nothing')


def test_a_file_takes_no_options_of_the_hub(tmp_path):
    (tmp_path / 'm.onnx').write_bytes(b'nothing')
    with pytest.raises(ValueError, match='takes no revision'):
        mbv3zoo.load(tmp_path / 'm.onnx', revision='main')


@pytest.mark.parametrize('source', [5, None, b'org/name', ['org/name']], ids=repr)
def test_a_source_of_another_type_is_told(source):
    with pytest.raises(ValueError, match='expected a name, a path or a Hub repository'):
        mbv3zoo.load(source)


@pytest.mark.parametrize('source', ['a' * 5000, 'org/' + 'n' * 300, '\0', 'org/\0'])
def test_a_name_that_no_path_can_have_is_told_like_any_other(source):
    with pytest.raises(ValueError, match='no weights called|neither an existing folder'):
        mbv3zoo.load(source)


@pytest.fixture(scope='module')
def small(tmp_path_factory):
    detector = mbv3zoo.create_detector('mbv3_yolo_small_050', class_names=['a', 'b'], image_size=64, licenses=AGPL)
    return detector.save_pretrained(tmp_path_factory.mktemp('saved') / 'small')


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Names of the runtimes that a graph is written for; in a cache of its own."""
    runtimes, real = [], live.write_live

    def write(detector, info, runtime, folder):
        runtimes.append(runtime)
        return real(detector, info, runtime, folder)

    monkeypatch.setattr(live, 'write_live', write)
    monkeypatch.setenv('MBV3ZOO_CACHE', str(tmp_path / 'cache'))
    return runtimes


def test_a_graph_is_kept_for_the_next_start_and_gives_the_same_bits(small, written, tmp_path, caplog):
    pytest.importorskip('onnxruntime')
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    with caplog.at_level(logging.INFO, 'mbv3zoo'):
        first, second = (mbv3zoo.load(small, runtime='onnxruntime', threads=1) for _ in range(2))
    assert written == ['onnxruntime']
    assert str(tmp_path / 'cache') in caplog.text and caplog.text.count('is kept in') == 1
    assert first.info == second.info
    found = [opened.predict(image, score_thresh=0) for opened in (first, second)]
    assert len(found[0]) and all(isinstance(one.boxes, np.ndarray) for one in found)
    for name in ('boxes', 'scores', 'labels'):
        assert np.array_equal(*(getattr(one, name) for one in found))
    # Without the cache it is written as if nothing were kept, and is the same.
    other = mbv3zoo.load(small, runtime='onnxruntime', threads=1, cache=False).predict(image, score_thresh=0)
    assert len(written) == 2 and np.array_equal(other.boxes, found[0].boxes)
    assert np.array_equal(other.scores, found[0].scores)


@pytest.fixture
def quick(exported, monkeypatch, written):
    """Graphs are copies of one file: of an exported detector."""

    def write(detector, info, runtime, folder):
        written.append(runtime)
        return shutil.copy(exported('onnx'), folder / 'model.onnx')

    monkeypatch.setattr(live, 'write_live', write)
    return written


def test_other_weights_under_the_same_name_have_another_graph(small, quick, tmp_path):
    folder = shutil.copytree(small, tmp_path / 'small')
    assert mbv3zoo.load(small, runtime='onnxruntime') and mbv3zoo.load(folder, runtime='onnxruntime')
    assert len(quick) == 1
    weights = (folder / 'detector.safetensors').read_bytes()
    (folder / 'detector.safetensors').write_bytes(weights[:-4] + bytes(4))
    # As loading without a runtime tells it.
    for options in ({}, {'runtime': 'onnxruntime'}):
        with pytest.raises(ValueError, match='is not the file that was saved with its config.json .its sha256 is'):
            mbv3zoo.load(folder, **options)
    # Exchanged on purpose; and as folders were saved before config.json had digests.
    config = json.loads((folder / 'config.json').read_text())
    for entry in ({'sha256': {}}, {}):
        (folder / 'config.json').write_text(json.dumps({k: v for k, v in config.items() if k != 'sha256'} | entry))
        assert mbv3zoo.load(folder, runtime='onnxruntime')
    assert len(quick) == 2
    config['detector']['class_names'] = ['a', 'c']
    (folder / 'config.json').write_text(json.dumps(config | {'sha256': {}}))
    assert mbv3zoo.load(folder, runtime='onnxruntime') and len(quick) == 3


def test_a_licence_that_is_not_allowed_is_refused_though_the_graph_is_kept(small, quick):
    mbv3zoo.load(small, runtime='onnxruntime', allow_licenses=['agpl-3.0'])
    with pytest.raises(ValueError, match='agpl-3.0'):
        mbv3zoo.load(small, runtime='onnxruntime', allow_licenses=['apache-2.0'])
    assert len(quick) == 1


def test_a_damaged_entry_is_written_anew(small, quick, tmp_path):
    mbv3zoo.load(small, runtime='onnxruntime')
    (file,) = (tmp_path / 'cache' / 'graphs').glob('*/model.onnx')
    data = file.read_bytes()
    file.write_bytes(data[:-1] + b'x')
    assert mbv3zoo.load(small, runtime='onnxruntime') and file.read_bytes() == data
    assert mbv3zoo.load(small, runtime='onnxruntime') and len(quick) == 2


def test_weights_that_are_saved_anew_while_they_are_loaded_leave_no_graph(small, quick, tmp_path, monkeypatch):
    folder, real = shutil.copytree(small, tmp_path / 'small'), mbv3zoo.Detector.from_saved

    def save_meanwhile(saved, *licenses):
        mbv3zoo.create_detector(real(saved).config).save_pretrained(folder)
        return real(saved, *licenses)

    monkeypatch.setattr('mbv3zoo.model.Model.from_saved', save_meanwhile)
    mbv3zoo.load(folder, runtime='onnxruntime')
    assert quick == ['onnxruntime'] and not (tmp_path / 'cache').exists()


def test_a_detector_of_another_packages_code_leaves_no_graph(small, quick, tmp_path, monkeypatch):
    monkeypatch.setattr(mbv3zoo.Detector, '__module__', 'other.package')
    for _ in range(2):
        mbv3zoo.load(small, runtime='onnxruntime')
    assert len(quick) == 2 and not (tmp_path / 'cache').exists()


def test_a_cache_that_cannot_be_written_is_no_error(small, quick, tmp_path, monkeypatch, caplog):
    (tmp_path / 'file').write_text('')
    monkeypatch.setenv('MBV3ZOO_CACHE', str(tmp_path / 'file'))
    assert mbv3zoo.load(small, runtime='onnxruntime').runtime == 'onnxruntime'
    assert mbv3zoo.load(small, runtime='onnxruntime').runtime == 'onnxruntime'
    assert caplog.text.count('nothing is kept in the cache') == 1


def test_auto_takes_kept_graphs_of_its_candidates(small, quick, monkeypatch):
    monkeypatch.setattr(live, '_TRIED', ('onnxruntime',))
    for _ in range(2):
        assert mbv3zoo.load(small, runtime='auto').tensors
    assert quick == ['onnxruntime']
