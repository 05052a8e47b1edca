"""Decoding and NMS put behind a file that gives raw maps."""

import numpy as np
import pytest
import torch
from exported_files import needs

import mbv3zoo
from mbv3zoo.export.graph import DeployedNetwork
from mbv3zoo.export.request import nms_settings
from mbv3zoo.export.tail import SuppressionTail, add_suppression, without_suppression
from mbv3zoo.export.write import write_graph
from mbv3zoo.runtimes.export_info import ExportInfo
from mbv3zoo.runtimes.exported_detector import ExportedDetector
from mbv3zoo.runtimes.session import open_session
from mbv3zoo.synth import SyntheticConfig, generate_scene
from mbv3zoo.version import __version__

LOW = {'score_thresh': 0.2, 'iou_thresh': 0.4, 'max_detections': 20}


@pytest.fixture(scope='module')
def detector():
    return mbv3zoo.Detector.from_pretrained('mbv3_yolo_small.synth')


def info_of(detector, size=128, **settings):
    info = ExportInfo.of(detector.config, detector.strides, __version__, **nms_settings(LOW), **settings)
    return info.model_copy(update={'image_size': (size, size)})


@torch.no_grad()
def test_a_tail_gives_what_the_whole_graph_gives(detector):
    info = info_of(detector)
    images = torch.randint(0, 256, (1, 3, 128, 128), dtype=torch.uint8, generator=torch.Generator().manual_seed(3))
    maps = DeployedNetwork(detector, without_suppression(info))(images)
    tail = SuppressionTail(info)
    assert [x.shape for x in tail.example()] == [x.shape for x in maps]
    torch.testing.assert_close(tail(list(maps)), DeployedNetwork(detector, info)(images), rtol=0, atol=0)


@pytest.mark.parametrize('dynamic', [False, True])
@pytest.mark.parametrize('name', ['onnx', 'openvino'])
def test_a_file_gives_what_it_gave_with_nms_outside(name, dynamic, detector, tmp_path):
    needs(name)
    info, path = info_of(detector, dynamic=dynamic), tmp_path / {'onnx': 'm.onnx', 'openvino': 'm.xml'}[name]
    write_graph(detector, without_suppression(info), path)
    scene = generate_scene(np.random.default_rng(5), SyntheticConfig(image_size=128))[0]
    image = np.asarray(scene.resize((128, 128))).transpose(2, 0, 1)[None]
    before = mbv3zoo.load(path).predict(image[0].transpose(1, 2, 0), **LOW)
    add_suppression(path, info, [image])
    opened = mbv3zoo.load(path)
    after = opened.predict(image[0].transpose(1, 2, 0))
    assert opened.info.outputs == 'detections' and opened.info.score_thresh == 0.2
    assert len(before) and after.labels.tolist() == before.labels.tolist()
    np.testing.assert_allclose(after.boxes, before.boxes, atol=1e-3)
    np.testing.assert_allclose(after.scores, before.scores, atol=1e-5)
    if dynamic:
        both = ExportedDetector(open_session(path), info).detect(np.concatenate([image, image]))
        assert [len(kept.scores) for kept in both] == [len(before)] * 2


def test_other_boxes_are_refused(detector, tmp_path, monkeypatch):
    needs('onnx')
    info, path = info_of(detector), tmp_path / 'm.onnx'
    write_graph(detector, without_suppression(info), path)
    kept = [torch.rand(6, 4), torch.rand(6), torch.zeros(6, dtype=torch.int64)]
    found = iter([kept, [part[:0] for part in kept]])
    monkeypatch.setattr('mbv3zoo.export.tail._found', lambda *_: [next(found)])
    with pytest.raises(ValueError, match='6 of 6 boxes come out otherwise with NMS inside; export it without nms'):
        add_suppression(path, info, [])
