import pytest
from program import run

from mbv3zoo.benchmark.rows import Row

GOOD = Row('small', 'eager', (320, 640), 2, 12.35, 12.0, 13.5, 162.0, 1.0)
BAD = Row('none', 'eager', None, 2, error='unknown detector')


@pytest.mark.parametrize(('rows', 'exit_code'), [([GOOD, BAD], 0), ([BAD], 1)])
def test_benchmark_writes_a_report_and_fails_if_nothing_was_timed(tmp_path, monkeypatch, rows, exit_code):
    asked = {}
    monkeypatch.setattr('mbv3zoo.benchmark.run.run_benchmark', lambda models, **options: asked.update(options) or rows)
    options = ['--runtime', 'eager', '--size', '320x640', '--batch', 2, '--rounds', 3, '--out', tmp_path / 'out']
    result = run('benchmark', 'small', 'none', *options, ok=False)
    assert result.exit_code == exit_code and 'unknown detector' in result.output
    assert asked['runtimes'] == ['eager'] and asked['sizes'] == [(320, 640)] and asked['batches'] == [2]
    # What was not given is left to the function.
    assert asked['rounds'] == 3 and 'against' not in asked
    assert (tmp_path / 'out' / 'results.csv').exists()
    again = run('benchmark', 'small', *options, ok=False)
    assert 'exists' in str(again.exception)
