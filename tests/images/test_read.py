import colorsys
import struct

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms.v2.functional import resize

from mbv3zoo.images.opening import IMAGE_SUFFIXES
from mbv3zoo.images.read import read_image, read_size, read_stored_size

HEIGHT, WIDTH = 5, 7
CHANNELS = {'1': 1, 'L': 1, 'P': 1, 'LA': 2, 'La': 2, 'RGB': 3, 'YCbCr': 3, 'HSV': 3}


def noise(*shape, high=256, dtype=np.uint8):
    return np.random.default_rng(0).integers(0, high, shape).astype(dtype)


def over_white(colour, alpha):
    """Plain alpha blending, colour [H, W, C] and alpha [H, W] in 0..255."""
    share = alpha[:, :, None] / 255
    return colour * share + 255 * (1 - share)


def raw_image(mode):
    """An image of a mode with random bytes, and those as [H, W, C]."""
    raw = noise(HEIGHT, WIDTH, CHANNELS.get(mode, 4))
    if mode in ('La', 'RGBa'):  # colours multiplied by alpha never exceed it
        raw[:, :, :-1] = np.minimum(raw[:, :, :-1], raw[:, :, -1:])
    return Image.frombytes(mode, (WIDTH, HEIGHT), raw.tobytes()), raw.astype(np.float64)


def hsv_to_rgb(raw):
    flat = [colorsys.hsv_to_rgb(*(pixel / 255)) for pixel in raw.reshape(-1, 3)]
    return np.array(flat).reshape(raw.shape) * 255


def ycbcr_to_rgb(raw):
    y, cb, cr = raw[..., 0], raw[..., 1] - 128, raw[..., 2] - 128
    return np.stack([y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb], axis=2).clip(0, 255)


# The expected colours by textbook formulas, and by how much PIL's integer arithmetic may differ.
FORMULAS = {
    'L': (lambda raw: raw.repeat(3, axis=2), 0),
    'RGB': (lambda raw: raw, 0),
    'RGBX': (lambda raw: raw[..., :3], 0),
    'RGBA': (lambda raw: over_white(raw[..., :3], raw[..., 3]), 1),
    'RGBa': (lambda raw: raw[..., :3] + 255 - raw[..., 3:], 2),
    'LA': (lambda raw: over_white(raw[..., :1].repeat(3, axis=2), raw[..., 1]), 1),
    'La': (lambda raw: raw[..., :1].repeat(3, axis=2) + 255 - raw[..., 1:], 2),
    'CMYK': (lambda raw: (255 - raw[..., :3]) * (255 - raw[..., 3:]) / 255, 1),
    'YCbCr': (ycbcr_to_rgb, 2),
    'HSV': (hsv_to_rgb, 6),
}


@pytest.mark.parametrize('mode', FORMULAS)
def test_modes_match_textbook_formulas(mode):
    image, raw = raw_image(mode)
    formula, tolerance = FORMULAS[mode]
    pixels = read_image(image)
    assert pixels.shape == (HEIGHT, WIDTH, 3) and pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous and pixels.flags.writeable
    assert np.abs(pixels - formula(raw)).max() <= tolerance


def test_bilevel():
    bits = noise(HEIGHT, WIDTH, high=2).astype(bool)
    expected = np.where(bits, 255, 0)[:, :, None].repeat(3, axis=2)
    assert np.array_equal(read_image(Image.fromarray(bits)), expected)


def palette_image():
    indices, palette = noise(HEIGHT, WIDTH, high=4), noise(4, 3)
    image = Image.fromarray(indices)
    image.putpalette(palette.tobytes())
    return image, indices, palette


def test_palette(tmp_path):
    image, indices, palette = palette_image()
    assert np.array_equal(read_image(image), palette[indices])
    image.save(tmp_path / 'a.png')
    assert Image.open(tmp_path / 'a.png').mode == 'P'
    assert np.array_equal(read_image(tmp_path / 'a.png'), palette[indices])


