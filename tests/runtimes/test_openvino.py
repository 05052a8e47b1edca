import subprocess
import sys

import pytest

pytest.importorskip('openvino')

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
