"""Times in the user's cache."""

import pytest

from mbv3zoo.fitting import kept_times
from mbv3zoo.fitting.kept_times import KeptTimes


@pytest.fixture(autouse=True)
def own_folder(monkeypatch, tmp_path):
    monkeypatch.setenv('MBV3ZOO_CACHE', str(tmp_path))


def keep(times, *args):
    kept = KeptTimes(*args)
    kept.times.update(times)
    kept.write()


def test_times_come_back():
    keep({'a': 1.5}, 'openvino', 2, 'float32')
    assert KeptTimes('openvino', 2, 'float32').times == {'a': 1.5}


@pytest.mark.parametrize('other', [('onnxruntime', 2, 'float32'), ('openvino', 1, 'float32'), ('openvino', 2, 'int8')])
def test_times_of_another_runtime_thread_number_or_precision_are_others(other):
    keep({'a': 1.5}, 'openvino', 2, 'float32')
    assert KeptTimes(*other).times == {}


@pytest.mark.parametrize('changed', ['cpu_name', 'installed_version'])
def test_times_of_another_processor_or_version_are_not_taken(changed, monkeypatch):
    keep({'a': 1.5}, 'openvino', 2, 'float32')
    monkeypatch.setattr(kept_times, changed, lambda *args: 'another')
    assert KeptTimes('openvino', 2, 'float32').times == {}


@pytest.mark.parametrize('text', ['{', '[1]', '{"a": "x"}', ''])
def test_a_damaged_file_is_measured_again(text, tmp_path):
    keep({'a': 1.5}, 'openvino', 2, 'float32')
    (file,) = tmp_path.rglob('times.json')
    file.write_text(text, encoding='utf-8')
    kept = KeptTimes('openvino', 2, 'float32')
    assert kept.times == {}
    kept.times['b'] = 2.0
    kept.write()
    assert KeptTimes('openvino', 2, 'float32').times == {'b': 2.0}
