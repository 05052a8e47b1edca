"""What is kept of the same boxes and scores against YOLOv5's own; see README.md for how the cases were made."""

from pathlib import Path

import numpy as np
import pytest
import torch
from dense_nms import postprocess

CASES = Path(__file__).with_name('cases')
SETTINGS = {
    'use': {'score_thresh': 0.25, 'iou_thresh': 0.45},
    'val': {'score_thresh': 0.001, 'iou_thresh': 0.6, 'multi_label': True},
}


@pytest.mark.parametrize('setting', SETTINGS)
@pytest.mark.parametrize('num_classes', [1, 20, 80])
def test_the_same_boxes_are_kept(num_classes, setting):
    """With 20 and with 80 classes, exact IoUs would keep others: YOLOv5 rounds the boxes of later classes."""
    case = np.load(CASES / f'nms_{num_classes}_classes.npz')
    (kept,) = postprocess(
        torch.from_numpy(case['boxes']), torch.from_numpy(case['scores']), max_detections=300, **SETTINGS[setting]
    )
    assert len(kept.boxes) > 10
    np.testing.assert_array_equal(kept.labels.numpy(), case[f'{setting}_labels'])
    np.testing.assert_allclose(kept.scores.numpy(), case[f'{setting}_scores'], rtol=0, atol=1e-6)
    np.testing.assert_allclose(kept.boxes.numpy(), case[f'{setting}_boxes'], rtol=0, atol=1e-4)
