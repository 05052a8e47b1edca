import dataclasses
import os
import pickle
import shutil
import warnings
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from marker_set import marked_record, marker_set
from markers import marker_box
from PIL import Image

from mbv3zoo.data import pictures as module
from mbv3zoo.data.pictures import Pictures, empty_picture, read_or_none
from mbv3zoo.data.records import Record
from mbv3zoo.images.letterbox import PAD_VALUE

CACHES = ('no', 'memory', 'disk')
LONGEST = 128
JPEG = {'quality': 95, 'subsampling': 0}


@pytest.fixture(scope='module')
def records(tmp_path_factory):
    return marker_set(tmp_path_factory.mktemp('pictures')).records


@pytest.fixture
def reads(monkeypatch):
    """The files that are decoded."""
    found, real = [], module.read_image
    monkeypatch.setattr(module, 'read_image', lambda path, *args: found.append(path) or real(path, *args))
    return found


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        yield


def decoded(path):
    return torch.from_numpy(np.array(Image.open(path))).permute(2, 0, 1)


def same(one, other):
    return all(torch.equal(one[i], other[i]) for i in range(len(one)))


@pytest.mark.parametrize('cache', CACHES)
def test_small_pictures_are_as_they_are(records, tmp_path, cache):
    pictures = Pictures(records, 180, cache, tmp_path)
    assert len(pictures) == 12
    for i, record in enumerate(records):
        assert pictures[i].dtype == torch.uint8 and torch.equal(pictures[i], decoded(record.path))


# (height, width), the longest side allowed, and the size that is left: sides that do not divide.
SHRUNK = [
    ((101, 67), 50, (50, 33)),
    ((67, 101), 50, (33, 50)),
    ((200, 133), 128, (128, 85)),
    ((129, 129), 128, (128, 128)),
    ((128, 17), 128, (128, 17)),
    ((700, 3), 32, (32, 1)),
    ((1, 400), 32, (1, 32)),
]


@pytest.mark.parametrize(('size', 'longest', 'expected'), SHRUNK)
@pytest.mark.parametrize('cache', CACHES)
@pytest.mark.parametrize('suffix', ['.png', '.jpg'])
def test_large_pictures_are_shrunk(tmp_path, size, longest, expected, cache, suffix):
    values = np.linspace(0, 250, size[1])[None, :, None] * np.linspace(0, 1, size[0])[:, None, None]
    Image.fromarray(values.repeat(3, 2).astype(np.uint8)).save(tmp_path / f'a{suffix}', quality=95)
    record = dataclasses.replace(marked_record(tmp_path / 'b.png', 40, 40, []), path=tmp_path / f'a{suffix}', size=size)
    image = Pictures([record], longest, cache, tmp_path)[0]
    assert image.shape == (3, *expected)
    # Against the ramp that the picture is, at the centres of the new pixels.
    x, y = ((np.arange(new) + 0.5) * old / new - 0.5 for new, old in zip(expected[::-1], size[::-1], strict=True))
    ramp = x[None] * 250 / max(size[1] - 1, 1) * y[:, None] / max(size[0] - 1, 1)
    if min(size) > 3:
        assert np.abs(image[0].numpy() - ramp)[2:-2, 2:-2].max() < 4


@pytest.mark.parametrize('suffix', ['.png', '.jpg'])
@pytest.mark.parametrize('size', [(301, 403), (517, 233), (640, 480)])
def test_shrunk_pictures_show_their_markers_where_their_boxes_are_shrunk_to(tmp_path, size, suffix):
    # Colours at full size in the JPEG: its usual halves would blur the markers' edges.
    record = marked_record(tmp_path / f'a{suffix}', *size, [0, 2, 7], **JPEG if suffix == '.jpg' else {})
    for longest in (100, 128, 199, 320):
        image = Pictures([record], longest)[0]
        ratio = torch.tensor([image.shape[2] / size[1], image.shape[1] / size[0]] * 2)
        for box, label in zip((record.boxes * ratio).tolist(), record.labels.tolist(), strict=True):
            np.testing.assert_allclose(marker_box(image, label), box, atol=0.75)


def test_a_jpeg_is_decoded_at_a_fraction(tmp_path, monkeypatch):
    record = marked_record(tmp_path / 'a.jpg', 400, 600, [0])
    asked, real = [], module.read_image
    monkeypatch.setattr(module, 'read_image', lambda *args: asked.append(real(*args)) or asked[-1])
    assert Pictures([record], 140)[0].shape == (3, 93, 140)
    assert asked[0].shape == (100, 150, 3)


def test_caches_hold_what_is_read_without_them(records, tmp_path):
    plain = Pictures(records, LONGEST)
    for cache in ('memory', 'disk'):
        pictures = Pictures(records, LONGEST, cache, tmp_path)
        for _ in range(2):
            for i in reversed(range(12)):
                image, expected = pictures[i], plain[i]
                # The layout too: it decides how fast a picture is resized, and how its last bits are rounded.
                assert torch.equal(image, expected) and image.stride() == expected.stride()