@pytest.mark.parametrize('transparency', [2, bytes([0, 60, 200, 255])])
def test_palette_with_transparency(tmp_path, transparency):
    image, indices, palette = palette_image()
    image.save(tmp_path / 'a.png', transparency=transparency)
    alphas = np.full(4, 255)
    if isinstance(transparency, int):
        alphas[transparency] = 0
    else:
        alphas = np.frombuffer(transparency, np.uint8)
    expected = over_white(palette[indices].astype(float), alphas[indices])
    assert np.abs(read_image(tmp_path / 'a.png') - expected).max() <= 1


def test_transparent_colour_of_rgb_and_grey(tmp_path):
    rgb = noise(HEIGHT, WIDTH, 3)
    Image.fromarray(rgb).save(tmp_path / 'rgb.png', transparency=tuple(rgb[0, 0].tolist()))
    expected = np.where((rgb == rgb[0, 0]).all(axis=2, keepdims=True), 255, rgb)
    assert np.array_equal(read_image(tmp_path / 'rgb.png'), expected)
    grey = noise(HEIGHT, WIDTH, high=3)
    Image.fromarray(grey).save(tmp_path / 'grey.png', transparency=1)
    expected = np.where(grey == 1, 255, grey)[:, :, None].repeat(3, axis=2)
    assert np.array_equal(read_image(tmp_path / 'grey.png'), expected)


def sixteen_bit():
    values = noise(HEIGHT, WIDTH, high=65536, dtype=np.uint16)
    values[0, :5] = 0, 65535, 257, 128, 129
    return values, np.rint(values / 257).astype(np.uint8)[:, :, None].repeat(3, axis=2)


@pytest.mark.parametrize('mode', ['I;16', 'I;16L', 'I;16B', 'I'])
def test_16_bit_modes(mode):
    values, expected = sixteen_bit()
    stored = {'I': '<i4', 'I;16B': '>u2'}.get(mode, '<u2')
    image = Image.frombytes(mode, (WIDTH, HEIGHT), values.astype(stored).tobytes())
    pixels = read_image(image)
    assert np.array_equal(pixels, expected)
    assert pixels[0, :5, 0].tolist() == [0, 255, 1, 0, 1]


@pytest.mark.parametrize('suffix', ['.png', '.tif', '.pgm'])
def test_16_bit_files(tmp_path, suffix):
    values, expected = sixteen_bit()
    path = tmp_path / f'a{suffix}'
    if suffix == '.pgm':
        path.write_bytes(f'P5 {WIDTH} {HEIGHT} 65535\n'.encode() + values.astype('>u2').tobytes())
    else:
        Image.fromarray(values).save(path)
    assert np.array_equal(read_image(path), expected)


def test_mode_i_outside_16_bit_is_refused():
    for value in (-1, 65536):
        with pytest.raises(ValueError, match='outside 16 bit'):
            read_image(Image.new('I', (2, 2), value))


def test_float_mode_is_refused(tmp_path):
    with pytest.raises(ValueError, match='mode F.*convert it to 8 bit'):
        read_image(Image.new('F', (2, 2)))
    Image.new('F', (2, 2)).save(tmp_path / 'f.tif')
    with pytest.raises(ValueError, match='f.tif'):
        read_image(tmp_path / 'f.tif')


def test_cmyk_jpeg(tmp_path):
    Image.new('CMYK', (16, 16), (200, 40, 90, 30)).save(tmp_path / 'a.jpg', quality=100)
    expected = [(255 - ink) * (255 - 30) / 255 for ink in (200, 40, 90)]
    assert np.abs(read_image(tmp_path / 'a.jpg')[8, 8] - expected).max() <= 3


def test_animation_gives_first_frame(tmp_path):
    frames = [Image.new('RGB', (8, 8), colour) for colour in ('red', 'lime', 'blue')]
    frames[0].save(tmp_path / 'a.gif', save_all=True, append_images=frames[1:])
    with Image.open(tmp_path / 'a.gif') as image:
        assert image.n_frames == 3
    assert (read_image(tmp_path / 'a.gif') == [255, 0, 0]).all()


# What each orientation says: how the stored rows and columns are shown (Exif 2.3, table 6, tag 274).
UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a, 1),
}


def exif_of(orientation):
    exif = Image.Exif()
    exif[274] = orientation
    return exif


