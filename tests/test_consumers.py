"""The programs of examples/cpp and examples/node, built and run: they find what `predict` does, without mbv3zoo."""

import json
import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import pytest
from exported_files import MODEL, SCENE
from PIL import Image, ImageOps

import mbv3zoo

TOP = Path(__file__).resolve().parents[1]
EXAMPLES = TOP / 'examples'
# What JSON has to escape, and what a reader of brackets may trip over.
ODD_NAME = 'a "heart", [♥]\\'


def run(*command, cwd=None):
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope='module')
def cpp(tmp_path_factory):
    """Runs the program in C++: a model's path and a picture's -> rows. It reads PPM alone."""
    if not shutil.which('cmake') or not shutil.which('c++'):
        pytest.skip('building the example in C++ needs cmake and a compiler')
    if not (openvino := find_spec('openvino')):
        pytest.skip('building the example in C++ needs the package openvino')
    build = tmp_path_factory.mktemp('build')
    folder = Path(openvino.submodule_search_locations[0]) / 'cmake'
    run('cmake', '-S', EXAMPLES / 'cpp', '-B', build, f'-DOpenVINO_DIR={folder}', '-DCMAKE_CXX_FLAGS=-Wall -Werror')
    run('cmake', '--build', build)

    def detect(model, picture):
        upright = ImageOps.exif_transpose(Image.open(picture)).convert('RGBA')
        image = Image.alpha_composite(Image.new('RGBA', upright.size, 'white'), upright).convert('RGB')
        image.save(build / 'picture.ppm')
        return json.loads(run(build / 'detect', model, build / 'picture.ppm'))

    return detect


@pytest.fixture(scope='module')
def node(tmp_path_factory):
    """Runs the program in JavaScript, installed in a copy of the checkout's two folders."""
    if not shutil.which('npm'):
        pytest.skip('installing the example in JavaScript needs Node.js and npm')
    top = tmp_path_factory.mktemp('node')
    shutil.copytree(EXAMPLES / 'node', top / 'examples' / 'node', ignore=shutil.ignore_patterns('node_modules'))
    shutil.copytree(TOP / 'mbv3zoo' / 'demo' / 'page', top / 'mbv3zoo' / 'demo' / 'page')
    folder = top / 'examples' / 'node'
    command = ['npm', 'install', '--no-audit', '--no-fund', '--fetch-retries=1']
    installed = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    if re.search(r'code (E?NETWORK|ENOTFOUND|ECONN\w+|ETIMEDOUT|EAI_AGAIN)', installed.stderr):
        pytest.skip("npm's registry cannot be reached")
    assert installed.returncode == 0, installed.stderr
    yield lambda model, picture: json.loads(run('node', 'detect.js', model, picture, cwd=folder))
    shutil.rmtree(folder / 'node_modules')  # 300 MB


@pytest.fixture(scope='module')
def models(tmp_path_factory, exported, pictures):
    """Exported files: 320 x 320 and 96 x 160, ONNX and OpenVINO, int8, and one with a single class of an odd name."""
    folder = tmp_path_factory.mktemp('models')
    detector = mbv3zoo.Detector.from_pretrained(MODEL)
    detector.export(folder / 'square.onnx', image_size=320)
    detector.export(folder / 'int8.onnx', image_size=320, precision='int8', calibration=pictures['scene'].parent)
    one_class = mbv3zoo.create_detector(MODEL, pretrained=True, class_names=[ODD_NAME])
    one_class.export(folder / 'one_class.onnx', image_size=320)
    # Said to need no NMS, though it does: many boxes of one object, of which a program is to keep all.
    network = onnx.load(folder / 'square.onnx')
    (record,) = network.metadata_props
    record.value = json.dumps(json.loads(record.value) | {'nms': False})
    onnx.save(network, folder / 'alone.onnx')
    files = {path.stem: path for path in folder.glob('*.onnx')}
    return files | {'wide': exported('onnx'), 'openvino': exported('openvino')}


@pytest.fixture(scope='module')
def pictures(tmp_path_factory):
    """Pictures of all shapes. PNG where they are large: `predict` decodes large JPEG files at a reduced size."""
    folder = tmp_path_factory.mktemp('pictures')
    scene = Image.open(SCENE)
    scene.save(folder / 'scene.png')
    scene.crop((0, 0, 640, 170)).save(folder / 'wide.png')
    scene.crop((430, 0, 640, 480)).save(folder / 'tall.png')
    scene.resize((13, 9)).save(folder / 'tiny.png')
    Image.new('RGB', (300, 200), (120, 130, 140)).save(folder / 'empty.png')
    scene.resize((1800, 1350)).convert('L').save(folder / 'grey.png')
    scene.putalpha(Image.linear_gradient('L').resize(scene.size))
    scene.save(folder / 'transparent.png')
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(SCENE).rotate(90, expand=True).resize((300, 400)).save(folder / 'turned.jpg', exif=exif, quality=95)
    return {path.stem: path for path in folder.iterdir()}


def assert_same(rows, detections):
    """Within 1 pixel and 0.01; of scores within 0.01 of the threshold it is chance which pass."""
    expected = [{'label': row.label, 'name': row.name, 'score': row.score, 'box': row.box} for row in detections.rows()]
    for some, others in ((rows, expected), (expected, rows)):
        for row in some:
            near = [
                other
                for other in others
                if all(row[key] == other[key] for key in ('label', 'name'))
                and abs(row['score'] - other['score']) < 0.01
                and np.abs(np.subtract(row['box'], other['box'])).max() < 1
            ]
            assert near or row['score'] < 0.26, row
    assert [row['score'] for row in rows] == sorted((row['score'] for row in rows), reverse=True)


CASES = [
    *(('square', name) for name in ('scene', 'wide', 'tall', 'tiny', 'empty', 'grey', 'transparent', 'turned')),
    ('wide', 'scene'),
    ('openvino', 'tall'),
    ('int8', 'scene'),
    ('one_class', 'scene'),
    ('alone', 'scene'),
]


@pytest.mark.slow
@pytest.mark.parametrize(('language', 'runtime'), [('cpp', 'openvino'), ('node', 'onnxruntime')])
def test_a_program_without_mbv3zoo_finds_what_predict_finds(language, runtime, models, pictures, request):
    # The same runtime on both sides: in int8 two of them round otherwise.
    detect = request.getfixturevalue(language)
    found = {}
    for model, picture in CASES:
        if runtime == 'onnxruntime' and model == 'openvino':
            continue
        rows = detect(models[model], pictures[picture])
        assert_same(rows, mbv3zoo.load(models[model], runtime=runtime).predict(pictures[picture]))
        found[model, picture] = len(rows)
    assert [pair for pair, count in found.items() if not count] == [('square', 'tiny'), ('square', 'empty')]
