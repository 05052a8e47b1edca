"""The loss and its gradients against YOLOv5's own; see README.md for how the cases were made."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mbv3zoo.config.training import TrainConfig
from mbv3zoo.data.loader import Targets
from mbv3zoo.training.yolov5_loss import YOLOv5Loss

CASES = Path(__file__).with_name('cases')


@pytest.mark.parametrize(
    'name',
    [
        '3_levels',  # the last of three pictures has no boxes
        '4_levels',  # other weights of the levels; boxes from a pixel to the whole picture
        'dense',  # many boxes claim each anchor
        'lines',  # 2 levels, boxes of whole pixels, centred on lines, half cells and edges of the grid
        'empty',
        '80_classes',
    ],
)
def test_loss_and_gradients(name):
    case = np.load(CASES / f'loss_{name}.npz')
    strides = case['strides'].tolist()
    logits = [torch.from_numpy(case[f'logits{i}']).requires_grad_() for i in range(len(strides))]
    targets = Targets(*(torch.from_numpy(case[part]) for part in ('image_index', 'labels', 'boxes')))
    loss = YOLOv5Loss(
        torch.from_numpy(case['anchors']),
        strides,
        int(case['num_classes']),
        tuple(case['size'].tolist()),
        TrainConfig(loss='yolov5'),
    )
    losses = loss(logits, targets)
    losses.total.backward()
    assert losses.total.item() == pytest.approx(float(case['total']), rel=1e-5)
    parts = [losses.box.item(), losses.objectness.item(), losses.classes.item()]
    assert parts == pytest.approx(case['parts'].tolist(), rel=1e-5, abs=1e-7)
    largest = max(np.abs(case[f'grad{i}']).max() for i in range(len(strides)))
    for i, level in enumerate(logits):
        np.testing.assert_allclose(level.grad.numpy(), case[f'grad{i}'], rtol=0, atol=1e-5 * largest)
