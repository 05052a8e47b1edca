import json

import pytest
from PIL import Image
from program import run


def test_predict_without_drawing(tmp_path, scenes):
    out, images = tmp_path / 'found', scenes / 'images' / 'val'
    lines = run('predict', 'mbv3_yolo_small.synth', images, '--image-size', 96, '--no-draw', '--out', out).output
    assert [path.name for path in out.iterdir()] == ['predictions.json'] and str(out) in lines
    assert len(json.loads((out / 'predictions.json').read_text())) == 3
    options = ['--image-size', 96, '--no-draw', '--out', tmp_path / 'sure', '--score-thresh', 1, '--batch-size', 1]
    lines = run('predict', 'mbv3_yolo_small.synth', images, *options).output
    assert lines.count('nothing found') == 3


def test_images_of_more_pixels_than_asked_for_are_named_and_the_others_found(tmp_path):
    folder = tmp_path / 'images'
    folder.mkdir()
    for name, size in {'a.png': (64, 48), 'b.png': (640, 480), 'c.png': (64, 48)}.items():
        Image.new('RGB', size).save(folder / name)
    options = ['--image-size', 96, '--no-draw', '--max-pixels', 10_000]
    with pytest.warns(UserWarning, match=r'b\.png'):
        run('predict', 'mbv3_yolo_small.synth', folder, '--out', tmp_path / 'found', *options)
    rows = json.loads((tmp_path / 'found/predictions.json').read_text())
    errors = [row['error'] for row in rows]
    assert errors[0] is errors[2] is None and '640 x 480 are 307200 pixels, more than 10000;' in errors[1]
    failed = run('predict', 'mbv3_yolo_small.synth', folder / 'b.png', '--out', tmp_path / 'one', *options, ok=False)
    assert 'more than 10000' in str(failed.exception)


def test_the_limit_of_pixels_is_for_images(tmp_path):
    options = ['--max-pixels', 10_000, '--out', tmp_path / 'found']
    failed = run('predict', 'mbv3_yolo_small.synth', tmp_path / 'a.mp4', *options, ok=False)
    assert '--max-pixels is for image files' in str(failed.exception)
