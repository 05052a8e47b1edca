"""What is measured of units, and what follows from it."""

import pytest
from fake_times import use_fake_times

from mbv3zoo.fitting import latency_table
from mbv3zoo.fitting.kept_times import KeptTimes
from mbv3zoo.fitting.latency_table import LatencyTable
from mbv3zoo.fitting.units import Unit
from mbv3zoo.widths.records import Channels

pytest.importorskip('onnx')
NONE = Channels(0, ())
UNIT = Unit('convolution', (20, 20), (1, 1, 1, 1, 0, 0), ('relu',), NONE, NONE)


@pytest.fixture
def table(monkeypatch, tmp_path):
    use_fake_times(monkeypatch)
    monkeypatch.setenv('MBV3ZOO_CACHE', str(tmp_path))
    return LatencyTable('onnxruntime', 2, False, KeptTimes('onnxruntime', 2, 'float32'))


def test_times_grow_as_the_operations_do(table):
    time = table.time(UNIT, (96, 96), (96, 96))
    assert time > 0
    assert table.time(UNIT, (48, 48), (96, 96)) == pytest.approx(time / 4, rel=0.01)
    assert table.time(UNIT, (96, 32), (96, 96)) == pytest.approx(time / 3, rel=0.01)


def test_what_was_measured_is_kept_for_the_next_process(table, monkeypatch):
    table.fill([(UNIT, (96, 96))], lambda: None)
    monkeypatch.setattr(latency_table, '_seconds', lambda calls: pytest.fail('it was measured before'))
    again = LatencyTable('onnxruntime', 2, False, KeptTimes('onnxruntime', 2, 'float32'))
    assert again.time(UNIT, (48, 48), (96, 96)) == table.time(UNIT, (48, 48), (96, 96))


@pytest.mark.parametrize('step', [8, 16])
def test_the_step_of_the_kernels_is_seen(step, monkeypatch, tmp_path):
    """Where kernels compute so many channels at once, those that are left over cost as much as all."""
    use_fake_times(monkeypatch)
    monkeypatch.setenv('MBV3ZOO_CACHE', str(tmp_path))

    def measured(self, unit, inputs, outputs):
        return float(-(-outputs // step))

    monkeypatch.setattr(LatencyTable, '_measured', measured)
    assert LatencyTable('openvino', None, False, KeptTimes('openvino', None, 'float32')).step == step


def test_a_machine_that_gets_slower_changes_nothing(monkeypatch, tmp_path):
    """Times are multiples of the yardstick's, measured just before."""
    use_fake_times(monkeypatch)
    monkeypatch.setenv('MBV3ZOO_CACHE', str(tmp_path))
    found = []
    for slow in (1, 3):
        monkeypatch.setattr(latency_table, '_seconds', lambda calls, slow=slow: [slow * call() for call in calls])
        table = LatencyTable('onnxruntime', slow, False, KeptTimes('onnxruntime', slow, 'float32'))
        found.append(table.time(UNIT, (96, 96), (96, 96)))
    assert found[0] == pytest.approx(found[1])


@pytest.mark.slow
@pytest.mark.parametrize('runtime', ['onnxruntime', 'openvino'])
def test_a_wide_layer_is_measured_to_take_longer(runtime, monkeypatch, tmp_path):
    pytest.importorskip(runtime)
    monkeypatch.setenv('MBV3ZOO_CACHE', str(tmp_path))
    table = LatencyTable(runtime, 1, False, KeptTimes(runtime, 1, 'float32'))
    wide, narrow = (table.time(UNIT, (width, width), (256, 256)) for width in (256, 64))
    # Sixteen times the operations.
    assert wide > 2 * narrow > 0
