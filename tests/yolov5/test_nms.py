"""What is kept of the same boxes and scores against YOLOv5's own; see README.md for how the cases were made."""

from pathlib import Path

import numpy as np
import pytest
import torch
from dense_nms import postprocess
from slow_nms import iou

CASES = Path(__file__).with_name('cases')
SETTINGS = {
    'use': {'score_thresh': 0.25, 'iou_thresh': 0.45},
    'val': {'score_thresh': 0.001, 'iou_thresh': 0.6, 'multi_label': True},
}


# Boxes that only one of both keeps.
APART = {(20, 'val'): 2, (80, 'use'): 1}


@pytest.mark.parametrize('setting', SETTINGS)
@pytest.mark.parametrize('num_classes', [1, 20, 80])
def test_the_same_boxes_are_kept(num_classes, setting):
    """YOLOv5 rounds the boxes of later classes, here IoUs are exact: the cases with 20 and with 80 classes were
    searched for what that decides otherwise.
    """
    case, options = np.load(CASES / f'nms_{num_classes}_classes.npz'), SETTINGS[setting]
    (kept,) = postprocess(
        torch.from_numpy(case['boxes']), torch.from_numpy(case['scores']), max_detections=300, **options
    )
    assert len(kept.boxes) > 10
    ours = rows(kept.boxes.numpy(), kept.scores.numpy(), kept.labels.numpy())
    theirs = rows(*(case[f'{setting}_{part}'] for part in ('boxes', 'scores', 'labels')))
    # In the same order.
    assert [row for row in ours if row in theirs] == [row for row in theirs if row in ours]
    apart = set(ours) ^ set(theirs)
    assert len(apart) == APART.get((num_classes, setting), 0)
    # One of the few has an IoU of just the threshold with another; a second one only moved up to the last place.
    overlaps = [iou(box, other) for box, _, label in apart for other, _, its in ours + theirs if its == label]
    assert not apart or any(abs(overlap - options['iou_thresh']) < 1e-4 for overlap in overlaps)


def rows(boxes, scores, labels):
    return [
        (tuple(round(side, 3) for side in box), round(score, 5), label)
        for box, score, label in zip(boxes.tolist(), scores.tolist(), labels.tolist(), strict=True)
    ]
