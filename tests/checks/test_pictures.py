import hashlib

import numpy as np
import pytest
from labelled import as_set, record
from PIL import Image

from mbv3zoo.checks.pictures import Looked, find_modes, find_odd_shapes, find_unreadable, look_at


def looked(*modes):
    return [Looked(mode, b'', np.zeros(256), '' if mode else 'cut') for mode in modes]


def splits(**counts):
    return {name: as_set(*map(record, range(count))) for name, count in counts.items()}


def test_each_image_is_looked_at_once(tmp_path):
    Image.new('RGB', (300, 200), 'red').save(tmp_path / 'a.png')
    Image.new('CMYK', (300, 200)).save(tmp_path / 'b.jpg')
    (tmp_path / 'c.png').write_bytes((tmp_path / 'a.png').read_bytes()[:60])
    records = [record(i, path=tmp_path / name) for i, name in enumerate(['a.png', 'b.jpg', 'c.png', 'gone.png'])]
    counted = []
    (found,) = look_at({'train': as_set(*records)}, counted.append).values()
    assert [each.mode for each in found] == ['RGB', 'CMYK', '', ''] and counted == [1] * 4
    assert found[0].digest == hashlib.sha256((tmp_path / 'a.png').read_bytes()).digest()
    assert [bool(each.error) for each in found] == [False, False, True, True]
    assert 'c.png' in found[2].error and 'gone.png' in found[3].error


def test_unreadable_images_are_an_error():
    (finding,) = find_unreadable(splits(train=2, val=1), {'train': looked('RGB', ''), 'val': looked('RGB')})
    assert finding.level == 'error' and finding.lines == ('cut',)
    assert finding.text == '1 picture of train that cannot be read, such as: cut'


@pytest.mark.parametrize(
    ('modes', 'expected'),
    [
        (['RGB', 'RGB', 'L', ''], [('note', '1 picture stored as grey, where most are RGB')]),
        (['CMYK'], [('warning', '1 picture stored as CMYK, which is for printing, and turns into other colours')]),
        (['L', 'L'], []),
        (['RGB', 'RGB', 'PA'], [('note', '1 picture stored as PA, where most are RGB')]),
        ([], []),
    ],
)
def test_modes(modes, expected):
    found = find_modes(splits(all=len(modes)), {'all': looked(*modes)})
    assert [(finding.level, finding.text) for finding in found] == expected


def test_images_that_are_mostly_padding_at_the_input():
    shapes = [(100, 100), (300, 100), (301, 100), (100, 1000), (640, 640)]
    data = {'train': as_set(*(record(i, size=size) for i, size in enumerate(shapes)))}
    (finding,) = find_odd_shapes(data, (320, 320))
    assert finding.level == 'warning' and finding.count == 2 and 'with --slice' in finding.text
    # The worst first, as height x width.
    assert [example.caption for example in finding.examples] == ['100 x 1000', '301 x 100']
    (wide,) = find_odd_shapes(data, (320, 1280))
    assert sorted(example.record.image_id for example in wide.examples) == [0, 1, 2, 4]
    few = {'train': as_set(*(record(i, size=(100, 100)) for i in range(30)), record(30, size=(10, 100)))}
    (note,) = find_odd_shapes(few, (320, 320))
    assert note.level == 'note' and note.text.startswith('1 picture of train more than 3 times as wide')
    assert [*find_odd_shapes({'train': as_set()}, (320, 320))] == []


def test_images_in_arrow_files_are_looked_at(tmp_path):
    pa = pytest.importorskip('pyarrow')
    Image.new('L', (30, 20)).save(tmp_path / 'a.png')
    content = (tmp_path / 'a.png').read_bytes()
    table = pa.table({'image': [content]})
    with pa.OSFile(str(tmp_path / 'set.arrow'), 'wb') as file, pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table)
    ((found,),) = look_at({'train': as_set(record(1, path=tmp_path / 'set.arrow/image/0.png'))}, id).values()
    assert found.mode == 'L' and not found.error and found.digest == hashlib.sha256(content).digest()
