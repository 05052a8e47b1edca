"""The page's folder of a small detector, for tests in several files."""

import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest
from filelock import FileLock

import mbv3zoo

MODEL = 'mbv3_yolo_small.synth'
TOP = Path(__file__).parents[2]
# Until the package brings its own: the folder dist of npm's onnxruntime-web.
RUNTIME = Path(os.environ.get('ONNXRUNTIME_WEB', 'node_modules/onnxruntime-web/dist'))
SCENE = TOP / 'docs' / 'scene.jpg'


def write_folder_once(precision, folder):
    """The page's folder in a folder that several processes may share; the first one writes it."""
    if not RUNTIME.exists():
        pytest.skip('there is no onnxruntime-web')
    path = folder / f'demo-{precision}'
    with FileLock(folder / f'{path.name}.lock'):
        if not path.exists():
            part = folder / f'{path.name}.part'
            write_folder(part, precision)
            part.rename(path)
    return path


def write_folder(folder, precision):
    """By hand, until the program does."""
    (folder / 'runtime').mkdir(parents=True)
    for path in (TOP / 'mbv3zoo' / 'demo' / 'page').iterdir():
        shutil.copy(path, folder)
    for name in ('ort.wasm.min.mjs', 'ort-wasm-simd-threaded.mjs', 'ort-wasm-simd-threaded.wasm'):
        shutil.copy(RUNTIME / name, folder / 'runtime')
    options = {} if precision != 'int8' else {'calibration': SCENE.parent}
    mbv3zoo.Detector.from_pretrained(MODEL).export(folder / 'model.onnx', precision=precision, **options)
    info = mbv3zoo.load(folder / 'model.onnx').info
    data = (folder / 'model.onnx').read_bytes()
    fields = {
        'class_names': info.class_names,
        'image_size': info.image_size,
        'strides': info.strides,
        'anchors': info.anchors,
        'score_thresh': 0.25,
        'file': 'model.onnx',
        'bytes': len(data),
        'sha256': hashlib.sha256(data).hexdigest(),
    }
    (folder / 'model.json').write_text(json.dumps(fields))
