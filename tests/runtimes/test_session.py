from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from exported_files import RUNNABLE, SIZE

import mbv3zoo
from mbv3zoo.runtimes.session import open_session
from mbv3zoo.utils import packages


def test_errors_of_opening(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match='gone.onnx: there is no such file'):
        mbv3zoo.load(tmp_path / 'gone.onnx')
    with pytest.raises(ValueError, match='not a file that a runtime opens'):
        open_session(tmp_path / 'm.txt')
    (tmp_path / 'm.onnx').write_bytes(b'nothing')
    with pytest.raises(ValueError, match="runtime 'ncnn' does not open it; expected onnxruntime or openvino"):
        mbv3zoo.load(tmp_path / 'm.onnx', runtime='ncnn')
    with pytest.raises(ValueError, match='threads is 0'):
        mbv3zoo.load(tmp_path / 'm.onnx', threads=0)
    monkeypatch.setattr(packages, 'is_installed', lambda package: False)
    with pytest.raises(
        ImportError, match=r'runtime onnxruntime needs onnxruntime; install with: pip install "mbv3zoo\[export\]"'
    ):
        mbv3zoo.load(tmp_path / 'm.onnx')


def test_a_damaged_file(tmp_path):
    pytest.importorskip('onnxruntime')
    (tmp_path / 'm.onnx').write_bytes(b'nothing')
    with pytest.raises(ValueError, match='onnxruntime cannot open it'):
        mbv3zoo.load(tmp_path / 'm.onnx')


@pytest.mark.parametrize(('name', 'runtime'), [*((name, None) for name in RUNNABLE), ('onnx', 'openvino')])
def test_threads_that_run_a_file_at_once_get_the_results_of_their_own_images(name, runtime, exported):
    session = open_session(exported(name), runtime, threads=1)
    rng = np.random.default_rng(0)
    dtype = np.float32 if name == 'ncnn' else np.uint8
    images = [rng.integers(0, 256, (1, 3, *SIZE)).astype(dtype) for _ in range(24)]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(session, images))
    # Afterwards, so that the first call is one of several at once.
    alone = [session(image) for image in images]
    assert not np.array_equal(alone[0][0], alone[1][0])
    for found, expected in zip(together, alone, strict=True):
        assert all(np.array_equal(own, other) for own, other in zip(found, expected, strict=True))
