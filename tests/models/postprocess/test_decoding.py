"""What torch tensors and NumPy arrays share gives both the same bits."""

import math
import subprocess
import sys

import numpy as np
import pytest
import torch

from mbv3zoo.models.postprocess.decoding import decode_boxes, decode_centers, decode_sides, least_logit


@pytest.mark.parametrize('count', [0, 1, 1000])
def test_arrays_and_tensors_to_the_bit(count):
    generator = torch.Generator().manual_seed(0)
    probability = torch.rand(count, 4, generator=generator)
    cells = torch.randint(80, (count, 2), generator=generator).float()
    anchors, strides = torch.rand(count, 2, generator=generator) * 300, torch.full((count, 1), 8.0)
    parts = probability, cells, anchors, strides
    boxes = decode_boxes(*parts)
    arrays = decode_boxes(*(part.numpy() for part in parts))
    assert isinstance(boxes, torch.Tensor) and isinstance(arrays, np.ndarray)
    assert boxes.shape == arrays.shape == (count, 4) and boxes.dtype == torch.float32 and arrays.dtype == np.float32
    assert arrays.tobytes() == boxes.numpy().tobytes()


def test_centres_and_sides_are_those_of_the_boxes():
    s, cells, anchors = torch.tensor([[0.25, 0.5]]), torch.tensor([[3.0, 4]]), torch.tensor([[10.0, 20]])
    assert decode_centers(s, cells).tolist() == [[3.0, 4.5]] and decode_centers(s, 0).tolist() == [[0.0, 0.5]]
    assert decode_sides(s, anchors).tolist() == [[2.5, 20]]
    boxes = decode_boxes(torch.cat([s, s], 1), cells, anchors, 8)
    assert boxes.tolist() == [[24 - 1.25, 36 - 10, 24 + 1.25, 36 + 10]]


def test_least_logit_is_a_little_below_the_logit():
    for score in (1e-6, 0.001, 0.25, 0.5, 0.999):
        exact = math.log(score / (1 - score))
        assert exact - 0.01 < least_logit(score) < exact
    assert least_logit(0) == -math.inf and math.isfinite(least_logit(1))


def test_needs_no_torch():
    code = 'import sys, mbv3zoo.models.postprocess.decoding; sys.exit(int("torch" in sys.modules))'
    assert subprocess.run([sys.executable, '-c', code], check=False).returncode == 0
