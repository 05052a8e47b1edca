import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import mbv3zoo
from mbv3zoo.integrations.ray_detector import RayDetector
from mbv3zoo.synth import SyntheticConfig, synthesize

MODEL = 'mbv3_yolo_small.synth'


@pytest.fixture(scope='module')
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp('scenes')
    synthesize(folder, SyntheticConfig(train=1, val=4, image_size=160, workers=1))
    return sorted((folder / 'images/val').iterdir())


@pytest.fixture(scope='module')
def find():
    return RayDetector(MODEL, score_thresh=0.3)


def test_a_batch_gives_what_predict_gives(find, pictures):
    images = [np.asarray(mbv3zoo.load_dataset(pictures[0].parents[2], 'val').draw(0)) for _ in range(2)]
    images.append(images[0][:100])
    column = np.empty(3, object)
    for row, image in enumerate(images):
        column[row] = image
    batch = {'image': column, 'id': np.arange(3)}
    found = find(batch)
    assert sorted(found) == ['boxes', 'id', 'labels', 'names', 'scores'] and found['id'].tolist() == [0, 1, 2]
    expected = mbv3zoo.load(MODEL).predict(images, score_thresh=0.3)
    for row, own in enumerate(expected):
        assert np.allclose(found['boxes'][row], own.boxes, atol=1e-3) and found['boxes'][row].dtype == np.float32
        assert np.allclose(found['scores'][row], own.scores, atol=1e-4) and len(own) > 0
        assert found['names'][row] == [own.class_names[label] for label in found['labels'][row]]
    assert list(batch) == ['image', 'id']


def test_images_without_objects_and_batches_without_images(find):
    found = find({'image': np.zeros((2, 64, 96, 3), np.uint8)})
    assert [boxes.shape for boxes in found['boxes']] == [(0, 4)] * 2 and list(found['names']) == [[], []]
    assert len(find({'image': np.zeros((0, 64, 96, 3), np.uint8)})['boxes']) == 0


def test_paths(find, pictures):
    found = RayDetector(MODEL, column='path', score_thresh=0.3)({'path': np.array([*map(str, pictures)])})
    assert len(found['boxes']) == len(pictures) and 'path' not in found


def test_what_is_wrong_is_told(find, tmp_path):
    with pytest.raises(ValueError, match=r"the batch has no column 'image', only \['bytes'\]; name it with column"):
        find({'bytes': np.zeros(1)})
    with pytest.raises(ValueError, match='none.jpg'):
        RayDetector(MODEL, column='path')({'path': np.array([str(tmp_path / 'none.jpg')])})


PROGRAM = """
import sys
import numpy as np, ray, mbv3zoo
ray.init(num_cpus=2, include_dashboard=False, logging_level='ERROR')
files = sys.argv[1:]
images = ray.data.read_images(files, include_paths=True)
found = images.map_batches(
    mbv3zoo.RayDetector, fn_constructor_args=('mbv3_yolo_small.synth',), fn_constructor_kwargs={'score_thresh': 0.3},
    batch_size=2, concurrency=1,
)
rows = {row['path']: row for row in found.take_all()}
for file, own in zip(files, mbv3zoo.load('mbv3_yolo_small.synth').predict(files, score_thresh=0.3)):
    assert np.allclose(rows[file]['boxes'], own.boxes, atol=0.01) and len(own) > 0, (rows[file], own)
    assert list(rows[file]['names']) == [own.class_names[label] for label in own.labels]
print('equal')
"""


@pytest.mark.slow
def test_local_ray_finds_what_predict_finds(pictures):
    pytest.importorskip('ray')
    environment = os.environ | {'PYTHONPATH': str(Path.cwd()), 'OMP_NUM_THREADS': '1'}
    command = [sys.executable, '-c', PROGRAM, *map(str, pictures)]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert ran.stdout.strip().endswith('equal'), ran.stderr[-2000:]
