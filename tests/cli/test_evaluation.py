import json
from pathlib import Path

import pytest
from PIL import Image
from program import run

from mbv3zoo.create import create_segmenter
from mbv3zoo.detector import Detector

REPORT = ['confusion_matrix.png', 'f1_curve.png', 'metrics.json', 'pr_curve.png', 'predictions.png']


def test_val_prints_a_table_and_writes_a_report(tmp_path, monkeypatch, scenes, saved):
    monkeypatch.chdir(tmp_path)
    for number in (1, 2):
        lines = run('val', saved, '--data', scenes, '--workers', 0).stdout.splitlines()
        assert sorted(path.name for path in Path('runs', f'val-{number}').iterdir()) == REPORT
    figures = json.loads(Path('runs', 'val-1', 'metrics.json').read_text())
    assert figures['images'] == 3 and 0 <= figures['ap'] < 0.5 and len(figures['classes']) == 16
    assert lines[0] == f'3 pictures, {figures["objects"]} objects' and lines[-1] == 'report in runs/val-2'
    assert lines[1].split() == ['class', 'AP', 'AP50', 'AP75', 'small', 'medium', 'large', 'objects']
    assert [line.split()[0] for line in lines[2:-1]] == ['all', *(row['name'] for row in figures['classes'])]


def test_val_of_another_split_as_coco_results(tmp_path, scenes, saved):
    out = tmp_path / 'report'
    detector = Detector.from_pretrained(saved)
    for conv in detector.head.convs:
        # An untrained one starts out sure of nothing, so that it may find nothing at all.
        conv.bias.data.fill_(0)
    saved = detector.save_pretrained(tmp_path / 'eager')
    options = ['--data', scenes, '--split', 'train', '--workers', 0, '--image-size', 96, '--out', out]
    output = run('val', saved, *options, '--save-json').stdout
    assert output.startswith('6 pictures')
    assert sorted(path.name for path in out.iterdir()) == sorted([*REPORT, 'predictions.json'])
    rows = json.loads((out / 'predictions.json').read_text())
    assert rows and set(rows[0]) == {'image_id', 'category_id', 'bbox', 'score'}
    assert {row['category_id'] for row in rows} <= set(range(1, 17))
    assert len({row['image_id'] for row in rows}) == 6
    # Refused before any work is done: the model is not even looked for.
    assert 'exists' in str(run('val', 'no-such-model', *options, ok=False).exception)


def test_val_of_exported_files_and_of_detectors_in_a_runtime(tmp_path, scenes):
    pytest.importorskip('onnxruntime')
    pytest.importorskip('onnxscript')
    name, size = 'mbv3_yolo_small.synth', ['--image-size', 96]
    run('export', name, tmp_path / 'model.onnx', *size)
    for out, model, options in (
        ('file', tmp_path / 'model.onnx', []),
        ('runtime', name, [*size, '--runtime', 'onnxruntime', '--threads', 1]),
        ('pytorch', name, [*size, '--threads', 1]),
    ):
        options = ['--data', scenes, '--workers', 0, '--out', tmp_path / out, *options]
        table = run('val', model, *options).stdout
        metrics = json.loads((tmp_path / out / 'metrics.json').read_text())
        assert table.splitlines()[2].split()[:2] == ['all', f'{metrics["ap"]:.3f}']
        assert sorted(path.name for path in (tmp_path / out).iterdir()) == REPORT
    pytorch = metrics
    assert pytorch['images'] == 3 and pytorch['ap'] > 0.05
    for out in ('file', 'runtime'):
        metrics = json.loads((tmp_path / out / 'metrics.json').read_text())
        assert metrics['ap'] == pytest.approx(pytorch['ap'], abs=1e-3)
    # A file has one size.
    error = run(
        'val', tmp_path / 'model.onnx', '--data', scenes, '--image-size', 128, '--out', tmp_path / 'no', ok=False
    )
    assert 'takes (96, 96) only' in str(error.exception)


def test_val_of_a_segmenter_prints_ious_and_writes_a_report(tmp_path):
    for split in ('train', 'val'):
        for kind in ('images', 'masks'):
            (tmp_path / 'set' / kind / split).mkdir(parents=True)
        for name, size in {'a': (64, 48), 'b': (30, 90)}.items():
            Image.new('RGB', size, (200, 0, 0)).save(tmp_path / f'set/images/{split}/{name}.png')
            Image.new('L', size, 1).save(tmp_path / f'set/masks/{split}/{name}.png')
    (tmp_path / 'set/masks/classes.txt').write_text('background\ncat\n')
    segmenter = create_segmenter('mbv3_yolo_small_050', class_names=['background', 'cat'], image_size=64)
    folder, out = segmenter.save_pretrained(tmp_path / 'model'), tmp_path / 'out'
    lines = run('val', folder, '--data', tmp_path / 'set', '--out', out, '--workers', 0).output.splitlines()
    assert lines[0].startswith('2 pictures, 5772 pixels') and lines[4].startswith('cat')
    assert sorted(path.name for path in out.iterdir()) == ['confusion_matrix.png', 'metrics.json', 'predictions.png']
    metrics = json.loads((out / 'metrics.json').read_text())
    assert metrics['images'] == 2 and f'{metrics["miou"]:.3f}' in lines[2]
    failed = run('val', folder, '--data', tmp_path / 'set', '--out', tmp_path / 'b', '--save-json', ok=False)
    assert '--save-json: of detectors only' in str(failed.exception) and not (tmp_path / 'b').exists()


def test_val_in_tiles(tmp_path, scenes, saved):
    pytest.importorskip('supervision')
    options = ['--data', scenes, '--workers', 0, '--image-size', 64]
    metrics = []
    for name, more in (('whole', []), ('tiles', ['--slice', '40x48', '--overlap', 0.1, '--slice-only'])):
        run('val', saved, *options, *more, '--out', tmp_path / name)
        metrics.append(json.loads((tmp_path / name / 'metrics.json').read_text()))
    assert metrics[0]['images'] == metrics[1]['images'] == 3
    failed = run('val', saved, *options, '--overlap', 0.1, ok=False)
    assert 'overlap and slice_only are for slice' in str(failed.exception)
    segmenter = create_segmenter('mbv3_lraspp_small', num_classes=16, image_size=64).save_pretrained(tmp_path / 'masks')
    failed = run('val', segmenter, *options, '--slice', 48, ok=False)
    assert '--slice: of detectors only' in str(failed.exception)
