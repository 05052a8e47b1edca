from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from io import BytesIO

import pytest
import torch

from mbv3zoo.models.pyramid import PyramidBackbone


@pytest.fixture(scope='module')
def backbone():
    return PyramidBackbone('xception41', (64, 64)).eval()


def run(backbone, image):
    with torch.inference_mode():
        return backbone(image)


def test_threads_get_the_maps_of_their_own_images(backbone):
    images = [torch.rand(1, 3, 64, 64) for _ in range(6)]
    expected = [run(backbone, image) for image in images]
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda image: run(backbone, image), images))
    for own, other in zip(found, expected, strict=True):
        assert all(map(torch.equal, own, other))


def test_a_copy_and_a_saved_model_run(backbone):
    image, file = torch.rand(1, 3, 64, 64), BytesIO()
    expected = run(backbone, image)
    assert all(map(torch.equal, run(deepcopy(backbone), image), expected))
    torch.save(backbone, file)
    file.seek(0)
    assert all(map(torch.equal, run(torch.load(file, weights_only=False), image), expected))
