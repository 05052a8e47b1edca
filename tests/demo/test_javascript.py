"""The page's JavaScript gives what Python gives: letterboxed pixels, decoded boxes, kept objects, label maps."""

import numpy as np
import pytest
from javascript import run_javascript
from PIL import Image

from mbv3zoo.images.letterbox import Letterbox
from mbv3zoo.images.read import read_image
from mbv3zoo.models.postprocess.arrays import postprocess
from mbv3zoo.models.postprocess.label_map import label_map
from mbv3zoo.models.postprocess.thresholds import Thresholds

# (height, width) of a picture and of its letterbox: shrunk, enlarged, as they are, extreme, odd, rounded halves.
SIZES = [
    ((480, 640), (320, 320)),
    ((37, 53), (320, 320)),
    ((320, 320), (320, 320)),
    ((160, 320), (320, 320)),
    ((1, 1), (96, 160)),
    ((1, 700), (96, 160)),
    ((900, 2), (96, 160)),
    ((900, 11), (96, 160)),
    ((1300, 997), (96, 160)),
    ((97, 161), (96, 160)),
    ((641, 640), (320, 320)),
    ((5, 256), (128, 128)),
]


def fitted(height, width, size):
    return ('letterbox', 'fit', width, height, list(size))


def test_letterboxed_pixels_are_those_of_pillow(tmp_path):
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (*hw, 4), np.uint8) for hw, _ in SIZES]
    geometries = run_javascript([fitted(*hw, size) for hw, size in SIZES], tmp_path)
    cases = list(zip(pictures, SIZES, geometries, strict=True))
    box = [-3.0, 10.5, 70.25, 400.0]
    calls = [('letterbox', 'letterbox', rgba, hw[1], hw[0], fit) for rgba, (hw, _), fit in cases]
    results = run_javascript([*calls, *(('letterbox', 'toOriginal', box, fit) for fit in geometries)], tmp_path)
    for (rgba, (hw, size), _), planes, mapped in zip(cases, results, results[len(cases) :], strict=False):
        letterbox = Letterbox.fit(hw, size)
        # Transparent pixels are composited over white.
        expected = letterbox.apply_without_torch(read_image(rgba))
        # Pillow resizes pictures that are over 100 times as high as wide in another order.
        most = 1 if hw[0] > 100 * hw[1] else 0
        assert np.abs(planes.reshape(expected.shape).astype(int) - expected).max() <= most, (hw, size)
        np.testing.assert_allclose(mapped, letterbox.boxes_to_original(np.array([box]))[0], rtol=1e-12)


@pytest.mark.parametrize(
    'hw, factor', [((1283, 967), 4), ((700, 1001), 2), ((3000, 2001), 8), ((480, 640), 2), ((9, 5), 1)]
)
def test_large_jpegs_are_reduced_first_as_python_reads_them(hw, factor, tmp_path):
    rng = np.random.default_rng(0)
    # Waves of all lengths.
    y, x = np.mgrid[: hw[0], : hw[1]]
    waves = [
        np.sin(rng.normal(0, 1 / length) * x + rng.normal(0, 1 / length) * y) for length in (2, 5, 11, 40, 90, 300)
    ]
    picture = np.stack([127 + 21 * sum(np.roll(waves, i, 0) * [[[0.5]]] * 6) for i in range(3)], 2).clip(0, 255)
    Image.fromarray(picture.astype(np.uint8)).save(tmp_path / 'a.jpg', quality=90)
    rgba = np.dstack([read_image(tmp_path / 'a.jpg'), np.full(hw, 255, np.uint8)])
    letterbox = Letterbox.fit(hw, (320, 320))
    (fit,) = run_javascript([fitted(*hw, (320, 320))], tmp_path)
    found, whole, planes = run_javascript(
        [
            ('jpeg', 'reduction', fit),
            ('letterbox', 'letterbox', rgba, hw[1], hw[0], fit),
            ('letterbox', 'letterbox', rgba, hw[1], hw[0], fit, {'halved': True}),
        ],
        tmp_path,
    )
    expected = letterbox.apply_without_torch(read_image(tmp_path / 'a.jpg', at_least=letterbox.resized)).astype(int)
    apart, far = (np.abs(pixels.reshape(expected.shape) - expected).mean() for pixels in (planes, whole))
    assert found == factor and apart <= min(0.8, far)


