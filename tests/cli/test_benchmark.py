from program import run

QUICK = ['--runtime', 'eager', '--size', 64, '--rounds', 1, '--seconds', 0.01]


def test_benchmark_writes_a_report(tmp_path):
    output = run('benchmark', 'mbv3_yolo_small_050', *QUICK, '--out', tmp_path / 'out').output
    assert 'mbv3_yolo_small_050' in output and 'eager' in output
    assert {path.suffix for path in (tmp_path / 'out').iterdir()} >= {'.csv', '.png'}
    again = run('benchmark', 'mbv3_yolo_small_050', *QUICK, '--out', tmp_path / 'out', ok=False)
    assert 'exists' in str(again.exception)
