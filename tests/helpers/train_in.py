"""A training in a process of its own; in a module that such a process can import, however the tests are run."""

import os

from mbv3zoo.training.train import train


def train_in(folder, data, seed, barrier):
    """Trains one epoch in a working folder, as soon as all processes have come to the barrier."""
    os.chdir(folder)
    barrier.wait()
    train(data, model='mbv3_yolo_small_050', image_size=64, epochs=1, batch_size=4, workers=0, seed=seed)