@pytest.mark.parametrize(('cache', 'count'), [('no', 3), ('memory', 1), ('disk', 1)])
def test_with_a_cache_each_picture_is_decoded_once(records, tmp_path, reads, cache, count):
    pictures = Pictures(records, LONGEST, cache, tmp_path)
    assert reads == []
    for _ in range(3):
        for i in range(12):
            pictures[i]
    assert sorted(reads) == sorted([record.path for record in records] * count)


@pytest.mark.parametrize('cache', CACHES)
def test_a_picture_may_be_written_on(records, tmp_path, cache):
    pictures = Pictures(records, LONGEST, cache, tmp_path)
    before = pictures[0].clone()
    pictures[0].zero_()
    assert torch.equal(pictures[0], before) and before.any()


def test_a_later_run_finds_the_pictures_on_disk(records, tmp_path, reads):
    first = Pictures(records, LONGEST, 'disk', tmp_path)
    for i in range(8):
        first[i]
    reads.clear()
    again = Pictures(records, LONGEST, 'disk', tmp_path)
    for i in range(12):
        again[i]
    # What the first had no time for.
    assert reads == [record.path for record in records[8:]]
    assert same(again, Pictures(records, LONGEST)) and len(os.listdir(tmp_path)) == 1


def copied(records, folder):
    folder.mkdir()
    return [dataclasses.replace(r, path=Path(shutil.copy2(r.path, folder))) for r in records]


