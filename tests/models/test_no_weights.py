import numpy as np
import pytest
import torch

import mbv3zoo
from mbv3zoo.export.live import open_live
from mbv3zoo.models.no_weights import check_has_weights, is_untrained

PICTURE = np.zeros((64, 64, 3), np.uint8)


@pytest.fixture(scope='module')
def empty():
    return mbv3zoo.create_detector('test_resnet', num_classes=2, image_size=64, device='meta')


@pytest.fixture(scope='module')
def half_empty():
    detector = mbv3zoo.create_detector('test_resnet', num_classes=2, image_size=64).eval()
    detector.head.to('meta')
    return detector


@pytest.mark.parametrize(
    ('done', 'do'),
    [
        ('run', lambda detector, path: detector.predict(PICTURE)),
        ('run', lambda detector, path: detector.predict([PICTURE, PICTURE])),
        ('run', lambda detector, path: detector.predict(PICTURE, runtime='eager')),
        ('run', lambda detector, path: detector.predict(PICTURE, runtime='onnxruntime')),
        ('run', lambda detector, path: detector.predict(PICTURE, runtime='auto')),
        ('run', lambda detector, path: open_live(detector, 'openvino')),
        ('saved', lambda detector, path: detector.save_pretrained(path)),
        ('saved', lambda detector, path: detector.save_pretrained(path, dtype='float16')),
        ('saved', lambda detector, path: detector.push_to_hub('org/name')),
        ('exported', lambda detector, path: detector.export(path.with_suffix('.onnx'))),
        ('exported', lambda detector, path: detector.export(path.with_suffix('.pt2'))),
    ],
)
@pytest.mark.parametrize('name', ['empty', 'half_empty'])
def test_a_detector_without_weights_says_so(name, done, do, request, tmp_path):
    detector = request.getfixturevalue(name)
    with pytest.raises(ValueError, match=rf'^a detector without weights cannot be {done}: .* is on the meta device'):
        do(detector, tmp_path / 'out')
    assert not list(tmp_path.iterdir())


def test_weights_are_not_loaded_where_none_can_be(tmp_path):
    detector = mbv3zoo.create_detector('test_resnet', num_classes=2, image_size=64)
    folder = detector.save_pretrained(tmp_path / 'saved')
    check_has_weights(detector, 'run')
    places = [(folder, {'pretrained': True}), ('test_resnet', {'pretrained': True})]
    for name, settings in (*places, ('test_resnet', {'checkpoint_path': folder / 'model.safetensors'})):
        with pytest.raises(ValueError, match="device='meta' holds no weights.*leave one of them out"):
            mbv3zoo.create_detector(name, device=torch.device('meta', 0), **settings)
    # What it costs is asked without them.
    assert mbv3zoo.create_detector(folder, device='meta').config == detector.config


def test_a_detector_is_untrained_until_its_norms_have_seen_an_image():
    detector = mbv3zoo.create_detector('mbv3_yolo_small_050', num_classes=2)
    assert is_untrained(detector)
    detector(torch.rand(2, 3, 64, 64))
    assert not is_untrained(detector)
    assert not is_untrained(detector.fuse())
