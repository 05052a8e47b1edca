import json

import pytest
from labelled import as_set, found, random_pictures, record
from PIL import Image

from mbv3zoo.evaluation.coco import score
from mbv3zoo.plots.report import write_report

NAMES = ['confusion_matrix.png', 'f1_curve.png', 'metrics.json', 'pr_curve.png', 'predictions.png']


@pytest.fixture
def drawn(tmp_path):
    data, detections = random_pictures(0, images=4)
    for known in data.records:
        Image.new('RGB', known.size[::-1]).save(tmp_path / known.path)
    return data, detections


def test_report(tmp_path, monkeypatch, drawn):
    monkeypatch.chdir(tmp_path)
    evaluation = score(*drawn)
    folder = tmp_path / 'new' / 'report'
    write_report(evaluation, drawn[0], folder)
    assert sorted(path.name for path in folder.iterdir()) == NAMES
    for name in NAMES:
        if name.endswith('.png'):
            with Image.open(folder / name) as image:
                image.load()
                assert image.format == 'PNG'
    assert json.loads((folder / 'metrics.json').read_text()) == evaluation.metrics.to_dict()
    # A later one takes its place.
    write_report(evaluation, drawn[0], folder)
    assert sorted(path.name for path in folder.iterdir()) == NAMES


def test_nothing_found_nothing_to_find(tmp_path):
    Image.new('RGB', (300, 200)).save(tmp_path / 'a.png')
    for i, known in enumerate([record(1, path=tmp_path / 'a.png'), record(1, [[1, 1, 9, 9]], path=tmp_path / 'a.png')]):
        data = as_set(known)
        write_report(score(data, [found()]), data, tmp_path / str(i))
        assert sorted(path.name for path in (tmp_path / str(i)).iterdir()) == NAMES
