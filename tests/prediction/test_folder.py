import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from mbv3zoo.detections import Detections
from mbv3zoo.models.postprocess.thresholds import PREDICTION
from mbv3zoo.prediction.failures import PredictionStopped
from mbv3zoo.prediction.folder import write_predictions


class OneBox:
    """Finds one thing in each picture, without torch."""

    info = SimpleNamespace(image_size=(64, 64), in_chans=3, class_names=('thing', 'other'))
    tensors, thresholds = False, PREDICTION

    def __init__(self, error=None, fail_at=None):
        self.seen, self.error, self.fail_at = 0, error, fail_at

    def detect(self, images, thresholds):
        self.seen += len(images)
        if self.fail_at is not None and self.seen > self.fail_at:
            raise self.error
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
    assert 'not an image' in lines[2] and lines[-1] == f'4 pictures, 1 could not be read; results in {out}'
    rows = json.loads((out / 'predictions.json').read_text(encoding='utf-8'))
    assert [row.get('drawn') for row in rows] == ['a.jpg', 'b.jpg', None, 'a-2.jpg']
    assert rows[0]['detections'] == [{'box': [8, 8, 40, 40], 'score': 0.75, 'label': 1, 'name': 'other'}]
    assert rows[2]['error'] and rows[2]['detections'] == []
    assert sorted(path.name for path in out.iterdir()) == ['a-2.jpg', 'a.jpg', 'b.jpg', 'predictions.json']
    assert np.asarray(Image.open(out / 'a.jpg')).any()


def test_without_drawing(folder, tmp_path):
    lines = list(write_predictions(OneBox(), [folder / 'a.png', folder / 'b.jpg'], tmp_path / 'out', draw=False))
    assert len(lines) == 3 and [path.name for path in (tmp_path / 'out').iterdir()] == ['predictions.json']


def test_labels_and_crops_are_written_and_named_in_the_rows(folder, tmp_path):
    out, images = tmp_path / 'out', [folder / name for name in ('a.png', 'c.png', 'more/a.png')]
    with pytest.warns(UserWarning, match='c.png'):
        list(write_predictions(OneBox(), images, out, draw=False, save_txt=True, save_crop=True))
    rows = rows_of(out)
    assert [row.get('labels') for row in rows] == ['labels/a.txt', None, 'labels/a-2.txt']
    assert [row.get('crops') for row in rows] == [['crops/other/a_0.jpg'], None, ['crops/other/a-2_0.jpg']]
    assert all(
        (out / name).is_file() for row in rows for name in [*row.get('crops', []), *filter(None, [row.get('labels')])]
    )
    assert (out / 'labels/a.txt').read_text() == '1 0.375000 0.375000 0.500000 0.500000\n'


def test_crops_that_fail_are_that_images_error(folder, tmp_path, monkeypatch):
    def fail(found, image=None):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(Detections, 'crops', fail)
    lines = list(write_predictions(OneBox(), [folder / 'a.png'], tmp_path / 'out', save_crop=True))
    (row,) = rows_of(tmp_path / 'out')
    assert row['drawn'] == 'a.jpg' and 'No space left' in row['crop_error'] and 'not cropped' in lines[0]
    assert ', 1 could not be cropped;' in lines[-1]


def test_scores_without_labels_are_refused(folder, tmp_path):
    with pytest.raises(ValueError, match='save_conf adds the scores to the files of save_txt'):
        list(write_predictions(OneBox(), folder / 'a.png', tmp_path / 'out', save_conf=True))
    assert not (tmp_path / 'out').exists()


def test_no_pictures(tmp_path):
    assert list(write_predictions(OneBox(), [], tmp_path / 'out')) == [f'0 pictures; results in {tmp_path / "out"}']
    assert json.loads((tmp_path / 'out' / 'predictions.json').read_text()) == []


def rows_of(out):
    return json.loads((out / 'predictions.json').read_text(encoding='utf-8'))