@pytest.mark.parametrize('orientation', UPRIGHT)
@pytest.mark.parametrize('suffix', ['.png', '.tif', '.webp', '.jpg'])
def test_exif_orientation(tmp_path, orientation, suffix):
    stored = noise(6, 9, 3)
    path = tmp_path / f'a{suffix}'
    Image.fromarray(stored).save(path, exif=exif_of(orientation), lossless=True, quality=100, subsampling=0)
    if suffix == '.jpg':  # lossy: what PIL decodes, not turned, is the reference
        with Image.open(path) as image:
            stored = np.array(image)
    expected = UPRIGHT[orientation](stored)
    assert np.array_equal(read_image(path), expected)
    assert read_size(path) == (expected.shape[1], expected.shape[0])
    assert read_stored_size(path) == ((9, 6), orientation)
    with Image.open(path) as image:
        assert np.array_equal(read_image(image), expected)
    # The file is closed now, the pixels are in memory.
    assert np.array_equal(read_image(image), expected)


@pytest.mark.parametrize('orientation', [1, 3, 6])
def test_exif_orientation_of_16_bit(tmp_path, orientation):
    values, expected = sixteen_bit()
    Image.fromarray(values).save(tmp_path / 'a.png', exif=exif_of(orientation))
    assert np.array_equal(read_image(tmp_path / 'a.png'), UPRIGHT[orientation](expected))


def test_exif_behind_the_pixels_of_a_png(tmp_path):
    stored = noise(6, 9, 3)
    path = tmp_path / 'a.png'
    Image.fromarray(stored).save(path, exif=exif_of(6))
    data = path.read_bytes()
    start = data.index(b'eXIf') - 4
    end = start + 12 + struct.unpack('>I', data[start : start + 4])[0]
    tail = data.index(b'IEND') - 4
    path.write_bytes(data[:start] + data[end:tail] + data[start:end] + data[tail:])
    assert np.array_equal(read_image(path), np.rot90(stored, -1))
    assert read_size(path) == (6, 9)


@pytest.mark.parametrize('suffix', ['.jpg', '.png', '.webp'])
@pytest.mark.parametrize('block', [b'garbage', b'MM\0*\0\0\0\x08\0\xff\x01\x12\0\x03'])
@pytest.mark.filterwarnings('ignore:Corrupt EXIF')
def test_damaged_exif_does_not_lose_the_picture(tmp_path, suffix, block):
    path = tmp_path / f'a{suffix}'
    Image.fromarray(noise(6, 9, 3)).save(path, exif=b'Exif\0\0' + block)
    assert read_image(path).shape == (6, 9, 3)
    assert read_size(path) == (9, 6)


def test_orientation_beside_a_damaged_tag(tmp_path):
    # Tag 270 (text) holds a fraction: it can be read, but PIL cannot write it again.
    tags = struct.pack('>H', 2) + struct.pack('>HHII', 270, 5, 1, 38) + struct.pack('>HHIHH', 274, 3, 1, 6, 0)
    block = b'Exif\0\0MM\0*' + struct.pack('>I', 8) + tags + struct.pack('>III', 0, 1, 2)
    stored = noise(6, 9, 3)
    Image.fromarray(stored).save(tmp_path / 'a.png', exif=block)
    assert np.array_equal(read_image(tmp_path / 'a.png'), np.rot90(stored, -1))
    assert read_size(tmp_path / 'a.png') == (6, 9)


def test_pil_source_is_not_changed():
    image = Image.fromarray(noise(6, 9, 4))
    image.getexif()[274] = 6
    before = image.tobytes()
    assert read_image(image).shape == (9, 6, 3)
    assert image.mode == 'RGBA' and image.size == (9, 6) and image.tobytes() == before
    assert image.getexif()[274] == 6