@pytest.mark.parametrize('kind', ['random', 'ties', 'nothing'])
@pytest.mark.parametrize('num_classes', [1, 3, 80])
def test_decoding_and_nms_find_what_python_finds(num_classes, kind, tmp_path):
    rng = np.random.default_rng(num_classes)
    anchors, strides = rng.uniform(8, 90, (3, 3, 2)).round(1).tolist(), [8, 16, 32]
    maps = [rng.normal(-1, 3, (1, 3 * (5 + num_classes), 96 // s, 160 // s)).astype(np.float32) for s in strides]
    if kind == 'ties':
        # Whole numbers, among them such that float32 knows no difference to 1.
        maps = [(level / 3).round() * 9 for level in maps]
    elif kind == 'nothing':
        maps = [level - 60 for level in maps]
    info = {'anchors': anchors, 'strides': strides}
    levels = [{'data': level, 'dims': level.shape} for level in maps]
    (candidates,) = run_javascript([('decode', 'decode', levels, info, 0.01)], tmp_path)
    settings = [
        ({'scoreThresh': 0.25, 'iouThresh': 0.45}, Thresholds()),
        ({'scoreThresh': 0.01, 'iouThresh': 1}, Thresholds(score_thresh=0.01, iou_thresh=1)),
        ({'scoreThresh': 0.4, 'iouThresh': 0}, Thresholds(score_thresh=0.4, iou_thresh=0)),
        ({'scoreThresh': 0.1, 'iouThresh': 0.6, 'maxDetections': 5}, Thresholds(0.1, 0.6, max_detections=5)),
        ({'scoreThresh': 0.1, 'iouThresh': 0.6, 'classes': [0, 2]}, Thresholds(0.1, 0.6, classes=(0, 2))),
        ({'scoreThresh': 0.1, 'iouThresh': 0.6, 'classes': []}, Thresholds(0.1, 0.6, classes=())),
    ]
    options = [{'maxDetections': 300, 'classes': None, **option} for option, _ in settings]
    results = run_javascript([('nms', 'select', candidates, option) for option in options], tmp_path)
    for found, (_, thresholds) in zip(results, settings, strict=True):
        (kept,) = postprocess(maps, anchors, strides, thresholds)
        assert [one['label'] for one in found] == kept.labels.tolist()
        np.testing.assert_allclose([one['score'] for one in found], kept.scores, rtol=1e-5)
        np.testing.assert_allclose(np.reshape([one['box'] for one in found], (-1, 4)), kept.boxes, atol=1e-3)
    assert (kind == 'nothing') == (not results[1])


def test_objects_are_named_and_lie_in_the_picture(tmp_path):
    boxes = np.array([-5, -5, 20, 30, 90, 40, 120, 60], np.float32)
    both = {'boxes': boxes, 'scores': np.array([0.5, 0.75], np.float32), 'labels': np.array([1, 0], np.int32)}
    options = {'scoreThresh': 0.25, 'iouThresh': 0.45, 'classNames': ['cat', 'dog']}
    inside, unnamed = run_javascript(
        [
            ('nms', 'select', {**both, 'width': 100, 'height': 50}, options),
            ('nms', 'select', both, {**options, 'classNames': ['cat']}),
        ],
        tmp_path,
    )
    assert inside == [
        {'label': 0, 'name': 'cat', 'score': 0.75, 'box': [90, 40, 100, 50]},
        {'label': 1, 'name': 'dog', 'score': 0.5, 'box': [0, 0, 20, 30]},
    ]
    assert unnamed[1]['name'] == '1' and unnamed[1]['box'] == [-5, -5, 20, 30]


def test_label_maps_are_those_of_python(tmp_path):
    rng = np.random.default_rng(0)
    # (classes, height and width of the map): noise, smooth, ties, one class, more cells than pixels.
    maps = [(3, 40, 40), (21, 12, 20), (255, 12, 20), (1, 12, 20), (5, 24, 40), (5, 1, 1)]
    cases = []
    for (hw, size), (classes, rows, columns) in zip(SIZES, maps * 2, strict=True):
        logits = rng.normal(0, 3, (1, classes, rows, columns)).astype(np.float32)
        cases.append((hw, size, logits if len(cases) % 2 else logits.round()))
    geometries = run_javascript([fitted(*hw, size) for hw, size, _ in cases], tmp_path)
    calls = [
        ('labels', 'labelMap', {'data': logits, 'dims': logits.shape}, fit)
        for (*_, logits), fit in zip(cases, geometries, strict=True)
    ]
    for (hw, size, logits), pixels in zip(cases, run_javascript(calls, tmp_path), strict=True):
        expected = label_map(logits[0], Letterbox.fit(hw, size))
        # Where two classes are equal but for the rounding, either may win.
        apart = (pixels.reshape(hw) != expected).mean()
        assert apart <= 1e-3, (hw, size, logits.shape, apart)


def test_classes_of_a_map_have_shares_of_the_picture(tmp_path):
    names = ['Background', 'cat', 'dog', 'cow']
    detected = {'counts': [60, 10, 0, 30], 'width': 10, 'height': 10}
    everything, some = run_javascript(
        [('labels', 'shares', detected, None, names), ('labels', 'shares', detected, [1, 2], names)], tmp_path
    )
    assert [(one['name'], one['score'], one['clear']) for one in everything] == [
        ('Background', 0.6, True),
        ('cow', 0.3, False),
        ('cat', 0.1, False),
    ]
    assert [one['label'] for one in some] == [1]
    (text,) = run_javascript([('words', 'summary', everything, ['class', 'classes'], 2)], tmp_path)
    assert text == '3 classes: 60.0% Background, 30.0% cow, 1 more class'