@pytest.mark.parametrize('draw', [True, False])
@pytest.mark.parametrize(
    ('error', 'words'),
    [
        (RuntimeError('no more memory'), 'RuntimeError: no more memory'),
        (MemoryError(), 'MemoryError'),
        (OSError(28, 'No space left on device', 'swap'), 'No space left on device: swap'),
        (ValueError('another\nsize'), 'another size'),
    ],
)
def test_what_was_found_before_a_failure_is_kept_and_said(folder, tmp_path, error, words, draw):
    out, images = tmp_path / 'out', [folder / 'a.png'] * 4
    lines = []
    with pytest.raises(PredictionStopped) as stop:
        lines.extend(write_predictions(OneBox(error, fail_at=2), images, out, batch_size=1, draw=draw))
    expected = f'{out}: stopped after 2 of 4 images: {words}; predictions.json has the rows of the 2'
    assert str(stop.value) == expected and stop.value.__cause__ is error
    assert [len(row['detections']) for row in rows_of(out)] == [1, 1]
    drawn = ['a-2.jpg', 'a.jpg'] if draw else []
    assert sorted(path.name for path in out.iterdir()) == [*drawn, 'predictions.json']


@pytest.mark.parametrize('error', [ValueError('of another size'), OSError('gone'), KeyboardInterrupt()])
def test_a_mistake_at_the_first_image_is_only_itself(folder, tmp_path, error):
    with pytest.raises(type(error)) as stop:
        list(write_predictions(OneBox(error, fail_at=0), [folder / 'a.png'] * 2, tmp_path / 'out'))
    assert stop.value is error and not list((tmp_path / 'out').iterdir())


def test_an_interruption_keeps_and_says_what_was_found(folder, tmp_path):
    out, images = tmp_path / 'out', [folder / 'a.png'] * 4
    with pytest.raises(KeyboardInterrupt, match='stopped after 3 of 4 images: interrupted; predictions.json has the'):
        list(write_predictions(OneBox(KeyboardInterrupt(), fail_at=3), images, out, batch_size=1))
    assert len(rows_of(out)) == 3


def test_whoever_takes_no_more_lines_has_the_rows_until_then(folder, tmp_path):
    lines = write_predictions(OneBox(), [folder / 'a.png'] * 9, tmp_path / 'out', batch_size=1)
    next(lines)
    lines.close()
    assert 1 <= len(rows_of(tmp_path / 'out')) < 9


@pytest.mark.parametrize(
    'error', [OSError(28, 'No space left on device'), ValueError('x'), MemoryError(), KeyError('x')]
)
def test_a_drawing_that_fails_is_that_images_error(folder, tmp_path, monkeypatch, error):
    draw = Detections.draw

    def fail_once(found, image=None):
        if found.path.endswith('b.jpg'):
            raise error
        return draw(found, image)

    monkeypatch.setattr(Detections, 'draw', fail_once)
    out = tmp_path / 'out'
    lines = list(write_predictions(OneBox(), [folder / name for name in ('a.png', 'b.jpg', 'more/a.png')], out))
    rows = rows_of(out)
    assert [row.get('drawn') for row in rows] == ['a.jpg', None, 'a-2.jpg']
    assert rows[1]['draw_error'] and rows[1]['draw_error'] in lines[1] and len(rows[1]['detections']) == 1
    assert 'draw_error' not in rows[0] and lines[-1] == f'3 pictures, 1 could not be drawn; results in {out}'
    assert sorted(path.name for path in out.iterdir()) == ['a-2.jpg', 'a.jpg', 'predictions.json']


@pytest.mark.parametrize(
    'name', [b'\xff.png', b'caf\xe9 (1).png', b'a\nb.png', b'\x1b[31m.png', '猫\u202e.png'.encode()]
)
def test_names_of_files_come_back_from_the_json_and_leave_one_line_each(folder, tmp_path, name):
    path = folder / os.fsdecode(name)
    (folder / 'a.png').rename(path)
    out = tmp_path / 'out'
    lines = list(write_predictions(OneBox(), [path, folder / 'b.jpg'], out))
    (row, _) = rows_of(out)
    assert row['path'] == str(path) and row['drawn'] == f'{path.stem}.jpg' and (out / row['drawn']).is_file()
    assert len(lines) == 3 and all(line.isprintable() for line in lines)
    lines[0].encode('utf-8')


def test_a_broken_file_with_a_line_end_in_its_name_is_one_line_too(folder, tmp_path):
    path = folder / os.fsdecode(b'c\n\xff.png')
    (folder / 'c.png').rename(path)
    with pytest.warns(UserWarning) as warned:
        lines = list(write_predictions(OneBox(), [path, folder / 'a.png'], tmp_path / 'out'))
    assert all('\n' not in line and line.isprintable() for line in [*lines, str(warned[0].message)])
    assert rows_of(tmp_path / 'out')[0]['path'] == str(path)


