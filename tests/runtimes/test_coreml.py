import platform

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
