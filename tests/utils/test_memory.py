import subprocess
import sys
from types import SimpleNamespace

import pytest

from mbv3zoo.utils import memory
from mbv3zoo.utils.memory import peak_memory_mb


@pytest.mark.skipif(not sys.platform.startswith(('linux', 'darwin')), reason='the system does not tell')
def test_a_process_tells_its_own_peak_and_not_its_parents():
    ours = bytearray(b'1' * 400_000_000)
    code = """
import sys
from mbv3zoo.utils.memory import peak_memory_mb
before = peak_memory_mb()
held = bytearray(b'1') * 100_000_000
del held
sys.stdout.write(f'{before} {peak_memory_mb()}')
"""
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    before, after = map(float, done.stdout.split())
    assert len(ours) and before < 300 and 90 < after - before < 250


def test_getrusage_where_there_is_no_status(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, '_STATUS', tmp_path / 'none')
    fake = SimpleNamespace(RUSAGE_SELF=0, getrusage=lambda who: SimpleNamespace(ru_maxrss=2_000_000))
    monkeypatch.setitem(sys.modules, 'resource', fake)
    monkeypatch.setattr(sys, 'platform', 'darwin')
    assert peak_memory_mb() == 2
    monkeypatch.setattr(sys, 'platform', 'freebsd')
    assert peak_memory_mb() == 2048
    monkeypatch.setitem(sys.modules, 'resource', None)
    assert peak_memory_mb() is None
