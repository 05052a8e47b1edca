import hashlib

import numpy as np
import pytest
from labelled import as_set, record
from PIL import Image

from mbv3zoo.checks.pictures import Looked, find_modes, find_unreadable, look_at


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