def test_arrays():
    rgb, grey = noise(HEIGHT, WIDTH, 3), noise(HEIGHT, WIDTH)
    grey_as_rgb = grey[:, :, None].repeat(3, axis=2)
    assert np.array_equal(read_image(rgb), rgb)
    assert np.array_equal(read_image(rgb[:, ::-1, ::-1]), rgb[:, ::-1, ::-1])
    assert np.array_equal(read_image(grey), grey_as_rgb)
    assert np.array_equal(read_image(grey[:, :, None]), grey_as_rgb)
    rgba = noise(HEIGHT, WIDTH, 4)
    assert np.abs(read_image(rgba) - over_white(rgba[..., :3].astype(float), rgba[..., 3])).max() <= 1
    values, expected = sixteen_bit()
    assert np.array_equal(read_image(values), expected)
    assert np.array_equal(read_image(values[:, :, None].repeat(3, axis=2)), expected)


def test_result_shares_no_memory():
    array, tensor = noise(HEIGHT, WIDTH, 3), torch.zeros(3, HEIGHT, WIDTH, dtype=torch.uint8)
    assert not np.shares_memory(read_image(array), array)
    for channels in (1, 2, 3):
        read_image(tensor[:channels], channels=channels)[:] = 7
    assert tensor.eq(0).all()


