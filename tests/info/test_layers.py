import pytest
from yolov5_yamls import P6, official, patched

import mbv3zoo
from mbv3zoo.info.describe import cost, describe
from mbv3zoo.info.layers import layer_table, read_layer_table


@pytest.fixture
def write(tmp_path):
    def to_file(text):
        path = tmp_path / 'my.yaml'
        path.write_text(text, encoding='utf-8')
        return path

    return to_file


@pytest.mark.parametrize('text', [official('n', 3), P6, patched()], ids=['official', 'P6', 'patched'])
def test_the_rows_add_up_to_the_detector(write, text):
    path = write(text)
    rows, whole = read_layer_table(path), cost(path)
    assert sum(int(row.parameters.replace(',', '')) for row in rows) == whole.parameters
    assert sum(float(row.gflops) for row in rows) == pytest.approx(whole.operations / 1e9, abs=0.001 * len(rows))


def test_rows_by_hand(write):
    rows = {row.row: row for row in read_layer_table(write(official('n', 3)))}
    assert list(rows) == [str(number) for number in range(25)]
    # 16 channels of 6 x 6 x 3 and a BatchNorm, on a picture of 640 x 640 at stride 2.
    weights = 16 * 6 * 6 * 3
    costs = (f'{weights + 2 * 16:,}', f'{2 * weights * 320 * 320 / 1e9:.3f}')
    assert rows['0'] == ('0', '-1', 'Conv', '64, 6, 2, 2', '16 x 320 x 320', *costs)
    assert rows['6'].module == 'C3 x9' and rows['6'].output == '128 x 40 x 40'
    assert rows['12'] == ('12', '11, 6', 'Concat', '1', '256 x 40 x 40', '0', '0.000')
    # Three 1x1 convolutions with bias, from 64, 128 and 256 channels to 3 x 8 values.
    parameters = sum((channels + 1) * 24 for channels in (64, 128, 256))
    outputs = '3 x 80 x 80 x 8, 3 x 40 x 40 x 8, 3 x 20 x 20 x 8'
    assert rows['24'][:6] == ('24', '17, 20, 23', 'Detect', '3 classes, 3 anchors', outputs, f'{parameters:,}')


def test_a_whole_network_is_one_row(write):
    first, second, *_ = read_layer_table(write(patched()))
    backbone = mbv3zoo.create_detector('mbv3_yolo_large', device='meta').backbone
    assert first.row == '0-4' and first.module == 'mbv3_yolo_large'
    assert first.output == '2: 40 x 80 x 80, 3: 112 x 40 x 40, 4: 960 x 20 x 20'
    assert first.parameters == f'{sum(p.numel() for p in backbone.parameters()):,}'
    assert second.row == '5' and second.sources == '4'


def test_info_shows_it(write):
    path = write(official('n', 3))
    lines = describe(path).splitlines()
    assert lines[0].split() == ['row', 'from', 'module', 'args', 'output', 'parameters', 'GFLOPs']
    assert lines[1].split()[:3] == ['0', '-1', 'Conv'] and lines[26] == ''
    assert any(line.startswith('backbone') and 'cspdarknet_v6_n' in line for line in lines[27:])
    assert layer_table(read_layer_table(path)) == '\n'.join(lines[:26])
    # Settings of one's own have no rows.
    assert read_layer_table(write('backbone: resnet18\n')) is None
    assert 'row' not in describe(path).splitlines()[0].split()


def test_a_mistake_is_told(write):
    with pytest.raises(ValueError, match=r'my.yaml: row 12 \(Concat\) joins'):
        describe(write(official('n', 3).replace('[[-1, 6], 1', '[[-1, 4], 1')))


def test_arguments_of_a_network_are_shown(write):
    first, *_ = read_layer_table(write(patched('resnet18', '[{output_stride: 32, act_layer: gelu}]')))
    assert first[:4] == ('0-4', '-1', 'resnet18', 'output_stride=32, act_layer=gelu')


def test_small_file_by_hand(write):
    """Every row's parameters and operations by formula, on a rectangle: 2 x k x k x in x out x cells."""
    text = """nc: 2
anchors: [[10, 10], [40, 40]]
backbone:
  [[-1, 1, Conv, [8, 3, 2]],
   [-1, 1, Conv, [16, 3, 4]]]
head:
  [[-1, 1, nn.Upsample, [null, 4]],
   [[-1, 0], 1, Concat, [1]],
   [-1, 2, Bottleneck, [24]],
   [[4, 1], 1, Detect, [nc, anchors]]]
"""
    rows = read_layer_table(write(text))
    fine, coarse = 320 * 320, 80 * 80
    weights = [9 * 3 * 8, 9 * 8 * 16, 0, 0, 2 * (24 * 12 + 9 * 12 * 24), None]
    cells = [fine, coarse, 0, 0, fine]
    norms = [8, 16, 0, 0, 2 * (12 + 24)]
    for row, weight, cell, norm in zip(rows[:5], weights[:5], cells, norms, strict=True):
        assert (row.parameters, row.gflops) == (f'{weight + 2 * norm:,}', f'{2 * weight * cell / 1e9:.3f}')
    # 7 values of each of one anchor, with a bias.
    assert rows[5].parameters == f'{(24 + 1) * 7 + (16 + 1) * 7:,}'
    assert rows[5].gflops == f'{2 * 7 * (24 * fine + 16 * coarse) / 1e9:.3f}'
    assert [row.output for row in rows[:5]] == [
        '8 x 320 x 320', '16 x 80 x 80', '16 x 320 x 320', '24 x 320 x 320', '24 x 320 x 320'
    ]  # fmt: skip