def test_images_in_memory_are_drawn_too(tmp_path):
    images = [np.zeros((64, 64, 3), np.uint8), Image.new('L', (64, 32))]
    list(write_predictions(OneBox(), images, tmp_path / 'out'))
    assert [row['drawn'] for row in rows_of(tmp_path / 'out')] == ['image.jpg', 'image-2.jpg']


FULL = """
import resource, sys
from test_folder import OneBox
from mbv3zoo.prediction.failures import PredictionStopped
from mbv3zoo.prediction.folder import write_predictions
resource.setrlimit(resource.RLIMIT_FSIZE, (1200, 1200))
try:
    for line in write_predictions(OneBox(), [sys.argv[1]] * 20, sys.argv[2]):
        print(line)
except RuntimeError as error:
    print(error)
"""


def test_a_disk_that_takes_no_more_keeps_the_whole_rows(folder, tmp_path):
    """As a full disk, for this process: no file may be larger than 1200 bytes."""
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(folder / 'noise.png')
    out = tmp_path / 'out'
    env = {**os.environ, 'PYTHONPATH': os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    command = [sys.executable, '-c', FULL, str(folder / 'noise.png'), str(out)]
    said = subprocess.run(command, env=env, capture_output=True, text=True)
    lines = said.stdout.splitlines()
    rows = rows_of(out)
    assert 0 < len(rows) == len(lines) - 1 < 20, said.stderr
    assert lines[-1].startswith(
        f'{out}: stopped after {len(rows)} of 20 images: could not write predictions.json in the'
    )
    assert '(File too large); ' in lines[-1]
    assert lines[-1].endswith(f'; predictions.json has the rows of the {len(rows)}')
    assert all('File too large' in row['draw_error'] for row in rows)
    assert [path.name for path in out.iterdir()] == ['predictions.json']


def test_nothing_is_written_over(folder, tmp_path):
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out' / 'mine.txt').write_text('x')
    with pytest.raises(ValueError, match='out'):
        list(write_predictions(OneBox(), folder / 'a.png', tmp_path / 'out'))
    with pytest.raises(ValueError, match='no file'):
        list(write_predictions(OneBox(), folder / 'gone.png', tmp_path / 'new'))
    assert not (tmp_path / 'new').exists()


class Segments:
    """A segmenter without torch: all is the second class."""

    info = SimpleNamespace(image_size=(64, 64), in_chans=3, class_names=('thing', 'other'), task='segmentation')
    tensors, thresholds = False, PREDICTION

    def run(self, images):
        return [np.stack([np.zeros((len(images), 8, 8)), np.ones((len(images), 8, 8))], 1)]


def test_of_a_segmenter_images_masks_and_shares_are_written(folder, tmp_path):
    out = tmp_path / 'out'
    with pytest.warns(UserWarning, match='c.png'):
        lines = list(write_predictions(Segments(), f'{folder}/**/*', out))
    assert [line.rpartition(': ')[2] for line in lines[:2]] == ['100% other', '100% other']
    assert lines[-1] == f'4 pictures, 1 could not be read; results in {out}'
    rows = rows_of(out)
    assert [row.get('drawn') for row in rows] == ['a.jpg', 'b.jpg', None, 'a-2.jpg']
    assert [row.get('masks') for row in rows] == ['masks/a.png', 'masks/b.png', None, 'masks/a-2.png']
    assert rows[0]['classes'] == [{'label': 1, 'name': 'other', 'share': 1.0}]
    assert rows[2]['error'] and rows[2]['classes'] == []
    with Image.open(out / 'masks/a-2.png') as mask:
        assert mask.mode == 'P' and np.array_equal(np.asarray(mask), np.ones((64, 64)))
    assert (out / 'masks/classes.txt').read_text() == 'thing\nother\n'
    list(write_predictions(Segments(), [folder / 'a.png'], tmp_path / 'undrawn', draw=False))
    assert sorted(path.name for path in (tmp_path / 'undrawn').iterdir()) == ['masks', 'predictions.json']


@pytest.mark.parametrize('option', ['save_txt', 'save_crop', 'label_studio'])
def test_files_of_boxes_are_refused_for_a_segmenter(folder, tmp_path, option):
    with pytest.raises(ValueError, match=f'^{option}: of detectors only'):
        next(write_predictions(Segments(), folder, tmp_path / 'out', **{option: True}))
    assert not (tmp_path / 'out').exists()
