"""How much of the slow half runs: a sample of what says the same many times, or all with MBV3ZOO_TEST_ALL=1."""

import os
import random

ALL = bool(os.environ.get('MBV3ZOO_TEST_ALL'))


def amount(few, full):
    """The first in every run, the second where all is asked for."""
    return full if ALL else few


def sample(share, always=lambda item: False):
    """A function that says of one item after the other whether it is in the sample.

    Args:
        share: Part of the items that are, drawn at random, the same ones in every run.
        always: Which items are in every sample: a function of an item.
    """
    rng = random.Random(0)

    def chosen(item):
        drawn = rng.random() < share  # also for items that are chosen anyway, so that these change nothing for others
        return ALL or drawn or always(item)

    return chosen