def test_a_changed_picture_or_size_is_not_found(records, tmp_path, reads):
    records = copied(records, tmp_path / 'pictures')
    cache = tmp_path / 'cache'

    def count(records, longest=LONGEST):
        pictures = Pictures(records, longest, 'disk', cache)
        reads.clear()
        for i in range(len(pictures)):
            pictures[i]
        return len(reads)

    assert (count(records), count(records)) == (12, 0)
    assert (count(records, 64), count(records, 64), count(records)) == (12, 0, 0)
    # Other pixels in as many bytes, by their time; and a file of another length of the same time.
    stat = os.stat(records[3].path)
    os.utime(records[3].path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    assert (count(records), count(records)) == (12, 0)
    with open(records[3].path, 'ab') as file:
        file.write(b'0')
    os.utime(records[3].path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    assert (count(records), count(records)) == (12, 0)
    assert count(records[:6]) == 6 and count(records[::-1]) == 12
    assert count(copied(records, tmp_path / 'elsewhere')) == 12


def test_pages_that_a_failing_computer_lost_are_read_again(records, tmp_path, reads):
    pictures = Pictures(records, LONGEST, 'disk', tmp_path)
    expected = [pictures[i] for i in range(12)]
    start, end = pictures.starts[4:6]
    del pictures
    [path] = tmp_path.iterdir()
    with open(path, 'r+b') as file:
        file.seek((start + end) // 2)
        file.write(bytes(100))
    reads.clear()
    for _ in range(2):
        again = Pictures(records, LONGEST, 'disk', tmp_path)
        assert all(torch.equal(again[i], expected[i]) for i in range(12))
    assert reads == [records[4].path]


def test_the_disk_cache_lies_in_the_users_cache_folder(records, tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'xdg'))
    Pictures(records, LONGEST, 'disk')
    assert len(list((tmp_path / 'xdg/mbv3zoo/pictures').iterdir())) == 1
    monkeypatch.delenv('XDG_CACHE_HOME')
    monkeypatch.setenv('HOME', str(tmp_path / 'home'))
    monkeypatch.setenv('USERPROFILE', str(tmp_path / 'home'))
    Pictures(records, LONGEST, 'disk')
    assert len(list((tmp_path / 'home/.cache/mbv3zoo/pictures').iterdir())) == 1


@pytest.mark.parametrize(
    ('cache', 'advice'), [('memory', "shared memory; use cache 'disk' or 'no'"), ('disk', "use cache 'no', or set XDG")]
)
def test_no_room_is_told_with_how_much_it_takes(records, tmp_path, monkeypatch, cache, advice):
    usage = namedtuple('usage', 'total used free')
    monkeypatch.setattr(module, '_SHARED_MEMORY', tmp_path)
    monkeypatch.setattr(module.shutil, 'disk_usage', lambda place: usage(2**40, 0, int(1.25 * 2**30)))
    large = [dataclasses.replace(records[0], size=(2**14, 2**14))] * 4
    with pytest.raises(ValueError) as caught:
        Pictures(large, 2**14, cache, tmp_path)
    message = str(caught.value)
    assert 'takes 3.0 GiB' in message and f'{tmp_path} has 1.2 GiB' in message and advice in message
    assert '\n' not in message and list(tmp_path.iterdir()) == []
    # What is there takes no more room.
    Pictures(records, LONGEST, cache, tmp_path)
    monkeypatch.setattr(module.shutil, 'disk_usage', lambda place: usage(2**40, 0, 0))
    if cache == 'disk':
        Pictures(records, LONGEST, cache, tmp_path)


@pytest.mark.skipif(not hasattr(os, 'posix_fallocate'), reason='room is not taken in advance here')
def test_a_disk_that_refuses_the_room_is_told_and_nothing_stays_behind(records, tmp_path, monkeypatch):
    def full(*args):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(module.os, 'posix_fallocate', full)
    with pytest.raises(ValueError, match=r'cannot make a cache of 0\.0 GiB in .*: No space left'):
        Pictures(records, LONGEST, 'disk', tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('cache', CACHES)
def test_a_vanished_file_is_named(records, tmp_path, cache):
    records = copied(records[:3], tmp_path / 'pictures')
    pictures = Pictures(records, LONGEST, cache, tmp_path / 'cache')
    pictures[0]
    records[1].path.unlink()
    with pytest.raises(FileNotFoundError, match=r'1\.png was there .* and is gone; put the data set back'):
        pictures[1]
    assert pictures[0].shape[0] == pictures[2].shape[0] == 3
    if cache == 'disk':
        with pytest.raises(FileNotFoundError, match=r'1\.png'):
            Pictures(records, LONGEST, cache, tmp_path / 'cache')


@pytest.mark.parametrize('cache', CACHES)
@pytest.mark.parametrize('suffix', ['.png', '.jpg'])
def test_a_damaged_file_is_named_each_time(records, tmp_path, cache, suffix):
    # Large enough that a JPEG is decoded at a fraction.
    damaged = marked_record(tmp_path / f'cut{suffix}', 300, 400, [0, 1, 2])
    content = damaged.path.read_bytes()
    damaged.path.write_bytes(content[: len(content) // 2])
    pictures = Pictures([records[0], damaged], LONGEST, cache, tmp_path / 'cache')
    for _ in range(2):
        with pytest.warns(UserWarning, match=rf'cut\{suffix}.*taken as an empty picture'):
            assert pictures[1] is None
    assert pictures[0].shape[0] == 3


@pytest.mark.parametrize('cache', CACHES)
def test_pickled_pictures_are_the_same(records, tmp_path, cache, reads):
    pictures = Pictures(records, LONGEST, cache, tmp_path)
    pictures[0]
    copy = pickle.loads(pickle.dumps(pictures))
    assert len(copy) == 12 and same(copy, Pictures(records, LONGEST))
    if cache == 'disk':
        # No copy of the pixels: what one reads, the other finds.
        assert len(pickle.dumps(pictures)) < 2**15
        reads.clear()
        assert same(pictures, copy) and reads == []


@pytest.mark.parametrize('cache', CACHES)
def test_no_pictures(tmp_path, cache):
    pictures = Pictures([], LONGEST, cache, tmp_path)
    assert len(pictures) == len(pickle.loads(pickle.dumps(pictures))) == 0


def test_read_or_none(records, tmp_path):
    known = records[0]
    assert torch.equal(read_or_none(known.path), decoded(known.path))
    assert read_or_none(known.path, 1).shape == (1, *known.size)
    assert read_or_none(known.path, at_least=(4, 4)).shape == (3, *known.size)
    with pytest.raises(FileNotFoundError, match=r'gone\.png'):
        read_or_none(tmp_path / 'gone.png')
    (tmp_path / 'text.png').write_text('not a picture')
    with pytest.warns(UserWarning, match=r'text\.png.*taken as an empty picture'):
        assert read_or_none(tmp_path / 'text.png') is None


def test_an_image_that_was_read_with_the_dataset_is_read_whatever_its_size(tmp_path, monkeypatch):
    Image.new('RGB', (8, 6)).save(tmp_path / 'a.png')
    monkeypatch.setattr('mbv3zoo.data.pictures.MAX_PIXELS', 47)
    assert read_or_none(tmp_path / 'a.png', size=(6, 8)).shape == (3, 6, 8)
    with pytest.warns(UserWarning, match=r'a\.png.*more than 47; .*taken as an empty picture'):
        assert read_or_none(tmp_path / 'a.png', size=(4, 8)) is None
    record = Record(tmp_path / 'a.png', (6, 8), *[torch.zeros(0)] * 4, 1)
    assert Pictures([record], 8)[0].shape == (3, 6, 8)


def test_an_empty_picture_is_padding():
    image = empty_picture(1, (3, 5))
    assert image.shape == (1, 3, 5) and image.dtype == torch.uint8 and (image == PAD_VALUE).all()


def test_a_cache_takes_images_whose_names_are_no_utf8(records, tmp_path):
    record = records[0]
    odd = Path(shutil.copy(record.path, tmp_path / f'\udcff{record.path.suffix}'))
    pictures = Pictures([replace(record, path=odd)], 180, 'disk', tmp_path)
    assert len(pictures.records) == 1
