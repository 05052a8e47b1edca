"""The page's folder of a small detector, for tests in several files."""

from pathlib import Path

from filelock import FileLock

from mbv3zoo.demo.page import write_page

MODEL = 'mbv3_yolo_small.synth'
TOP = Path(__file__).parents[2]
SCENE = TOP / 'docs' / 'scene.jpg'


def write_folder_once(precision, folder):
    """The page's folder in a folder that several processes may share; the first one writes it."""
    path = folder / f'demo-{precision}'
    with FileLock(folder / f'{path.name}.lock'):
        if not path.exists():
            write_page(MODEL, path, precision=precision, calibration=SCENE.parent if precision == 'int8' else None)
    return path
