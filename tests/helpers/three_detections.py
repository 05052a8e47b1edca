"""Three detections, for tests of what is made of them."""

import torch

from mbv3zoo.detections import Detections

NAMES = ('cat', 'dog', 'bird')
BOXES = [[10.0, 20.0, 60.5, 80.0], [5.0, 5.0, 30.0, 25.0], [70.0, 40.0, 100.0, 90.0]]


def three(**changes):
    values = {
        'boxes': torch.tensor(BOXES),
        'scores': torch.tensor([0.5, 0.75, 0.25]),
        'labels': torch.tensor([0, 2, 1]),
        'class_names': NAMES,
        'image_size': (100, 120),
    }
    return Detections(**{**values, **changes})
