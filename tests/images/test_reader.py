import threading
import time

import numpy as np
import pytest
from PIL import Image

from mbv3zoo.images import reader as picture_reader
from mbv3zoo.images.letterbox import Letterbox
from mbv3zoo.images.read import read_image
from mbv3zoo.images.reader import read_pictures


@pytest.fixture
def pattern():
    y, x = np.mgrid[0:600, 0:900]
    return np.stack([x % 256, y % 256, (x + y) // 6 % 256], 2).astype(np.uint8)


def read(items, size=(64, 96), channels=3, **options):
    return list(read_pictures(items, channels, size, **{'ahead': 4, 'raise_unreadable': False} | options))


def test_order_stays_though_some_take_longer(monkeypatch, pattern):
    def slow(item, channels, at_least=None):
        time.sleep(0.02 * (item[0, 0, 0] % 3))
        return item

    monkeypatch.setattr(picture_reader, 'read_image', slow)
    items = [np.full((8, 8, 3), value, np.uint8) for value in range(20)]
    assert [int(picture.pixels[0, 0, 48]) for picture in read(items)] == list(range(20))


@pytest.mark.parametrize('ahead', [2, 6])
def test_reads_no_further_ahead_than_asked(monkeypatch, ahead):
    done = []

    def note(item, channels, at_least=None):
        done.append(threading.get_ident())
        return item

    monkeypatch.setattr(picture_reader, 'read_image', note)
    pictures = read_pictures([np.zeros((8, 8, 3), np.uint8)] * 50, 3, (64, 64), ahead, False)
    for taken in range(1, 6):
        next(pictures)
        time.sleep(0.05)
        assert taken <= len(done) <= taken + ahead
    # Not in the caller's thread; and those that are no longer wanted are not read.
    assert threading.get_ident() not in done
    pictures.close()
    time.sleep(0.05)
    assert len(done) <= 5 + ahead


def test_a_large_jpeg_is_decoded_small_and_lies_where_it_did(tmp_path, pattern):
    path = tmp_path / 'large.jpg'
    Image.fromarray(pattern).save(path, quality=95, subsampling=0)
    (picture,) = read([path], (64, 96))
    assert picture.letterbox == Letterbox.fit((600, 900), (64, 96))
    whole = picture.letterbox.apply_array(read_image(path))
    # The two ways of making it small agree but for rounding; a shift of half a pixel would be 5 levels.
    assert np.abs(picture.pixels.astype(int) - whole).mean() < 1.5
    assert picture.pixels.shape == (3, 64, 96)


@pytest.mark.parametrize('channels', [1, 3])
def test_a_small_picture_has_the_very_pixels(tmp_path, pattern, channels):
    path = tmp_path / 'small.png'
    Image.fromarray(pattern[:70, :100]).save(path)
    (picture,) = read([path], (64, 96), channels)
    assert np.array_equal(picture.pixels, picture.letterbox.apply_array(read_image(path, channels)))


def test_a_damaged_file_is_told(tmp_path, pattern):
    Image.fromarray(pattern).save(tmp_path / 'a.png')
    (tmp_path / 'b.png').write_bytes((tmp_path / 'a.png').read_bytes()[:500])
    good, bad, gone = read([tmp_path / name for name in ('a.png', 'b.png', 'c.png')])
    assert good.error is None and good.path == str(tmp_path / 'a.png')
    assert 'b.png' in bad.error and bad.pixels is None and 'no such file' in gone.error
    with pytest.raises(ValueError, match='b.png'):
        read([tmp_path / 'b.png'], raise_unreadable=True)


def test_mistakes_of_the_caller_are_raised(pattern):
    with pytest.raises(ValueError, match='multiply by 255'):
        read([pattern, pattern / 255.0])
    with pytest.raises(ValueError, match='channels'):
        read(['a.png', 'b.png'], channels=5)


def test_memory_that_runs_out_is_one_pictures_error(tmp_path, monkeypatch, pattern):
    for name in ('a.png', 'b.png', 'c.png'):
        Image.fromarray(pattern).save(tmp_path / name)
    fit = Letterbox.apply_array
    failing = iter([False, True, False])

    def fail(self, pixels):
        if next(failing):
            raise MemoryError
        return fit(self, pixels)

    monkeypatch.setattr(Letterbox, 'apply_array', fail)
    monkeypatch.setattr(picture_reader, '_MOST_THREADS', 1)
    found = read([tmp_path / name for name in ('a.png', 'b.png', 'c.png')])
    assert [picture.error is None for picture in found] == [True, False, True]
    assert 'b.png' in found[1].error and 'not enough memory' in found[1].error


def test_a_single_picture_that_memory_does_not_take_is_refused_in_a_sentence(tmp_path, monkeypatch, pattern):
    def fail(self, pixels):
        raise MemoryError

    monkeypatch.setattr(Letterbox, 'apply_array', fail)
    Image.fromarray(pattern).save(tmp_path / 'a.png')
    for item in (tmp_path / 'a.png', pattern):
        with pytest.raises(ValueError, match='cannot read .*not enough memory'):
            read([item], raise_unreadable=True)


def test_images_of_many_pixels_are_decoded_one_at_a_time(tmp_path, monkeypatch, pattern):
    Image.fromarray(pattern).save(tmp_path / 'a.png')
    inside, most = [], []

    def note(item, *_, **__):
        inside.append(item)
        time.sleep(0.01)
        most.append(len(inside))
        inside.pop()
        return pattern

    monkeypatch.setattr(picture_reader, 'read_image', note)
    for limit, threads in ((10**9, range(2, 5)), (1000, [1])):
        monkeypatch.setattr(picture_reader, 'MANY_PIXELS', limit)
        monkeypatch.setattr('os.cpu_count', lambda: 4)
        most.clear()
        assert len(read([tmp_path / 'a.png'] * 12, ahead=8)) == 12
        assert max(most) in threads


def test_what_is_no_file_and_what_is_too_large_are_named_and_the_rest_goes_on(tmp_path, pattern):
    Image.fromarray(pattern).save(tmp_path / 'a.png')
    (tmp_path / 'folder.jpg').mkdir()
    (tmp_path / 'closed.png').symlink_to('nothing')
    found = read([tmp_path / name for name in ('folder.jpg', 'a.png', 'closed.png')])
    assert ['directory' in str(found[0].error), found[1].error, 'no such file' in str(found[2].error)] == [
        True,
        None,
        True,
    ]
    (first,) = read([tmp_path / 'a.png'], max_pixels=539_999)
    assert '900 x 600 = 540000 pixels, more than 539999' in first.error
