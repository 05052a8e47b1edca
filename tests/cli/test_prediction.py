import json

from program import run


def test_predict_without_drawing(tmp_path, scenes):
    out, images = tmp_path / 'found', scenes / 'images' / 'val'
    lines = run('predict', 'mbv3_yolo_small.synth', images, '--image-size', 96, '--no-draw', '--out', out).output
    assert [path.name for path in out.iterdir()] == ['predictions.json'] and str(out) in lines
    assert len(json.loads((out / 'predictions.json').read_text())) == 3
    options = ['--image-size', 96, '--no-draw', '--out', tmp_path / 'sure', '--score-thresh', 1, '--batch-size', 1]
    lines = run('predict', 'mbv3_yolo_small.synth', images, *options).output
    assert lines.count('nothing found') == 3
