"""A small detector's exported files, for tests in several files."""

from pathlib import Path

import pytest
from filelock import FileLock

import mbv3zoo
from mbv3zoo.runtimes.table import FORMATS
from mbv3zoo.utils.packages import missing

MODEL = 'mbv3_yolo_small.synth'
SIZE = (96, 160)
# Shapes of the maps of one image.
MAPS = [(1, 3 * 21, SIZE[0] // stride, SIZE[1] // stride) for stride in (8, 16, 32)]
SCENE = Path(__file__).parents[2] / 'docs' / 'scene.jpg'
# Core ML's own runtime is on macOS only.
RUNNABLE = [name for name in FORMATS if name != 'coreml']


def needs(name):
    """Skips a test where a format cannot be written and run."""
    row = FORMATS[name]
    if packages := missing([*row.packages, row.runtimes[0].package]):
        pytest.skip(f'{name} needs {", ".join(packages)}')


def export_once(name, folder):
    """The file of a format in a folder that several processes may share; the first one writes it."""
    needs(name)
    path = folder / 'exported' / f'model{FORMATS[name].suffix}'
    path.parent.mkdir(exist_ok=True)
    with FileLock(folder / f'{path.name}.lock'):
        if not path.exists():
            mbv3zoo.Detector.from_pretrained(MODEL).export(path, image_size=SIZE)
    return path
