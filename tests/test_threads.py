"""Every way to run a detector, called by eight threads at once: each call finds what a call alone finds."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from amount import amount
from exported_files import MODEL, RUNNABLE, SIZE, export_once, needs

import mbv3zoo
from mbv3zoo.runtimes.table import FORMATS, LIVE_FORMATS
from mbv3zoo.utils.packages import missing

THREADS, CALLS = 8, 200
WAYS = [(name, runtime.name) for name in RUNNABLE for runtime in FORMATS[name].runtimes]


@pytest.fixture(scope='module')
def images():
    """Noise on a few boxes, so that all maps differ."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (24, *SIZE, 3), np.uint8)
    for image in images:
        x, y = rng.integers(0, 60, 2)
        image[y : y + 30, x : x + 50] = rng.integers(0, 256, 3)
    return images


def assert_as_alone(predict, images):
    """Calls it for each image alone, then 200 times from eight threads."""
    alone = [predict(image) for image in images]
    assert sum(len(found) for found in alone) > 50
    start = threading.Barrier(THREADS)

    def call(thread):
        start.wait()
        return [(i, predict(images[i])) for i in np.arange(thread, CALLS, THREADS) % len(images)]

    with ThreadPoolExecutor(THREADS) as pool:
        calls = [call for calls in pool.map(call, range(THREADS)) for call in calls]
    assert len(calls) == CALLS
    for i, found in calls:
        for part in ('boxes', 'scores', 'labels'):
            np.testing.assert_array_equal(np.asarray(getattr(found, part)), np.asarray(getattr(alone[i], part)), str(i))


@pytest.mark.slow
@pytest.mark.parametrize(('format', 'runtime'), WAYS)
def test_an_exported_file(tmp_path_factory, images, format, runtime):
    path = export_once(format, tmp_path_factory.getbasetemp().parent)
    detector = mbv3zoo.load(path, runtime=runtime)
    assert_as_alone(lambda image: detector.predict(image, score_thresh=0.02), images)


@pytest.mark.slow
@pytest.mark.parametrize('options', [{'nms': True, 'score_thresh': 0.02}, {'precision': 'float16'}, {'dynamic': True}])
def test_an_exported_file_of_another_kind(tmp_path, images, options):
    needs('openvino')
    path = mbv3zoo.load(MODEL).export(tmp_path / 'model.xml', image_size=SIZE, **options)
    detector = mbv3zoo.load(path)
    given = {} if 'nms' in options else {'score_thresh': 0.02}
    assert_as_alone(lambda image: detector.predict(image, **given), images)


@pytest.mark.slow
@pytest.mark.parametrize('training', [False, True])
def test_a_detector(images, training):
    detector = mbv3zoo.load(MODEL).train(training)
    state = {name: tensor.clone() for name, tensor in detector.state_dict().items()}
    assert_as_alone(lambda image: detector.predict(image, score_thresh=0.02, image_size=SIZE), images)
    assert all(torch.equal(tensor, state[name]) for name, tensor in detector.state_dict().items())
    assert detector.training == training


@pytest.mark.slow
@pytest.mark.parametrize('runtime', [*amount(['eager'], ['eager', 'compile']), *LIVE_FORMATS, 'auto'])
def test_a_live_runtime(images, runtime):
    if runtime in LIVE_FORMATS and missing(LIVE_FORMATS[runtime].packages):
        pytest.skip(f'{runtime} is not installed')
    detector = mbv3zoo.load(MODEL)
    assert_as_alone(lambda image: detector.predict(image, score_thresh=0.02, image_size=SIZE, runtime=runtime), images)
