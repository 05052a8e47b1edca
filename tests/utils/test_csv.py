import pytest

from mbv3zoo.utils.csv import read_csv


def test_lines_have_the_cells_of_their_columns(tmp_path):
    path = tmp_path / 'a.csv'
    path.write_bytes(b'\xef\xbb\xbfa,b\r\n1,"x, y"\r\n2\r\n\r\n3,z,too many\r\n')
    assert read_csv(path) == (['a', 'b'], [{'a': '1', 'b': 'x, y'}, {'a': '2', 'b': ''}, {'a': '3', 'b': 'z'}])


def test_what_is_no_csv_file_is_told_with_its_line(tmp_path):
    (tmp_path / 'a.csv').write_text('a\n' + 'x' * 200_000)
    with pytest.raises(ValueError, match=r'a.csv: not a CSV file: field larger'):
        read_csv(tmp_path / 'a.csv')
    (tmp_path / 'a.csv').write_bytes(b'a\n\xff')
    with pytest.raises(ValueError, match='a.csv:2: the file is not UTF-8 text'):
        read_csv(tmp_path / 'a.csv')
    (tmp_path / 'a.csv').write_bytes(b'')
    assert read_csv(tmp_path / 'a.csv') == ([], [])
