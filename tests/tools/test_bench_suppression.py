"""The tool that times decoding and suppression has the cases that it says it has."""

import bench_suppression
import pytest
import torch
from dense_nms import postprocess

from mbv3zoo.config.detector import DEFAULT_ANCHORS, STRIDES
from mbv3zoo.models.postprocess.dense import decode


@pytest.mark.parametrize('case', bench_suppression.CASES, ids=lambda case: case.name)
def test_case(case):
    logits = bench_suppression.make_logits(case)
    boxes, scores = decode(logits, torch.tensor(DEFAULT_ANCHORS), STRIDES)
    assert boxes.shape == (1, 25200, 4) and scores.shape == (1, 25200, 80)
    passed = (scores > case.score_thresh).sum(2)
    assert (passed > 0).sum() == case.live
    assert passed.sum() == case.live * (case.labels if case.multi_label else 1)
    settings = {name: getattr(case, name) for name in ('score_thresh', 'iou_thresh', 'multi_label')}
    expected = postprocess(boxes, scores, **settings)[0]
    expected = torch.cat([expected.boxes, expected.scores.unsqueeze(1), expected.labels.unsqueeze(1)], 1)
    found = bench_suppression.ours(logits, case)
    # Some are suppressed, not all.
    assert len(found) == (0 if not case.live else len(expected)) and len(found) < max(case.live, 1)
    assert bench_suppression.same_boxes(found, expected)
    if case.live:
        assert not bench_suppression.same_boxes(found, expected[1:])
        assert not bench_suppression.same_boxes(found, expected + 0.1)
