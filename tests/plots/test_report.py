import json

import numpy as np
import pytest
from labelled import as_set, found, random_pictures, record
from PIL import Image

from mbv3zoo.data.masks import MaskRecord, MaskSet
from mbv3zoo.detections.segmentation import Segmentation
from mbv3zoo.evaluation.coco import score
from mbv3zoo.evaluation.masks import count_labels, score_labels
from mbv3zoo.images.masks import indexed_image
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


def test_the_report_of_a_segmenter(tmp_path):
    records = []
    for i in range(3):
        Image.new('RGB', (120, 60), (90, 90, 90)).save(tmp_path / f'{i}.png')
        labels = np.zeros((60, 120), np.uint8)
        labels[:, :40], labels[:10] = 1, 255
        indexed_image(labels).save(tmp_path / f'{i}_mask.png')
        records.append(MaskRecord(tmp_path / f'{i}.png', (60, 120), tmp_path / f'{i}_mask.png', frozenset({0, 1}), i))
    data = MaskSet(records, ('background', 'cat', 'dog'))
    found = [Segmentation(np.minimum(record.read(), 2), data.class_names) for record in records]
    evaluation = score_labels(data, [count_labels(data, range(3), found)])
    write_report(evaluation, data, tmp_path / 'report')
    names = ['confusion_matrix.png', 'metrics.json', 'predictions.png']
    assert sorted(path.name for path in (tmp_path / 'report').iterdir()) == names
    assert json.loads((tmp_path / 'report/metrics.json').read_text()) == evaluation.metrics.to_dict()
    sheet = np.asarray(Image.open(tmp_path / 'report/predictions.png'))
    # Truth and prediction beside each other: the same, but for the rows of no class, which are found as dogs.
    left, right = sheet[45:235, 10:410], sheet[45:235, 412:812]
    assert left.shape == right.shape and (left == right)[60:].all() and (left != right)[:25].any()
