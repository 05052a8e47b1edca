"""An engine that finds every rectangle of one colour, whole or cut, and images for it."""

from types import SimpleNamespace

import numpy as np

from mbv3zoo.models.postprocess.decoding import Kept
from mbv3zoo.models.postprocess.thresholds import PREDICTION

SIDE = 64


class Colours:
    """An engine: red is the class, green the score, blue tells objects of one class apart; 255 is the background."""

    tensors = False
    thresholds = PREDICTION
    info = SimpleNamespace(class_names=('cat', 'dog'), in_chans=3, image_size=(SIDE, SIDE))

    def __init__(self):
        self.batches = []

    def detect(self, images, thresholds):
        self.batches.append(len(images))
        return [self._kept(image, thresholds) for image in images]

    def _kept(self, image, thresholds):
        boxes, scores, labels = [], [], []
        for red, green, blue in np.unique(image.reshape(3, -1), axis=1).T.tolist():
            if red < 2 and green > 100 * thresholds.score_thresh:
                ys, xs = np.nonzero((image == np.array([red, green, blue])[:, None, None]).all(0))
                boxes.append([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1])
                scores.append(green / 100)
                labels.append(red)
        order = np.argsort(-np.array(scores, np.float32), kind='stable')[: thresholds.max_detections]
        found = np.array(boxes, np.float32).reshape(-1, 4), np.array(scores, np.float32), np.array(labels, np.int64)
        return Kept(*(part[order] for part in found))


def scene(size, *rows):
    """An image of (height, width); rows are label, percent, and the box."""
    image = np.full((*size, 3), 255, np.uint8)
    for number, (label, percent, (x1, y1, x2, y2)) in enumerate(rows):
        image[y1:y2, x1:x2] = label, percent, number
    return image
