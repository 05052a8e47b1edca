"""tools/frontier.py."""

import frontier
import pytest

from mbv3zoo.benchmark.rows import Row, write_rows

ROWS = [
    Row(
        'mbv3_yolo_large',
        'onnxruntime',
        (320, 320),
        2,
        22.0,
        21.0,
        23.0,
        relative=1.0,
        parameters=4_750_000,
        gflops=1.5,
    ),
    Row('/peers/n.onnx', 'onnxruntime', (320, 320), 2, 24.0, 23.0, 25.0, relative=1.09),
    Row('mbv3_yolo_large', 'eager', (320, 320), 2, 50.0, 49.0, 51.0),
    Row('/peers/n.onnx', 'eager', None, 2, error='does not open it'),
]


@pytest.fixture
def results(tmp_path):
    write_rows(ROWS, tmp_path / 'results.csv')
    (tmp_path / 'ap.csv').write_text('name,ap,label\nmbv3_yolo_large,0.42,\nn,0.41,YOLO n\n')
    (tmp_path / 'ap.json').write_text('{"mbv3_yolo_large": 0.42, "n.onnx": 0.41}')
    return tmp_path


def run(folder, *options, aps='ap.csv'):
    frontier.main([str(folder / 'results.csv'), str(folder / aps), '--out', str(folder / 'a.svg'), *options])


def test_draws_and_prints(results, capsys):
    run(results, '--runtime', 'onnxruntime')
    assert capsys.readouterr().out.splitlines()[2:] == [
        '| **mbv3_yolo_large** | 0.420 | 11.00 | 1.00 | 4.75 M | 1.50 |',
        '| YOLO n | 0.410 | 12.00 | 1.09 |  |  |',
    ]
    assert '<svg' in (results / 'a.svg').read_text()
    run(results, '--runtime', 'onnxruntime', aps='ap.json')
    assert '| n.onnx | 0.410 |' in capsys.readouterr().out


def test_figures_of_several_runtimes_are_not_mixed(results):
    with pytest.raises(ValueError, match='several: runtime onnxruntime, eager; choose with --runtime'):
        run(results)
    with pytest.raises(ValueError, match='no figures of n; the results have mbv3_yolo_large'):
        run(results, '--runtime', 'eager')
    with pytest.raises(ValueError, match='no figures with'):
        run(results, '--size', '640')
    assert not (results / 'a.svg').exists()


def test_families():
    assert frontier.usual_family('mbv3_yolo_small.synth') == 'mbv3zoo' and frontier.usual_family('n') == 'others'
