from pathlib import Path

import pytest
from PIL import Image

from mbv3zoo.images.embedded import embedded_names, embedded_path, holding_file, mapped_rows, read_embedded
from mbv3zoo.images.read import read_image, read_size

pa = pytest.importorskip('pyarrow')


def write(path, **columns):
    table = pa.table(columns)
    with pa.OSFile(str(path), 'wb') as file, pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)
    return path


@pytest.fixture
def pictures(tmp_path):
    contents = []
    for i in range(5):
        Image.new('RGB', (20 + i, 10), (i, 0, 0)).save(tmp_path / 'a.png')
        contents.append((tmp_path / 'a.png').read_bytes())
    return contents


def test_an_image_is_read_where_it_lies(tmp_path, pictures):
    rows = [{'bytes': content, 'path': f'{i}.png'} for i, content in enumerate(pictures)]
    file = write(tmp_path / 'set.arrow', image=rows, plain=pictures, number=range(5))
    assert mapped_rows(str(file), 'image') == mapped_rows(str(file), 'plain') == 5
    assert mapped_rows(str(file), 'number') is None and mapped_rows(str(file), 'none') is None
    assert [*embedded_names(str(file), 'image')] == [(f'{i}.png', True) for i in range(5)]
    for i, content in enumerate(pictures):
        for column in ('image', 'plain'):
            path = embedded_path(file, column, i, '.png')
            assert read_embedded(path) == read_embedded(str(path)) == content and holding_file(path) == str(file)
        assert read_size(path) == (20 + i, 10) and read_image(path)[0, 0, 0] == i


def test_rows_without_bytes(tmp_path, pictures):
    rows = [{'bytes': None, 'path': 'elsewhere.png'}, None, {'bytes': pictures[0], 'path': None}]
    file = write(tmp_path / 'set.arrow', image=rows)
    assert [*embedded_names(str(file), 'image')] == [('elsewhere.png', False), (None, False), (None, True)]
    assert [read_embedded(embedded_path(file, 'image', i)) is None for i in range(3)] == [True, True, False]


def test_other_paths_are_no_embedded_images(tmp_path, pictures):
    file = write(tmp_path / 'set.arrow', image=pictures)
    others = [
        tmp_path / 'a.png',
        file,
        file / 'image',
        file / 'image/a.png',
        tmp_path / 'x.arrow/image/1.png',
        b'a.png',
    ]
    for path in others:
        assert read_embedded(path) is None
    for row in (5, 10**9):
        assert read_embedded(embedded_path(file, 'image', row)) is None
    assert holding_file(tmp_path / 'a.png') == tmp_path / 'a.png'
    # A folder may be called so.
    folder = tmp_path / 'folder.arrow/image'
    folder.mkdir(parents=True)
    (folder / '1.png').write_bytes(pictures[3])
    assert read_embedded(folder / '1.png') is None and read_size(folder / '1.png') == (23, 10)


def test_a_file_that_changes_is_read_anew_and_a_damaged_one_named(tmp_path, pictures):
    file = write(tmp_path / 'set.arrow', image=pictures[:1])
    path = embedded_path(file, 'image', 0)
    assert read_size(path) == (20, 10)
    write(tmp_path / 'new.arrow', image=pictures[2:]).replace(file)
    assert read_size(path) == (22, 10)
    Path(file).write_bytes(b'no arrow')
    assert mapped_rows(str(file), 'image') is None
    with pytest.raises(ValueError, match=r"cannot read image file '.*set\.arrow/image/00000000'"):
        read_image(path)
    file.unlink()
    with pytest.raises(ValueError, match='there is no such file'):
        read_image(path)
