import json
import shutil
import time

import pytest
from yolov5_yamls import P6

from mbv3zoo.config.detector import DetectorConfig
from mbv3zoo.config.layer_rows import LayerRow, LayerRows
from mbv3zoo.create import create_detector
from mbv3zoo.detector import Detector

ROW = {'sources': [0], 'block': 'Conv', 'args': [8, 3]}
ROWS = {'rows': [ROW], 'first': 1, 'inputs': [0], 'outputs': [1]}


def test_json_and_back():
    rows = LayerRows.parse({**ROWS, 'strides': [8]}, 'a')
    assert LayerRows.parse(rows.model_dump(mode='json'), 'b') == rows
    assert rows.rows[0] == LayerRow(sources=(0,), repeats=1, block='Conv', args=(8, 3))


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        ({'outputs': [2]}, 'Detect takes its input from row 2, which gives no map; those before it that do are 0, 1'),
        ({'inputs': [-1]}, r'row 1 \(Conv\): takes its input from row 0, .* are the picture'),
        ({'rows': [{**ROW, 'sources': [1]}]}, r'row 1 \(Conv\): takes its input from row 1'),
        ({'strides': [8, 16]}, '1 inputs need as many strides, given 2'),
        ({'rows': [{**ROW, 'args': [20000]}]}, 'at most 16384'),
        ({'rows': [{**ROW, 'args': [[[1e9]]]}]}, 'at most 16384'),
        ({'rows': [{**ROW, 'args': [{'a': -1e9}]}]}, 'at most 16384'),
        ({'rows': [{**ROW, 'repeats': 0}]}, 'repeats'),
        ({'rows': [{**ROW, 'repeats': 10**6}]}, 'repeats'),
        ({'rows': [{**ROW, 'repeats': 500}] * 10}, 'repeated 1024 times in all'),
        ({'rows': [ROW] * 5000}, 'rows'),
        ({'rows': [{**ROW, 'number': 3}]}, "unknown key 'number'"),
        ({'inputs': []}, 'inputs'),
    ],
)
def test_bad_rows_are_told_at_once(change, words):
    with pytest.raises(ValueError, match=f'my.json: .*{words}'):
        LayerRows.parse({**ROWS, **change}, 'my.json')


def test_a_config_with_rows():
    neck = {**ROWS, 'outputs': [0, 1]}
    config = DetectorConfig.parse({'backbone': 'resnet18', 'neck': neck, 'anchors': [[[1, 2]], [[3, 4]]]})
    assert DetectorConfig.parse(config.model_dump(mode='json')) == config
    assert DetectorConfig(backbone='resnet18', neck=neck, anchors=3).anchors == 3
    with pytest.raises(ValueError, match='anchors must hold 2 lists'):
        DetectorConfig.parse({'backbone': 'resnet18', 'neck': neck})


def _set(*keys, value):
    """A function that puts a value into nested settings."""

    def change(data):
        *path, last = keys
        for key in path:
            data = data[key]
        data[last] = value

    return change


@pytest.fixture(scope='module')
def saved(tmp_path_factory):
    """A saved detector whose backbone and neck are rows."""
    folder = tmp_path_factory.mktemp('rows')
    (folder / 'my.yaml').write_text(P6, encoding='utf-8')
    create_detector(folder / 'my.yaml', num_classes=2, image_size=64).save_pretrained(folder / 'saved')
    return folder / 'saved'


BACKBONE, NECK = ('backbone_args', 'rows', 'rows'), ('neck', 'rows')
CONV = {'sources': [-1], 'repeats': 1, 'block': 'Conv', 'args': [8]}


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        (_set(*BACKBONE, 2, 'args', value=[10**9]), 'at most 16384'),
        (_set(*BACKBONE, 2, 'args', value=[16384]), 'the weights do not fit'),
        (_set(*BACKBONE, value=[CONV] * 20000), 'at most 1024 items'),
        (_set(*BACKBONE, value=[CONV] * 1000), 'make 1000 layers'),
        (_set(*BACKBONE, 2, 'repeats', value=10**9), 'repeats'),
        (_set('backbone_args', 'depth_multiple', value=500), 'depth_multiple must be above 0 and at most 4'),
        (_set('backbone_args', 'width_multiple', value=500), 'width_multiple must be above 0 and at most 4'),
        (_set('backbone_args', 'act_layer', value='nn.SiLU(' + '-' * 50000 + '1)'), 'an activation is a name'),
        (_set('activation', value='nn.SiLU(' + '-' * 50000 + '1)'), 'an activation is a name'),
        (_set(*NECK, 0, 'args', value=[768, 15999]), 'parameters of the rows up to it'),
        (_set(*NECK, 0, 'args', value=['a' * 10**6]), 'at most 200 characters'),
        (_set(*NECK, 0, 'block', value='C' * 10**6), 'at most 100 characters'),
        (_set(*NECK, 0, 'block', value='os.system'), "unknown block 'os.system'"),
        (_set('neck', 'outputs', value=[999]), 'row 999, which gives no map'),
        (_set('neck', 'inputs', value=[4, 6]), 'gives no map'),
    ],
)
def test_a_foreign_config_cannot_ask_for_the_impossible(saved, tmp_path, change, words):
    """It is built before anybody looks at it: it must be refused in no time and without memory."""
    folder = tmp_path / 'foreign'
    shutil.copytree(saved, folder)
    config = json.loads((folder / 'config.json').read_text(encoding='utf-8'))
    change(config['detector'])
    (folder / 'config.json').write_text(json.dumps(config), encoding='utf-8')
    start = time.process_time()
    with pytest.raises(ValueError, match=words) as caught:
        Detector.from_pretrained(folder)
    assert time.process_time() - start < 10
    assert len(str(caught.value)) < 2000
