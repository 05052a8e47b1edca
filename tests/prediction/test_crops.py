from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from mbv3zoo.detections import Detections
from mbv3zoo.prediction.crops import Crops

NAMES = ('cat', '../../dog')


@pytest.fixture
def crops(tmp_path):
    with ThreadPoolExecutor(1) as pool:
        yield Crops(tmp_path / 'out', NAMES, pool)


def found(path, boxes, labels):
    scores = np.full(len(labels), 0.5, np.float32)
    return Detections(np.array(boxes, np.float32).reshape(-1, 4), scores, np.array(labels), NAMES, (100, 120), path)


def test_objects_are_cut_out_into_folders_of_their_classes(crops, tmp_path):
    pixels = np.zeros((100, 120, 3), np.uint8)
    pixels[20:80, 10:60] = (200, 30, 30)
    boxes = [[10, 20, 60, 80], [-5, -5, 8, 9], [119.5, 99.5, 300, 300]]
    names = crops.submit(found('in/a.png', boxes, [1, 0, 0]), pixels).result()
    assert names == ['crops/.._.._dog/a_0.jpg', 'crops/cat/a_1.jpg', 'crops/cat/a_2.jpg']
    images = [Image.open(tmp_path / 'out' / name) for name in names]
    assert [image.size for image in images] == [(50, 60), (8, 9), (1, 1)]
    assert np.abs(np.asarray(images[0]).astype(int) - (200, 30, 30)).max() < 8
    assert {path.name for path in tmp_path.iterdir()} == {'out'}


def test_images_of_one_name_are_numbered_and_one_without_objects_has_none(crops):
    pixels = Image.new('RGB', (120, 100))
    names = [crops.submit(found(path, [[0, 0, 9, 9]], [0]), pixels).result() for path in ('a/x.jpg', 'b/X.jpg', None)]
    assert names == [['crops/cat/x_0.jpg'], ['crops/cat/X-2_0.jpg'], ['crops/cat/image_0.jpg']]
    assert crops.submit(found('c/y.jpg', [], np.zeros(0, np.int64)), pixels).result() == []
