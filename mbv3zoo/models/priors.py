"""The logits at which training starts: the first steps need not learn that most cells are empty.

They are those of about 8 objects in an image of 640 pixels, each of one class with a probability of 0.6 (as for the
focal loss, https://arxiv.org/abs/1708.02002, section 3.3).
"""

import math


def objectness_prior(stride: int) -> float:
    """The logit of objectness at a level of a stride, in pixels per cell."""
    return math.log(8 / (640 / stride) ** 2)


def class_prior(num_classes: int) -> float:
    """The logit of each of K classes."""
    return math.log(0.6 / (num_classes - 0.99999))
