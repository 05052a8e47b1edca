import pytest
from yolov5_yamls import P6, official, patched

import mbv3zoo
from mbv3zoo.info import cost, describe
from mbv3zoo.layer_table import layer_table, read_layer_table


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
