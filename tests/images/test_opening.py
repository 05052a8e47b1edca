import os
import socket
import struct
import subprocess
import threading
import warnings
import zlib

import numpy as np
import pytest
from PIL import EpsImagePlugin, Image, ImageFile

from mbv3zoo.images import bounded_file
from mbv3zoo.images.opening import open_image, orientation_of, pixel_limit
from mbv3zoo.images.read import read_image, read_size, read_stored_size
from mbv3zoo.utils.sizes import MAX_PIXELS

READERS = [read_image, read_size, read_stored_size, lambda path: read_image(path, at_least=(4, 4))]
PIXELS = np.random.default_rng(0).integers(0, 255, (6, 9, 3), np.uint8)


def png_chunk(kind, data):
    return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))


def png(width, height, *chunks):
    """A black PNG of one bit a pixel, of any size; the rows are compressed once and for all where they are many."""
    compressor = zlib.compressobj(9)
    row, rows = bytes(1 + (width + 7) // 8), []
    many = max(1, 2**20 // len(row))
    for start in range(0, height, many):
        rows.append(compressor.compress(row * min(many, height - start)))
    rows.append(compressor.flush())
    header = struct.pack('>IIBBBBB', width, height, 1, 0, 0, 0, 0)
    parts = [png_chunk(b'IHDR', header), *chunks, png_chunk(b'IDAT', b''.join(rows)), png_chunk(b'IEND', b'')]
    return b'\x89PNG\r\n\x1a\n' + b''.join(parts)


def png_header(width, height):
    header = png_chunk(b'IHDR', struct.pack('>IIBBBBB', width, height, 8, 6, 0, 0, 0))
    return b'\x89PNG\r\n\x1a\n' + header + png_chunk(b'IDAT', bytes(9))


def bmp(width, height):
    head = struct.pack('<IiiHHIIiiII', 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b'BM' + struct.pack('<IHHI', 54 + 100, 0, 0, 54) + head + bytes(100)


def tiff(width, height, *tags):
    rows = [
        (256, 4, 1, struct.pack('<I', width)), (257, 4, 1, struct.pack('<I', height)), (258, 3, 1, b'\x08\0'),
        (259, 3, 1, b'\x01\0'), (262, 3, 1, b'\x01\0'), (273, 4, 1, struct.pack('<I', 300)), (277, 3, 1, b'\x01\0'),
        (278, 4, 1, struct.pack('<I', height)), (279, 4, 1, struct.pack('<I', width * height % 2**32)),
    ]  # fmt: skip
    rows = sorted([*(row for row in rows if row[0] not in {tag[0] for tag in tags}), *tags])
    data = b'II*\0' + struct.pack('<IH', 8, len(rows))
    extra = b''
    for tag, kind, count, value in rows:
        data += struct.pack('<HHI', tag, kind, count)
        data += value.ljust(4, b'\0') if len(value) <= 4 else struct.pack('<I', 250)
        extra += value if len(value) > 4 else b''
    pixels = np.arange(min(width * height, 54), dtype=np.uint8).tobytes()
    return (data.ljust(250, b'\0') + extra).ljust(300, b'\0') + pixels


def gif(width, height):
    frame = b',' + struct.pack('<HHHHB', 0, 0, 1, 1, 0) + b'\x02\x02\x44\x01\0;'
    return b'GIF89a' + struct.pack('<HHBBB', width, height, 0x80, 0, 0) + bytes(6) + frame


def webp(width, height):
    # VP8L: 14 bits each of the sides less one.
    data = b'\x2f' + struct.pack('<I', (width - 1) | (height - 1) << 14) + bytes(20)
    chunk = b'VP8L' + struct.pack('<I', len(data)) + data + bytes(len(data) % 2)
    return b'RIFF' + struct.pack('<I', 4 + len(chunk)) + b'WEBP' + chunk


def jpeg(width, height):
    from io import BytesIO

    out = BytesIO()
    Image.new('L', (8, 8)).save(out, 'JPEG')
    data = out.getvalue()
    start = data.index(b'\xff\xc0') + 5
    return data[:start] + struct.pack('>HH', height, width) + data[start + 4 :]


BOMBS = {
    'wide.png': (png(176_000_000, 1), 176_000_000, 1),
    'large.png': (png_header(2**31 - 1, 2**31 - 1), 2**31 - 1, 2**31 - 1),
    'square.bmp': (bmp(20_000, 20_000), 20_000, 20_000),
    'square.tif': (tiff(60_000, 60_000), 60_000, 60_000),
    'square.gif': (gif(65_535, 65_535), 65_535, 65_535),
    'square.webp': (webp(13_300, 13_300), 13_300, 13_300),
    'square.jpg': (jpeg(65_000, 65_000), 65_000, 65_000),
    'square.ppm': (b'P6 30000 30000 255\n' + bytes(100), 30_000, 30_000),
    'png-inside.jpg': (png(200_000, 501), 200_000, 501),
}


@pytest.fixture
def no_pixels(monkeypatch):
    """No pixel may be decoded, and no memory taken for one."""

    def refuse(*_):
        raise AssertionError('pixels were decoded')

    monkeypatch.setattr(ImageFile.ImageFile, 'load', refuse)
    monkeypatch.setattr(ImageFile.ImageFile, 'load_prepare', refuse)


@pytest.mark.parametrize('name', BOMBS)
@pytest.mark.parametrize('reader', READERS)
def test_a_bomb_is_refused_by_its_header(tmp_path, no_pixels, name, reader):
    data, width, height = BOMBS[name]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ValueError, match=name) as caught:
        reader(tmp_path / name)
    said = str(caught.value)
    assert f'it has {width} x {height} = {width * height} pixels, more than {MAX_PIXELS};' in said
    assert 'max_pixels' in said and '\n' not in said


def test_the_limit_is_an_option_and_counts_pixels(tmp_path):
    path = tmp_path / 'a.png'
    Image.fromarray(PIXELS).save(path)
    assert read_size(path, 54) == (9, 6) and read_image(path, max_pixels=54).shape == (6, 9, 3)
    for reader in (read_size, read_stored_size, lambda path, limit: read_image(path, 3, None, limit)):
        with pytest.raises(ValueError, match=r'a\.png.*it has 9 x 6 = 54 pixels, more than 53'):
            reader(path, 53)


@pytest.mark.parametrize('value', [0, -1, 1.5, '9', True, float('nan')])
def test_limits_that_are_none(value):
    with pytest.raises(ValueError, match='max_pixels is .*whole number >= 1'):
        pixel_limit(value)
    assert pixel_limit(None) == MAX_PIXELS and pixel_limit(7) == 7


@pytest.mark.parametrize('suffix', ['.png', '.webp', '.tif', '.gif', '.bmp', '.jpg'])
def test_the_limit_of_pil_neither_warns_nor_raises_and_is_kept(tmp_path, monkeypatch, suffix):
    path = tmp_path / f'a{suffix}'
    Image.fromarray(PIXELS).save(path)
    for own in (30, 10):  # above it PIL warns, above twice that it raises
        monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', own)
        with warnings.catch_warnings():
            warnings.simplefilter('error')
            assert read_image(path).shape == (6, 9, 3) and read_size(path) == (9, 6)
            with pytest.raises(ValueError, match='no such file'):
                read_size(tmp_path / 'missing.png')
        assert own == Image.MAX_IMAGE_PIXELS


def test_the_limit_of_pil_is_back_after_the_last_of_several_threads(tmp_path):
    path, before = tmp_path / 'a.png', Image.MAX_IMAGE_PIXELS
    Image.fromarray(PIXELS).save(path)
    inside, leave = threading.Event(), threading.Event()

    def hold():
        with open_image(path):
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    assert inside.wait(10)
    read_image(path)
    assert Image.MAX_IMAGE_PIXELS is None
    leave.set()
    thread.join()
    assert before == Image.MAX_IMAGE_PIXELS


def test_pictures_in_memory_have_no_limit(monkeypatch):
    assert read_image(PIXELS, max_pixels=1).shape == (6, 9, 3)
    assert read_image(Image.fromarray(PIXELS), max_pixels=1).shape == (6, 9, 3)


@pytest.mark.parametrize('size', [(1_000_001, 1), (1, 1_000_001)])
def test_a_side_that_cannot_be_resized_is_refused(tmp_path, no_pixels, size):
    (tmp_path / 'a.png').write_bytes(png(*size))
    with pytest.raises(ValueError, match=r'a\.png.*no side may be longer than 1000000; cut it'):
        read_size(tmp_path / 'a.png')


def test_a_tiff_in_tiles_larger_than_itself(tmp_path, no_pixels):
    tiles = [(322, 4, 1, struct.pack('<I', 60_000)), (323, 4, 1, struct.pack('<I', 60_000))]
    tiles += [(324, 4, 1, struct.pack('<I', 300)), (325, 4, 1, struct.pack('<I', 54)), (259, 3, 1, b'\x08\0')]
    (tmp_path / 'a.tif').write_bytes(tiff(9, 6, *tiles))
    with pytest.raises(ValueError, match=r'a\.tif.*tiles of 60000 x 60000'):
        read_image(tmp_path / 'a.tif')


@pytest.mark.parametrize('name', ['a.gif', 'a.tif', 'a.webp', 'a.png'])
def test_only_the_first_of_many_frames_is_read(tmp_path, monkeypatch, name):
    frames = [Image.new('RGB', (9, 6), (value, 0, 0)) for value in range(0, 255, 20)]
    frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
    with Image.open(tmp_path / name) as image:
        assert image.n_frames > 9
        seek = type(image)

    def refuse(self, frame):
        raise AssertionError('another frame was read')

    monkeypatch.setattr(seek, 'seek', refuse)
    assert read_image(tmp_path / name).max() <= 2


def test_a_text_in_a_png_that_is_a_bomb_itself(tmp_path):
    text = png_chunk(b'zTXt', b'a\0\0' + zlib.compress(bytes(200_000_000), 9))
    (tmp_path / 'a.png').write_bytes(png(9, 6, text))
    for reader in READERS:
        try:
            reader(tmp_path / 'a.png')
        except ValueError as error:
            assert 'a.png' in str(error)


FOREIGN = {
    'eps': b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 6\n%%EndComments\nshowpage\n%%EOF\n',
    'psd': b'8BPS' + struct.pack('>H6xHIIHH', 1, 3, 6, 9, 8, 3) + bytes(12) + bytes(170),
    'fits': b''.join(
        line.ljust(80)
        for line in (b'SIMPLE  =                    T', b'BITPIX  =                    8',
                     b'NAXIS   =                    2', b'NAXIS1  =                    9',
                     b'NAXIS2  =                    6', b'END')
    ).ljust(2880) + bytes(2880),
    'pcx': b'\x0a\x05\x01\x08' + struct.pack('<HHHH', 0, 0, 8, 5) + bytes(200),
    'ico': b'\0\0\x01\0\x01\0' + struct.pack('<BBBBHHII', 9, 6, 0, 0, 1, 8, 60, 22) + png(9, 6),
}  # fmt: skip


@pytest.mark.parametrize('kind', FOREIGN)
@pytest.mark.parametrize('name', ['cat.jpg', 'cat.png', 'cat.eps'])
def test_other_formats_are_refused_whatever_they_are_called(tmp_path, monkeypatch, kind, name):
    def refuse(*_, **__):
        raise AssertionError('a program was started')

    monkeypatch.setattr(EpsImagePlugin, 'Ghostscript', refuse)
    monkeypatch.setattr(subprocess, 'Popen', refuse)
    (tmp_path / name).write_bytes(FOREIGN[kind])
    Image.init()
    for reader in READERS:
        with pytest.raises(
            ValueError, match=rf'{name}.*not an image in a format that is read \(JPEG, PNG.*TIFF.*\), or .*save it as'
        ):
            reader(tmp_path / name)


def exif(kind, count, value):
    """An EXIF block whose orientation is of any type."""
    data = b'Exif\0\0MM\0*' + struct.pack('>IHHHI', 8, 1, 274, kind, count)
    return data + (value.ljust(8, b'\0') if len(value) <= 4 else struct.pack('>II', 26, 0) + value)


ODD = {
    'text': (2, 2, b'6\0'), 'byte': (1, 1, b'\x06'), 'undefined': (7, 1, b'\x06'), 'bytes': (7, 4, b'\0\0\0\x06'),
    'float': (11, 1, struct.pack('>f', 6)), 'double': (12, 1, struct.pack('>d', 6)),
    'rational': (5, 1, struct.pack('>II', 6, 1)), 'divided by zero': (5, 1, struct.pack('>II', 6, 0)),
    'huge': (4, 1, b'\xff' * 4), 'negative': (9, 1, struct.pack('>i', -6)), 'zero': (3, 1, b'\0\0'),
    'nine': (3, 1, b'\0\x09'), 'no value': (3, 0, b''), 'unknown type': (99, 1, b'\x06'),
}  # fmt: skip


@pytest.mark.parametrize('odd', ODD)
@pytest.mark.parametrize('name', ['a.jpg', 'a.mpo', 'a.png', 'a.webp'])
@pytest.mark.filterwarnings('ignore')
def test_an_orientation_that_is_none_is_upright(tmp_path, odd, name):
    path, options = tmp_path / name, {}
    if name == 'a.mpo':
        options = {'save_all': True, 'append_images': [Image.fromarray(PIXELS)]}
    Image.fromarray(PIXELS).save(path, exif=exif(*ODD[odd]), lossless=True, **options)
    with Image.open(path) as image:
        stored = np.array(image)
    assert np.array_equal(read_image(path), stored)
    assert read_size(path) == (9, 6) and read_stored_size(path) == ((9, 6), 1)
    height, width, _ = read_image(path, at_least=(3, 4)).shape
    assert height < width
    with Image.open(path) as image:
        assert np.array_equal(read_image(image), stored)


@pytest.mark.parametrize('odd', ODD)
@pytest.mark.filterwarnings('ignore')
def test_an_orientation_of_a_tiff_that_is_none_is_upright(tmp_path, odd):
    kind, count, value = ODD[odd]
    unit = {3: 2, 4: 4, 5: 4, 9: 4, 11: 4, 12: 8}.get(kind, 1)
    value = b''.join(value[i : i + unit][::-1] for i in range(0, len(value), unit))
    (tmp_path / 'a.tif').write_bytes(tiff(9, 6, (274, kind, count, value)))
    assert read_image(tmp_path / 'a.tif')[:, :, 0].tolist() == np.arange(54).reshape(6, 9).tolist()
    assert read_stored_size(tmp_path / 'a.tif') == ((9, 6), 1)


def test_whatever_exif_raises_the_picture_is_upright(monkeypatch):
    class Odd(Exception):
        pass

    def fail(self):
        raise Odd

    monkeypatch.setattr(Image.Image, 'getexif', fail)
    assert orientation_of(Image.fromarray(PIXELS)) == 1


def test_memory_that_runs_out_is_the_pictures_error(tmp_path, monkeypatch):
    Image.fromarray(PIXELS).save(tmp_path / 'a.png')

    def fail(self):
        raise MemoryError

    monkeypatch.setattr(ImageFile.ImageFile, 'load', fail)
    with pytest.raises(ValueError, match=r'a\.png.*not enough memory'):
        read_image(tmp_path / 'a.png')


def test_pipes_and_sockets_are_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.mkfifo('pipe.jpg')
    listener = socket.socket(socket.AF_UNIX)
    listener.bind('socket.jpg')
    os.symlink('/dev/zero', 'device.jpg')
    for name in ('pipe.jpg', 'socket.jpg', 'device.jpg'):
        for reader in READERS:
            with pytest.raises(ValueError, match=f'{name}.*not a regular file'):
                reader(name)
    listener.close()


def test_files_that_cannot_be_opened(tmp_path, monkeypatch):
    (tmp_path / 'empty.png').touch()
    (tmp_path / 'folder.jpg').mkdir()
    (tmp_path / 'closed.jpg').write_bytes(b'x')
    os.symlink(tmp_path / 'loop.jpg', tmp_path / 'loop.jpg')
    real = open

    def closed(path, *args, **options):
        if str(path).endswith('closed.jpg'):
            raise PermissionError(13, 'Permission denied', str(path))
        return real(path, *args, **options)

    monkeypatch.setattr(bounded_file, 'open', closed, raising=False)
    for name, why in {
        'empty.png': 'not an image: the file is empty',
        'folder.jpg': 'it is a directory',
        'closed.jpg': 'permission denied',
        'loop.jpg': 'too many levels of symbolic links',
        'missing.jpg': 'there is no such file',
        'x' * 300 + '.jpg': 'file name too long',
        'nul\0.jpg': 'null',
    }.items():
        for reader in READERS:
            with pytest.raises(ValueError, match=why) as caught:
                reader(tmp_path / name)
            assert '\n' not in str(caught.value)


def test_a_name_that_is_no_utf_8_is_told_in_text_that_prints(tmp_path):
    path = os.path.join(os.fsencode(tmp_path), b'caf\xe9.jpg')
    with open(path, 'wb') as file:
        file.write(b'no image')
    for reader in READERS:
        with pytest.raises(ValueError, match='not an image') as caught:
            reader(os.fsdecode(path))
        assert str(caught.value).encode('utf-8')
    Image.fromarray(PIXELS).save(os.fsdecode(path), 'png')
    assert np.array_equal(read_image(os.fsdecode(path)), PIXELS)
