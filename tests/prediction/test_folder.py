import json
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from mbv3zoo.models.postprocess.thresholds import PREDICTION
from mbv3zoo.prediction.folder import write_predictions


class OneBox:
    """Finds one thing in each picture, without torch."""

    info = SimpleNamespace(image_size=(64, 64), in_chans=3, class_names=('thing', 'other'))
    tensors, thresholds = False, PREDICTION

    def __init__(self, fail_at=None):
        self.seen, self.fail_at = 0, fail_at

    def detect(self, images, thresholds):
        self.seen += len(images)
        if self.fail_at is not None and self.seen > self.fail_at:
            raise RuntimeError('no more memory')
        kept = np.array([[8, 8, 40, 40]], np.float32), np.array([0.75], np.float32), np.array([1])
        return [kept for _ in images]


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / 'in'
    (folder / 'more').mkdir(parents=True)
    for name in ('a.png', 'b.jpg', 'more/a.png'):
        Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(folder / name)
    (folder / 'c.png').write_bytes(b'not a picture')
    return folder


def test_pictures_json_and_lines(folder, tmp_path):
    out = tmp_path / 'out'
    with pytest.warns(UserWarning, match='c.png'):
        lines = list(write_predictions(OneBox(), f'{folder}/**/*', out))
    assert [line.rpartition(': ')[2] for line in lines[:2]] == ['1 other', '1 other']
    assert 'not an image' in lines[2] and lines[-1] == f'4 pictures; results in {out}'
    rows = json.loads((out / 'predictions.json').read_text(encoding='utf-8'))
    assert [row.get('drawn') for row in rows] == ['a.jpg', 'b.jpg', None, 'a-2.jpg']
    assert rows[0]['detections'] == [{'box': [8, 8, 40, 40], 'score': 0.75, 'label': 1, 'name': 'other'}]
    assert rows[2]['error'] and rows[2]['detections'] == []
    assert sorted(path.name for path in out.iterdir()) == ['a-2.jpg', 'a.jpg', 'b.jpg', 'predictions.json']
    assert np.asarray(Image.open(out / 'a.jpg')).any()


def test_without_drawing(folder, tmp_path):
    lines = list(write_predictions(OneBox(), [folder / 'a.png', folder / 'b.jpg'], tmp_path / 'out', draw=False))
    assert len(lines) == 3 and [path.name for path in (tmp_path / 'out').iterdir()] == ['predictions.json']


def test_no_pictures(tmp_path):
    assert list(write_predictions(OneBox(), [], tmp_path / 'out')) == [f'0 pictures; results in {tmp_path / "out"}']
    assert json.loads((tmp_path / 'out' / 'predictions.json').read_text()) == []


def test_what_is_not_whole_does_not_have_the_name_of_it(folder, tmp_path):
    pictures = [folder / 'a.png'] * 4
    with pytest.raises(RuntimeError, match='no more memory'):
        list(write_predictions(OneBox(fail_at=2), pictures, tmp_path / 'out', batch_size=1))
    assert not (tmp_path / 'out' / 'predictions.json').exists()


def test_nothing_is_written_over(folder, tmp_path):
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out' / 'mine.txt').write_text('x')
    with pytest.raises(ValueError, match='out'):
        list(write_predictions(OneBox(), folder / 'a.png', tmp_path / 'out'))
    with pytest.raises(ValueError, match='no file'):
        list(write_predictions(OneBox(), folder / 'gone.png', tmp_path / 'new'))
    assert not (tmp_path / 'new').exists()
