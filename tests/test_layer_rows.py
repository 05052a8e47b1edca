import pytest

from mbv3zoo.config import DetectorConfig
from mbv3zoo.layer_rows import LayerRow, LayerRows

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
