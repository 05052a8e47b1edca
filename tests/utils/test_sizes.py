import numpy as np
import pytest

import mbv3zoo
from mbv3zoo.benchmark.run import run_benchmark
from mbv3zoo.config.detector import DetectorConfig
from mbv3zoo.data.detection_set import DetectionSet
from mbv3zoo.prediction.predict import iter_predict
from mbv3zoo.utils.sizes import images_per_batch, parse_image_size, parse_size, whole_number


@pytest.mark.parametrize(
    ('value', 'expected'),
    [
        (32, (32, 32)),
        (8192, (8192, 8192)),
        ((320, 640), (320, 640)),
        ([320, 640], (320, 640)),
        (np.int64(320), (320, 320)),
    ],
)
def test_a_side_or_both_are_an_input_size(value, expected):
    size = parse_image_size(value)
    assert size == expected and all(type(side) is int for side in size)


@pytest.mark.parametrize(
    'value',
    [0, -1, 31, 8193, 20000, 100000, 10**30, True, 320.5, 320.0, float('nan'), '320', None, b'32', {}]
    + [(), (320,), (320, 31), (320, 640, 3), [320, 10**9], (320.0, 320), (320, None), ('a', 'b'), np.array([320, 320])],
)
def test_anything_else_is_refused_in_one_sentence(value):
    with pytest.raises(ValueError, match='^size is .*; expected a side, or .height, width., of 32 to 8192 pixels$'):
        parse_image_size(value, 'size')


def test_the_sentence_is_short_whatever_was_given():
    for value in (10**5000, ['x' * 10**4] * 10**4, 'a\nb' * 10**4):
        with pytest.raises(ValueError) as error:
            parse_image_size(value)
        assert len(str(error.value)) < 400 and '\n' not in str(error.value)


@pytest.mark.parametrize(
    ('value', 'expected'),
    [
        (0, 'threads is 0; expected at least 1'),
        (-1, 'threads is -1; expected at least 1'),
        (10**9, 'threads is 1000000000; expected at most 1024'),
        (2.0, 'threads is 2.0; expected a whole number, 1 to 1024'),
        (True, 'threads is True; expected a whole number, 1 to 1024'),
        ('4', "threads is '4'; expected a whole number, 1 to 1024"),
    ],
)
def test_a_number_out_of_range_is_named_with_its_bound(value, expected):
    with pytest.raises(ValueError) as error:
        whole_number(value, 'threads', 1, 1024)
    assert str(error.value) == expected


def test_a_number_in_range_is_an_int():
    assert whole_number(np.int32(4), 'threads', 1, 1024) == 4 and type(whole_number(np.int32(4), 'a', 1, 9)) is int


@pytest.mark.parametrize(
    ('batch_size', 'image_size', 'expected'),
    [(8, (640, 640), 8), (8, (8192, 8192), 1), (8, (4096, 8192), 2), (1000, (640, 640), 163), (65536, (32, 32), 65536)],
)
def test_large_images_run_in_smaller_batches(batch_size, image_size, expected):
    assert images_per_batch(batch_size, image_size) == images_per_batch(batch_size, image_size, 128) == expected


@pytest.mark.parametrize(
    ('num_classes', 'image_size', 'expected'),
    [(129, (640, 640), 162), (1203, (640, 640), 17), (8000, (320, 320), 10), (65536, (320, 320), 1)],
)
def test_images_of_many_classes_run_in_smaller_batches(num_classes, image_size, expected):
    """Their logits would take gigabytes."""
    assert images_per_batch(1000, image_size, num_classes) == expected


@pytest.fixture(scope='module')
def detector():
    return mbv3zoo.load('mbv3_yolo_small.synth')


ASKING = {
    'predict': lambda detector, size: detector.predict([], image_size=size),
    'predict in a runtime': lambda detector, size: detector.predict([], image_size=size, runtime='eager'),
    'iter_predict': lambda detector, size: iter_predict(detector, [], image_size=size),
    'load': lambda _, size: mbv3zoo.load('mbv3_yolo_small.synth', runtime='eager', image_size=size),
    'evaluate': lambda detector, size: mbv3zoo.evaluate(detector, _nothing(detector), image_size=size),
    'export': lambda detector, size: detector.export('model.onnx', image_size=size),
    'create_detector': lambda _, size: mbv3zoo.create_detector('mbv3_yolo_small', image_size=size),
    'config': lambda _, size: DetectorConfig.parse({'backbone': 'resnet18', 'image_size': size}),
    'train': lambda _, size: mbv3zoo.train('data.yaml', image_size=size),
    'benchmark': lambda _, size: run_benchmark(['mbv3_yolo_small'], sizes=[size]),
}


def _nothing(detector):
    return DetectionSet([], detector.config.class_names)


@pytest.mark.parametrize('size', [0, -1, 31, 20000, 100000, True, 320.5, (320, 0), (320, float('nan'))])
@pytest.mark.parametrize('call', ASKING)
def test_every_call_refuses_a_size_before_it_does_anything(detector, tmp_path, monkeypatch, call, size):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match='size.*; expected|size: expected') as error:
        ASKING[call](detector, size)
    assert 'expected a side, or (height, width), of 32 to 8192 pixels' in str(error.value)
    assert '\n' not in str(error.value) and not list(tmp_path.iterdir())


def test_a_size_as_text_is_a_side_or_height_x_width():
    assert parse_size('320') == (320, 320) and parse_size('320x640') == parse_size('320X640') == (320, 640)


@pytest.mark.parametrize(
    'text', ['', 'x', '320x', '0', '-3', '1x2x3', '3.5', '640,320', '640 320', '0x32', 'abc', '8193', '31', '9' * 5000]
)
def test_what_is_no_size_is_refused_in_a_sentence(text):
    with pytest.raises(ValueError, match='^size .*: expected a side such as 320, or HEIGHTxWIDTH such as 320x640, of'):
        parse_size(text)
