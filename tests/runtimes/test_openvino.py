import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
import pytest
from exported_files import MAPS, SIZE

from mbv3zoo.runtimes.export_info import ExportInfo
from mbv3zoo.runtimes.graph_input import GraphInput

pytest.importorskip('openvino')

from mbv3zoo.runtimes import openvino  # noqa: E402
from mbv3zoo.runtimes.openvino import open  # noqa: E402

PROGRAM = """
import gc, signal, subprocess, sys
import openvino
from openvino import opset8
from mbv3zoo.runtimes.openvino import open

signal.signal(signal.SIGCHLD, lambda *_: None)  # as torch's DataLoader does
given = opset8.parameter([1, 4])
openvino.save_model(openvino.Model([opset8.relu(given)], [given]), 'm.xml')
first, second = (open('m.xml', threads=1, device=None) for _ in range(2))
del first
gc.collect()
del second
gc.collect()
subprocess.run([sys.executable, '-c', ''], check=True)
"""


def test_a_child_process_may_end_after_two_files_were_closed(tmp_path):
    result = subprocess.run([sys.executable, '-c', PROGRAM], cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr or result.returncode


def test_threads_that_open_the_first_files_at_once_share_one_core(monkeypatch):
    made = []

    def slow_core():
        time.sleep(0.01)
        made.append(object())
        return made[-1]

    monkeypatch.setattr(openvino, '_core', cache(slow_core))
    with ThreadPoolExecutor(4) as threads:
        cores = list(threads.map(lambda _: openvino.shared_core(), range(4)))
    assert len(made) == 1 and cores == made * 4


def test_calls_one_after_the_other_share_a_request_whichever_threads_make_them(exported):
    session = open(exported('openvino'), 1, None)
    images = np.zeros((1, 3, *SIZE), np.uint8)
    for _ in range(3):
        with ThreadPoolExecutor(1) as thread:
            thread.submit(session, images).result()
    session(images)
    assert len(session._free) == 1
    with pytest.raises(RuntimeError):
        session(images[:, :, :32])
    assert len(session(images)) == 3


@pytest.mark.parametrize('name', ['openvino', 'onnx'])
def test_its_own_files_and_onnx_files_run_and_hold_their_record(name, exported):
    session = open(exported(name), 1, None)
    assert session.inputs == [GraphInput((1, 3, *SIZE), np.dtype(np.uint8))]
    images = np.zeros((1, 3, *SIZE), np.uint8)
    first, copy = session(images), [m.copy() for m in session(images)]
    assert [(m.shape, m.dtype) for m in first] == [(shape, np.float32) for shape in MAPS]
    # A later call leaves earlier outputs alone.
    session(images + 200)
    assert all(np.array_equal(m, other) for m, other in zip(first, copy, strict=True))
    assert session.runtime == 'openvino' and ExportInfo.model_validate_json(session.metadata).image_size == SIZE


def test_a_device_that_is_not_there(tmp_path):
    with pytest.raises(ValueError, match="device 'TPU': OpenVINO finds CPU.* on this machine"):
        open(tmp_path / 'm.xml', None, 'TPU')
