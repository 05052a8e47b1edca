import numpy as np
import pytest
from PIL import Image

from mbv3zoo import load_dataset
from mbv3zoo.detections import Detections
from mbv3zoo.prediction.label_files import LabelFiles

NAMES = ('cat', 'yes', '12', 'a: b # c', '猫')
BOXES = [[0.0, 0.0, 64.0, 48.0], [10.5, 20.25, 30.0, 40.0], [63.0, 47.0, 64.0, 48.0]]


def found(path, count=3, labels=(4, 0, 2)):
    boxes = np.array(BOXES[:count], np.float32).reshape(-1, 4)
    scores = np.linspace(0.9, 0.5, count, dtype=np.float32)
    return Detections(boxes, scores, np.array(labels[:count], np.int64), NAMES, (48, 64), path)


def test_lines_are_class_centre_and_size_as_shares_with_six_digits(tmp_path):
    labels = LabelFiles(tmp_path, NAMES)
    assert labels.add(found('in/a.jpg')) == 'labels/a.txt'
    lines = (tmp_path / 'labels/a.txt').read_text().splitlines()
    assert lines[:2] == ['4 0.500000 0.500000 1.000000 1.000000', '0 0.316406 0.627604 0.304688 0.411458']
    assert (tmp_path / 'labels/classes.txt').read_text(encoding='utf-8').splitlines() == list(NAMES)


def test_scores_are_the_last_column_where_they_are_asked_for(tmp_path):
    LabelFiles(tmp_path, NAMES, scores=True).add(found('a.jpg', 1))
    assert (tmp_path / 'labels/a.txt').read_text() == '4 0.500000 0.500000 1.000000 1.000000 0.900000\n'


def test_an_image_without_objects_has_an_empty_file_and_equal_names_are_numbered(tmp_path):
    labels = LabelFiles(tmp_path, NAMES)
    names = [labels.add(found(path, 0)) for path in ('a/x.jpg', 'b/x.png', 'classes.jpg', None)]
    assert names == ['labels/x.txt', 'labels/x-2.txt', 'labels/classes-2.txt', 'labels/image.txt']
    assert all((tmp_path / name).read_text() == '' for name in names)


def test_with_the_images_beside_them_the_labels_are_read_back_as_a_dataset(tmp_path):
    labels = LabelFiles(tmp_path, NAMES)
    (tmp_path / 'images').mkdir()
    for name, count in (('a', 3), ('b', 0)):
        labels.add(found(f'{name}.png', count))
        Image.new('RGB', (64, 48)).save(tmp_path / 'images' / f'{name}.png')
    for split in ('train', 'val'):
        data = load_dataset(tmp_path / 'data.yaml', split)
        assert tuple(data.class_names) == NAMES and len(data) == 2
        first, second = data.records
        assert np.allclose(first.boxes, BOXES, atol=1e-3) and list(first.labels) == [4, 0, 2]
        assert len(second.boxes) == 0


def test_a_disk_that_is_full_is_named(tmp_path, monkeypatch):
    labels = LabelFiles(tmp_path, NAMES)

    def full(path, data):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr('pathlib.Path.write_bytes', full)
    with pytest.raises(OSError, match=r'a\.txt'):
        labels.add(found('a.jpg'))
