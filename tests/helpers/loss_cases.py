"""What the tests of the losses share: logits, labels, and an independent arithmetic, one number at a time."""

import math

import torch
from dense_nms import postprocess

from mbv3zoo.config.detector import DEFAULT_ANCHORS, STRIDES
from mbv3zoo.config.training import TrainConfig
from mbv3zoo.data.loader import Targets
from mbv3zoo.models.postprocess.dense import decode
from mbv3zoo.training.simota_loss import SimOTALoss
from mbv3zoo.training.yolov5_loss import YOLOv5Loss

ANCHORS = torch.tensor(DEFAULT_ANCHORS)
HEIGHT, WIDTH, CLASSES = 64, 96, 3
# No two of them share an anchor of a cell.
TARGETS = Targets(
    torch.tensor([0, 0, 1, 1]),
    torch.tensor([2, 0, 1, 1]),
    torch.tensor([[3.0, 4, 24, 33], [60.3, 20.2, 90.1, 51.7], [30.7, 9.1, 43.4, 28.2], [1.3, 2.9, 95.1, 63.2]]),
)
NO_TARGETS = Targets(torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.int64), torch.zeros(0, 4))
LOSSES = {'yolov5': YOLOv5Loss, 'simota': SimOTALoss}


def logits_of(seed=0, classes=CLASSES, batch=2, height=HEIGHT, width=WIDTH):
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randn(batch, 3, height // s, width // s, 5 + classes, generator=generator).requires_grad_()
        for s in STRIDES
    ]


def loss_of(classes=CLASSES, size=(HEIGHT, WIDTH), loss='yolov5', processes=1, **settings):
    config = TrainConfig(loss=loss, **settings)
    return LOSSES[loss](ANCHORS, STRIDES, classes, size, config, processes)


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def cross_entropy(logit, target):
    p = sigmoid(logit)
    return -(target * math.log(p) + (1 - target) * math.log(1 - p))


def ciou(box, other, alpha=None):
    """CIoU of two (x, y, w, h), arXiv 1911.08287; returns it and alpha, which is no variable of the gradient."""
    (x, y, w, h), (x2, y2, w2, h2) = box, other
    left, right = max(x - w / 2, x2 - w2 / 2), min(x + w / 2, x2 + w2 / 2)
    top, bottom = max(y - h / 2, y2 - h2 / 2), min(y + h / 2, y2 + h2 / 2)
    inter = max(right - left, 0) * max(bottom - top, 0)
    iou = inter / (w * h + w2 * h2 - inter)
    enclosing_width = max(x + w / 2, x2 + w2 / 2) - min(x - w / 2, x2 - w2 / 2)
    enclosing_height = max(y + h / 2, y2 + h2 / 2) - min(y - h / 2, y2 - h2 / 2)
    distance = ((x - x2) ** 2 + (y - y2) ** 2) / (enclosing_width**2 + enclosing_height**2)
    v = 4 / math.pi**2 * (math.atan(w2 / h2) - math.atan(w / h)) ** 2
    alpha = v / (1 - iou + v) if alpha is None else alpha
    return iou - distance - alpha * v, alpha


def fit_one_batch(steps, **settings):
    """Optimises logits; returns the losses of each step, and what is found in the two pictures in the end."""
    logits = [level.detach() for level in logits_of()]
    for level in logits:
        level[..., 4] -= 4
        level.requires_grad_()
    loss = loss_of(**settings)
    optimizer = torch.optim.Adam(logits, lr=0.3)
    course = []
    for _ in range(steps):
        losses = loss(logits, TARGETS)
        optimizer.zero_grad()
        losses.total.backward()
        optimizer.step()
        course.append((losses.total.item(), losses.box.item(), losses.objectness.item(), losses.classes.item()))
    return course, postprocess(*decode([level.detach() for level in logits], ANCHORS, STRIDES), score_thresh=0.5)


def center_box(box):
    x1, y1, x2, y2 = box.tolist()
    return (x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1
