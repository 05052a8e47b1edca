import json
from pathlib import Path

from program import run

from mbv3zoo.detector import Detector

REPORT = ['confusion_matrix.png', 'metrics.json', 'pr_curve.png', 'predictions.png']


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
