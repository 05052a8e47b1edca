import platform
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip('coremltools')

from mbv3zoo.runtimes import coreml  # noqa: E402


def test_other_systems_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(platform, 'system', lambda: 'Linux')
    with pytest.raises(NotImplementedError, match='Core ML runs on macOS only'):
        coreml.open(tmp_path / 'm.mlpackage', None, None)


def test_devices_are_core_mls(tmp_path, monkeypatch):
    monkeypatch.setattr(platform, 'system', lambda: 'Darwin')
    with pytest.raises(ValueError, match="device 'cuda': Core ML has cpu, gpu, ane, all"):
        coreml.open(tmp_path / 'm.mlpackage', None, 'cuda')


def test_threads_take_turns():
    inside = []

    class Model:
        user_defined_metadata = {}

        def get_spec(self):
            return SimpleNamespace(description=SimpleNamespace(output=[SimpleNamespace(name='map')]))

        def predict(self, inputs):
            inside.append(1)
            time.sleep(0.002)
            assert len(inside) == 1
            inside.pop()
            return {'map': inputs['images']}

    session = coreml.CoreMlSession(Model(), 'all')
    images = [np.full((1, 3, 2, 2), value, np.uint8) for value in range(8)]
    with ThreadPoolExecutor(4) as threads:
        for (found,), expected in zip(threads.map(session, images), images, strict=True):
            assert np.array_equal(found, expected)
