import json
from pathlib import Path

from PIL import Image
from program import run


def test_train_val_predict(tmp_path, scenes):
    out = tmp_path / 'run'
    size = ['--image-size', 64, '--batch-size', 4, '--workers', 0]
    output = run('train', '--data', scenes, '--model', 'mbv3_yolo_small_050', '--epochs', 1, *size, '--out', out).output
    assert 'AP50' in output and str(out) in output
    again = run('train', '--data', scenes, '--epochs', 1, '--out', out, ok=False)
    assert isinstance(again.exception, ValueError) and 'exists' in str(again.exception)

    run('val', out / 'best', '--data', scenes, '--workers', 0, '--out', tmp_path / 'report')
    assert json.loads((tmp_path / 'report' / 'metrics.json').read_text())['images'] == 3

    found = tmp_path / 'found'
    run('predict', out / 'last', scenes / 'images' / 'val', '--out', found, '--score-thresh', 0.001)
    rows = json.loads((found / 'predictions.json').read_text())
    assert [Path(row['path']).name for row in rows] == ['000000.jpg', '000001.jpg', '000002.jpg']
    for row in rows:
        with Image.open(found / row['drawn']) as drawn, Image.open(row['path']) as original:
            assert drawn.size == original.size
    again = run('predict', out / 'last', scenes / 'images' / 'val', '--out', found, ok=False)
    assert 'exists' in str(again.exception)


def test_train_needs_a_data_set_and_known_settings(scenes):
    assert '--data' in str(run('train', ok=False).exception)
    error = str(run('train', '--data', scenes, '--set', 'mosiac=1', ok=False).exception)
    assert "'mosiac'" in error and "'mosaic'" in error
    assert 'name=value' in str(run('train', '--data', scenes, '--set', 'mosaic', ok=False).exception)


def test_preview_draws_a_batch_and_trains_nothing(tmp_path, monkeypatch, scenes):
    monkeypatch.chdir(tmp_path)
    options = ['--data', scenes, '--model', 'mbv3_yolo_small_050', '--image-size', 64]
    run('train', *options, '--preview', 'look/batch.png')
    with Image.open('look/batch.png') as image:
        assert image.format == 'PNG' and min(image.size) > 300
    assert [path.name for path in tmp_path.rglob('*') if path.is_file()] == ['batch.png']
