import pytest

from mbv3zoo.benchmark.rows import Row, read_rows, shown_size, write_rows

ROWS = [
    Row('a, "b"', 'eager', (64, 96), 2, 1.25, 1.0, 2.5, 1600.0, 1.0, 0.25, 120.5, 1234, 0.5),
    Row('päth/ä.onnx', 'openvino', None, 1, error='it takes pictures of 64 x 64 only,\ngiven 32 x 32'),
    Row('c', 'eager', (320, 320), 1, 3.0, 3.0, 3.0, 333.3333, 2.4, None, None, None, None),
]


def test_csv_gives_back_what_was_written(tmp_path):
    write_rows(ROWS, tmp_path / 'results.csv')
    assert read_rows(tmp_path / 'results.csv') == ROWS
    write_rows([], tmp_path / 'results.csv')
    assert read_rows(tmp_path / 'results.csv') == []


def test_columns_of_others_are_left_out(tmp_path):
    (tmp_path / 'a.csv').write_text('host,ms,batch,size,runtime,model\nx,2.5,1,64x32,eager,small\n')
    assert read_rows(tmp_path / 'a.csv') == [Row('small', 'eager', (64, 32), 1, 2.5)]


def test_other_files_are_refused(tmp_path):
    with pytest.raises(ValueError, match='no such file'):
        read_rows(tmp_path / 'a.csv')
    (tmp_path / 'a.csv').write_text('epoch,ap\n1,0.5\n')
    with pytest.raises(ValueError, match='no column batch, model, ms, runtime, size'):
        read_rows(tmp_path / 'a.csv')
    (tmp_path / 'a.csv').write_text('model,runtime,size,batch,ms\na,eager,64,1,fast\n')
    with pytest.raises(ValueError, match='a.csv, line 2: .*fast'):
        read_rows(tmp_path / 'a.csv')


def test_sizes():
    assert shown_size((320, 320)) == '320' and shown_size((320, 640)) == '320x640' and shown_size(None) == ''


def test_a_name_that_is_no_utf8_is_escaped(tmp_path):
    write_rows([Row('\udcff.onnx', 'onnxruntime', (320, 320), 1, error='猫')], tmp_path / 'rows.csv')
    (row,) = read_rows(tmp_path / 'rows.csv')
    assert row.model == '\\udcff.onnx' and row.error == '猫'
