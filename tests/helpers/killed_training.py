"""Trainings that are killed; see `killing`."""

from pathlib import Path

from matplotlib.figure import Figure

from mbv3zoo.training import run
from mbv3zoo.training.trainer import Trainer

TINY = {'image_size': 64, 'batch_size': 4, 'workers': 0}


def blank_plots():
    """Plots are a few bytes: drawing them takes most of the time."""
    Figure.savefig = lambda self, file, **options: file.write(b'a plot')


def resume_run(folder):
    blank_plots()
    run.resume(folder)


def resume_run_warm(folder):
    """Imports what training does, in the process that is forked."""
    import mbv3zoo.plots.curves
    import mbv3zoo.plots.report  # noqa: F401


def stop_before_the_report(self, val_set):
    raise KeyboardInterrupt


def train_without_report(data, folder, **settings):
    """A run of which only the report is missing."""
    import mbv3zoo

    real = Trainer._report
    Trainer._report = stop_before_the_report
    try:
        mbv3zoo.train(data, model='mbv3_yolo_small_050', out=folder, **TINY | settings)
    except KeyboardInterrupt:
        return Path(folder)
    finally:
        Trainer._report = real
    raise AssertionError('the training came to no report')