@pytest.mark.parametrize('dtype', [torch.uint8, torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize('channels', [1, 3, 4])
def test_tensors(dtype, channels):
    pixels = noise(HEIGHT, WIDTH, channels)
    tensor = torch.from_numpy(pixels).permute(2, 0, 1)
    if dtype.is_floating_point:
        tensor = (tensor.double() / 255).to(dtype)
    # bfloat16 has 8 bits for the fraction, so values next to 1 are up to half a step of 255 off
    tolerance = 1 if dtype == torch.bfloat16 or channels == 4 else 0
    expected = pixels.astype(float)
    expected = over_white(expected[..., :3], expected[..., 3]) if channels == 4 else expected
    assert np.abs(read_image(tensor) - expected).max() <= tolerance + (dtype == torch.bfloat16)


def test_tensor_with_gradient_and_hair_outside_the_range():
    tensor = torch.full((3, 2, 2), 1.0000002, requires_grad=True)
    assert (read_image(tensor) == 255).all()


@pytest.mark.parametrize(
    ('source', 'message'),
    [
        (np.zeros((4, 4, 3), np.float32), 'multiply by 255'),
        (np.zeros((4, 4, 3), np.int64), 'int64'),
        (np.zeros((4, 4, 3), bool), 'bool'),
        (np.zeros((3, 4, 5), np.uint8), r'\[H, W, C\], got 5'),
        (np.zeros((4, 4, 2), np.uint8), 'got 2'),
        (np.zeros((2, 4, 4, 3), np.uint8), r'\(2, 4, 4, 3\)'),
        (np.zeros(4, np.uint8), 'one image'),
        (np.zeros((0, 4, 3), np.uint8), 'no pixels'),
        (torch.zeros(5, 6, 3), r'\[C, H, W\], got 5'),
        (torch.zeros(3, 0, 3), 'no pixels'),
        (torch.zeros(1, 3, 4, 4), 'one image'),
        (torch.zeros(3, 4, 4, dtype=torch.int64), 'int64'),
        (torch.full((3, 4, 4), 255.0), r'outside 0\.\.1'),
        (torch.full((3, 4, 4), -2.0), r'outside 0\.\.1'),
        (torch.full((3, 4, 4), float('nan')), r'outside 0\.\.1'),
        (None, 'NoneType'),
        (3, 'int'),
    ],
)
def test_wrong_things_in_memory(source, message):
    with pytest.raises(ValueError, match=message):
        read_image(source)


def test_missing_directory_and_foreign_files(tmp_path):
    (tmp_path / 'text.jpg').write_text('not a picture')
    (tmp_path / 'empty.png').touch()
    for name, reason in {
        'missing.jpg': 'no such file',
        'text.jpg': 'not an image',
        'empty.png': 'not an image',
        '.': 'directory',
    }.items():
        for function in (read_image, read_size):
            with pytest.raises(ValueError, match=reason) as caught:
                function(tmp_path / name)
            assert str(tmp_path / name) in str(caught.value)
    with pytest.raises(ValueError, match='no such file'):
        read_image('')


@pytest.mark.parametrize('suffix', ['.jpg', '.png', '.bmp', '.gif', '.tif', '.webp', '.ppm'])
@pytest.mark.parametrize('share', [0.5, 0.9])
def test_truncated_files(tmp_path, suffix, share):
    path = tmp_path / f'cut{suffix}'
    Image.fromarray(noise(40, 60, 3)).save(path)
    assert read_image(path).shape == (40, 60, 3)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ValueError, match=f'cut{suffix}'):
        read_image(path)


def test_truncated_pil_image(tmp_path):
    path = tmp_path / 'cut.png'
    Image.fromarray(noise(40, 60, 3)).save(path)
    path.write_bytes(path.read_bytes()[:4000])
    with Image.open(path) as image, pytest.raises(ValueError, match='RGB PIL image of 60 x 40'):
        read_image(image)
    assert read_size(path) == (60, 40)


def test_channels():
    rgb = noise(HEIGHT, WIDTH, 3)
    luminance = rgb @ np.array([0.299, 0.587, 0.114])
    for source in (rgb, Image.fromarray(rgb), torch.from_numpy(rgb).permute(2, 0, 1)):
        grey = read_image(source, channels=1)
        assert grey.shape == (HEIGHT, WIDTH, 1) and np.abs(grey[..., 0] - luminance).max() <= 0.51
    for channels in (2, 4, 6):
        array = noise(HEIGHT, WIDTH, channels)
        assert np.array_equal(read_image(array, channels=channels), array)
        assert np.array_equal(read_image(torch.from_numpy(array).permute(2, 0, 1), channels=channels), array)
    with pytest.raises(ValueError, match='3 channels, 6 were expected'):
        read_image(rgb, channels=6)
    for source in (Image.fromarray(rgb), 'a.jpg'):
        with pytest.raises(ValueError, match='give 1 or 3'):
            read_image(source, channels=6)


def test_one_pixel_and_long_line():
    for shape in ((1, 1), (1, 5000), (5000, 1)):
        array = noise(*shape, 3)
        assert np.array_equal(read_image(Image.fromarray(array)), array)


def test_suffixes_are_lower_case_with_dot():
    assert {'.jpg', '.jpeg', '.png', '.webp', '.tif', '.bmp', '.gif'} <= IMAGE_SUFFIXES
    assert all(suffix.startswith('.') and suffix == suffix.lower() for suffix in IMAGE_SUFFIXES)


def smooth(height, width):
    """A picture that shows well how it is decoded: soft waves and sharp edges, other ones at each side."""
    y, x = np.mgrid[:height, :width]
    waves = [128 + 100 * np.sin(x / width * 9 + y / height * 4 + phase) for phase in (0, 2, 4)]
    pixels = np.stack(waves, 2)
    pixels[height // 5 : height // 3, width // 2 : width * 7 // 8] = 255, 0, 60
    return pixels.astype(np.uint8)


def resized(pixels, height, width):
    return resize(torch.from_numpy(pixels).permute(2, 0, 1), [height, width], antialias=True).permute(1, 2, 0).numpy()


# (height, width) asked of 701 x 1001, and the fraction that a JPEG is decoded at.
ASKED = [
    ((1, 1), 8), ((87, 125), 8), ((88, 125), 4), ((87, 126), 4), ((175, 250), 4), ((176, 250), 2), ((350, 500), 2),
    ((351, 500), 1), ((350, 501), 1), ((701, 1001), 1), ((5000, 5000), 1), ((5000, 10), 1), ((80, 500), 2),
]  # fmt: skip


@pytest.mark.parametrize('orientation', UPRIGHT)
@pytest.mark.parametrize(('asked', 'fraction'), ASKED)
def test_a_jpeg_may_be_decoded_at_a_fraction_of_its_size(tmp_path, orientation, asked, fraction):
    path = tmp_path / 'a.jpg'
    Image.fromarray(smooth(701, 1001)).save(path, quality=95, subsampling=0, exif=exif_of(orientation))
    turned = orientation >= 5
    at_least = asked[::-1] if turned else asked
    whole, part = read_image(path), read_image(path, at_least=at_least)
    shape = (701 // fraction, 1001 // fraction)
    assert part.shape == ((*shape[::-1], 3) if turned else (*shape, 3)) and part.dtype == np.uint8
    assert part.flags.c_contiguous and part.flags.writeable
    if fraction == 1:
        assert np.array_equal(part, whole)
        return
    # Never smaller than asked, and the same picture in the same place: no edge has moved.
    assert part.shape[0] >= at_least[0] and part.shape[1] >= at_least[1]
    size = (max(at_least[0], 60), max(at_least[1], 60))
    off = resized(part, *size).astype(int) - resized(whole, *size)
    assert np.abs(off).mean() < 1 and np.abs(off).max() < 40


@pytest.mark.parametrize('width', range(1000, 1009))
def test_sides_that_do_not_divide_shift_nothing(tmp_path, width):
    # An edge near the far side, as a share of the width, at each fraction.
    pixels = np.zeros((40, width, 3), np.uint8)
    pixels[:, 900:] = 255
    Image.fromarray(pixels).save(tmp_path / 'a.jpg', quality=95)
    for fraction in (2, 4, 8):
        part = read_image(tmp_path / 'a.jpg', at_least=(5, width // fraction))
        assert part.shape == (40 // fraction, width // fraction, 3)
        dark = 1 - part[2, :, 0].astype(float) / 255
        assert dark.sum() == pytest.approx(900 / width * part.shape[1], abs=0.05)


@pytest.mark.parametrize('mode', ['L', 'CMYK', 'RGB'])
def test_other_jpegs_at_a_fraction(tmp_path, mode):
    path = tmp_path / 'a.jpg'
    Image.fromarray(smooth(301, 203)).convert(mode).save(path, quality=95)
    part = read_image(path, at_least=(75, 50))
    assert part.shape == (75, 50, 3)
    assert np.abs(part.astype(int) - resized(read_image(path), 75, 50)).mean() < 2
    assert read_image(path, 1, at_least=(75, 50)).shape == (75, 50, 1)


def test_the_first_of_several_pictures_of_a_phone_at_a_fraction(tmp_path):
    first, second = (Image.fromarray(smooth(301, 203)), Image.new('RGB', (301, 203)))
    first.save(tmp_path / 'a.jpg', format='MPO', save_all=True, append_images=[second])
    with Image.open(tmp_path / 'a.jpg') as image:
        assert image.format == 'MPO' and image.n_frames == 2
    part = read_image(tmp_path / 'a.jpg', at_least=(75, 50))
    assert part.shape == (75, 50, 3)
    assert np.abs(part.astype(int) - resized(read_image(tmp_path / 'a.jpg'), 75, 50)).mean() < 2


@pytest.mark.parametrize('suffix', ['.png', '.bmp', '.tif', '.webp', '.gif', '.ppm'])
def test_other_formats_are_decoded_whole(tmp_path, suffix):
    path = tmp_path / f'a{suffix}'
    Image.fromarray(smooth(101, 80)).save(path)
    assert np.array_equal(read_image(path, at_least=(10, 10)), read_image(path))


def test_pictures_in_memory_are_taken_whole(tmp_path):
    pixels = smooth(101, 80)
    Image.fromarray(pixels).save(tmp_path / 'a.jpg')
    with Image.open(tmp_path / 'a.jpg') as image:
        for source in (pixels, image, torch.from_numpy(pixels).permute(2, 0, 1)):
            assert read_image(source, at_least=(10, 10)).shape == (101, 80, 3)


@pytest.mark.parametrize('size', [(1, 1), (1, 9), (8, 8), (7, 300), (16, 17)])
def test_small_jpegs_at_a_fraction(tmp_path, size):
    Image.fromarray(smooth(*size)).save(tmp_path / 'a.jpg')
    for at_least in ((1, 1), size, (max(size[0] // 2, 1), max(size[1] // 2, 1))):
        height, width, _ = read_image(tmp_path / 'a.jpg', at_least=at_least).shape
        assert height >= at_least[0] and width >= at_least[1]


def test_a_truncated_jpeg_is_named_at_a_fraction_too(tmp_path):
    path = tmp_path / 'cut.jpg'
    Image.fromarray(noise(203, 301, 3)).save(path)
    path.write_bytes(path.read_bytes()[:20000])
    with pytest.raises(ValueError, match=r'cut\.jpg.*truncated'):
        read_image(path, at_least=(20, 30))
