"""Decoded boxes and scores against YOLOv5's own; see README.md for how the cases were made."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mbv3zoo.models.postprocess.dense import decode

CASES = Path(__file__).with_name('cases')


@pytest.mark.parametrize('name', ['decode_3_levels', 'decode_4_levels'])
def test_boxes_and_scores(name):
    case = np.load(CASES / f'{name}.npz')
    strides = case['strides'].tolist()
    logits = [torch.from_numpy(case[f'logits{i}']) for i in range(len(strides))]
    # Sigmoids of 0 and 1 are among them.
    assert max(level.abs().max() for level in logits) > 40
    boxes, scores = decode(logits, torch.from_numpy(case['anchors']), strides)
    np.testing.assert_allclose(boxes.numpy(), case['boxes'], rtol=0, atol=1e-4)
    np.testing.assert_allclose(scores.numpy(), case['scores'], rtol=0, atol=1e-6)
