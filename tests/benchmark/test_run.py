import pytest

from mbv3zoo.benchmark import run
from mbv3zoo.benchmark.process import ProcessFailed
from mbv3zoo.benchmark.report import write_report
from mbv3zoo.benchmark.rows import Row, read_rows
from mbv3zoo.benchmark.run import run_benchmark

FOUND = {'size': [64, 96], 'ms': 2.0, 'ms_low': 1.0, 'ms_high': 3.0, 'images_per_second': 500.0, 'relative': 1.0}


@pytest.fixture
def processes(monkeypatch):
    """Stands for the processes: keeps their tasks; those of a runtime in `dying` die."""

    class Processes:
        dying, jobs = (), []

        def __call__(self, task, **job):
            self.jobs.append((task, job))
            if (task, job['runtime']) in self.dying:
                raise ProcessFailed('its process was killed by signal 9')
            if task == 'write':
                return f'{job["folder"]}/model.onnx'
            return 123.5 if task == 'memory' else [dict(FOUND) for _ in job['models']]

    processes = Processes()
    processes.jobs = []
    monkeypatch.setattr(run, 'run_in_process', processes)
    return processes


def test_every_combination_gets_a_row(processes):
    rows = run_benchmark(['a', 'b'], runtimes=['eager', 'openvino'], sizes=[64, (96, 64)], batches=[1, 2], rounds=7)
    assert len(rows) == 16 and {row.model for row in rows} == {'a', 'b'} and {row.batch for row in rows} == {1, 2}
    assert rows[0] == Row('a', 'eager', (64, 96), 1, 2.0, 1.0, 3.0, 500.0, 1.0)
    # One process each, in which all models take turns.
    assert len(processes.jobs) == 8
    assert processes.jobs[0] == (
        'time',
        {'models': ('a', 'b'), 'first': 'a', 'runtime': 'eager', 'size': (64, 64), 'batch': 1, 'rounds': 7}
        | {'seconds': 0.2, 'threads': None, 'device': None},
    )
    assert [(job['runtime'], job['size'], job['batch']) for _, job in processes.jobs] == [
        (runtime, size, batch) for runtime in ('eager', 'openvino') for size in ((64, 64), (96, 64)) for batch in (1, 2)
    ]


def test_a_process_that_dies_leaves_rows_that_say_so(processes):
    processes.dying = {('time', 'compile')}
    rows = run_benchmark(['a', 'b'], runtimes=['compile', 'eager'], sizes=[64])
    assert [(row.model, row.runtime, row.ms, row.error) for row in rows] == [
        ('a', 'compile', None, 'its process was killed by signal 9'),
        ('b', 'compile', None, 'its process was killed by signal 9'),
        ('a', 'eager', 2.0, ''),
        ('b', 'eager', 2.0, ''),
    ]


def test_memory_is_that_of_a_process_of_its_own(processes, tmp_path):
    (tmp_path / 'peer.onnx').touch()
    peer = str(tmp_path / 'peer.onnx')
    rows = run_benchmark(['a'], runtimes=['eager', 'onnxruntime'], against=[peer], memory=True, threads=2)
    assert [row.peak_memory_mb for row in rows] == [123.5] * 3
    others = [(task, job['runtime'], job['name']) for task, job in processes.jobs if task != 'time']
    # torch, which writes a detector's file, does not count where it is not needed to run it.
    written = others[2][2]
    assert others == [
        ('memory', 'eager', 'a'),
        ('write', 'onnxruntime', 'a'),
        ('memory', 'onnxruntime', written),
        ('memory', 'onnxruntime', peer),
    ]
    assert written.endswith('model.onnx') and processes.jobs[-1][1]['size'] == (64, 96)
    assert processes.jobs[-1][1]['threads'] == 2


def test_memory_that_cannot_be_measured_leaves_the_times(processes):
    processes.dying = {('memory', 'eager')}
    (row,) = run_benchmark(['a'], memory=True)
    assert row.ms == 2.0 and row.peak_memory_mb is None and row.error.startswith('memory was not measured: its process')


@pytest.mark.parametrize(
    ('settings', 'words'),
    [
        ({'rounds': 0}, 'rounds is 0'),
        ({'seconds': 0.0}, 'seconds is 0.0'),
        ({'threads': 0}, 'threads is 0'),
        ({'threads': 10**9}, 'threads is 1000000000; expected at most 1024'),
        ({'rounds': 10**9}, 'rounds is 1000000000'),
        ({'seconds': float('nan')}, 'seconds is nan'),
        ({'seconds': float('inf')}, 'seconds is inf'),
        ({'batches': [0]}, 'batches are .0,'),
        ({'batches': [10**9]}, 'batches are .1000000000,'),
        ({'against': ['resnet18']}, 'resnet18: not an exported file; expected one that ends in .*[.]onnx'),
        ({'against': ['none.onnx']}, 'none.onnx: there is no such file'),
        ({'runtimes': ['fast']}, 'unknown runtime fast'),
    ],
)
def test_mistakes_are_told_before_anything_runs(processes, settings, words):
    with pytest.raises(ValueError, match=words):
        run_benchmark(['a'], **settings)
    assert not processes.jobs


def test_from_a_name_to_a_report(tmp_path):
    models = ['mbv3_yolo_small.synth', 'no such model']
    rows = run_benchmark(models, sizes=[64], rounds=1, seconds=0.01, threads=1, memory=True)
    good, bad = rows
    assert good.ms > 0 and good.ms_low == good.ms_high == good.ms and good.relative == 1 and not good.error
    assert good.images_per_second == pytest.approx(1e3 / good.ms, rel=0.01) and good.size == (64, 64)
    assert good.parameters > 1e6 and good.gflops > 0 and (good.peak_memory_mb or 100) > 50
    assert bad.ms is None and bad.error.startswith("unknown detector or backbone 'no such model'")
    text = write_report(rows, tmp_path / 'out', threads=1, command='mbv3zoo benchmark')
    assert 'mbv3_yolo_small.synth' in text and 'mbv3zoo benchmark' in text
    assert {path.name for path in (tmp_path / 'out').iterdir()} == {'latency.png', 'results.csv', 'results.txt'}
    assert read_rows(tmp_path / 'out' / 'results.csv') == rows
