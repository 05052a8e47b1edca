import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from mbv3zoo.images import bounded_file
from mbv3zoo.images.read import read_image, read_size

TOO_MANY = 'a.bin.: it is stored in too many parts, or they are stored on top of each other; save it anew'


def saved(format, **options):
    data = io.BytesIO()
    Image.fromarray(np.full((64, 64), 128, np.uint8)).save(data, format, **options)
    return data.getvalue()


def chunk(kind, data=b''):
    return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))


PNG, JPEG, GIF = saved('PNG'), saved('JPEG', progressive=True), saved('GIF')
GIF_IMAGE = GIF.rindex(b'\x2c\0\0\0\0')
FLOODS = {
    'chunks': PNG[:33] + chunk(b'abCd') * 400 + PNG[33:],
    'texts': PNG[:33] + chunk(b'tEXt', b'a\0b') * 400 + PNG[33:],
    'markers': JPEG[:2] + b'\xff\xfe\0\2' * 400 + JPEG[2:],
    'fill bytes': JPEG[:2] + b'\xff' * 1001 + JPEG[2:],
    'comment': b'P6 #' + b'x' * 1000 + b'\n1 1 255\n\0\0\0',
    'spaces': b'P6 ' + b' ' * 1000 + b'1 1 255\n\0\0\0',
    'comments': GIF[:GIF_IMAGE] + b'\x21\xfe\x01a\0' * 400 + GIF[GIF_IMAGE:],
}


@pytest.mark.parametrize('data', FLOODS.values(), ids=FLOODS)
@pytest.mark.parametrize('read', [read_size, read_image])
def test_a_file_of_countless_tiny_parts_is_left(tmp_path, monkeypatch, data, read):
    (tmp_path / 'a.bin').write_bytes(data)
    read(tmp_path / 'a.bin')
    monkeypatch.setattr(bounded_file, 'MOST_READS', 200)
    with pytest.raises(ValueError, match=TOO_MANY):
        read(tmp_path / 'a.bin')


def test_chunks_behind_the_pixels_count_as_well(tmp_path, monkeypatch):
    (tmp_path / 'a.bin').write_bytes(PNG[:-12] + chunk(b'abCd') * 400 + PNG[-12:])
    monkeypatch.setattr(bounded_file, 'MOST_READS', 200)
    with pytest.raises(ValueError, match=TOO_MANY):
        read_size(tmp_path / 'a.bin')


def test_bytes_that_are_read_again_and_again_count_each_time(tmp_path, monkeypatch):
    monkeypatch.setattr(bounded_file, 'MORE_BYTES', 0)
    (tmp_path / 'a').write_bytes(b'x' * 100)
    with bounded_file.BoundedFile(tmp_path / 'a', 100) as file:
        for _ in range(4):
            assert file.seek(0) == 0 and file.read(100) == b'x' * 100
        file.seek(0)
        with pytest.raises(bounded_file.Unreadable, match='on top of each other'):
            file.read(1)


def test_a_file_with_more_bytes_than_its_pixels_take_is_not_read(tmp_path):
    (tmp_path / 'a.bin').write_bytes(PNG)
    with open(tmp_path / 'a.bin', 'r+b') as file:
        file.truncate(2**31)
    with pytest.raises(
        ValueError, match='a.bin.: it has 2147483648 bytes, more than 867108864, which 100000000 pixels'
    ):
        read_size(tmp_path / 'a.bin')
    assert read_size(tmp_path / 'a.bin', max_pixels=10**9) == (64, 64)


def test_a_jpeg_whose_scans_go_over_it_again_and_again_is_not_decoded(tmp_path, monkeypatch):
    at = JPEG.rindex(b'\xff\xda')
    (tmp_path / 'a.bin').write_bytes(JPEG[:at] + JPEG[at:-2] * 100 + JPEG[-2:])
    assert read_image(tmp_path / 'a.bin').shape == (64, 64, 3)
    monkeypatch.setattr(bounded_file, 'MOST_SCANNED', 100 * 64 * 64)
    with pytest.raises(ValueError, match='its 4096 pixels are stored in 10[0-9] scans, and a JPEG file has about ten'):
        read_image(tmp_path / 'a.bin')
    assert read_size(tmp_path / 'a.bin') == (64, 64)
    # Of any size: as many as encoders write.
    monkeypatch.setattr(bounded_file, 'MOST_SCANNED', 0)
    (tmp_path / 'a.bin').write_bytes(JPEG)
    assert read_image(tmp_path / 'a.bin').shape == (64, 64, 3)
