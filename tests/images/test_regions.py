import numpy as np
import pytest
from PIL import Image, ImageFilter

from mbv3zoo.images import regions
from mbv3zoo.images.read import read_image
from mbv3zoo.images.regions import UnreadableRegion, open_regions

pytest.importorskip('rasterio')
SIZE = (301, 403)


@pytest.fixture(autouse=True)
def of_any_size(monkeypatch):
    monkeypatch.setattr(regions, 'MANY_PIXELS', 0)


def picture(mode='RGB'):
    pixels = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    return Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(3)).convert(mode)


@pytest.mark.parametrize('mode', ['RGB', 'L'])
@pytest.mark.parametrize('channels', [1, 3])
@pytest.mark.parametrize(('name', 'options'), [
    ('a.tif', {}), ('a.tif', {'compression': 'tiff_lzw'}), ('a.tif', {'compression': 'jpeg'}),
    ('a.tif', {'compression': 'tiff_adobe_deflate'}), ('a.jpg', {'quality': 95, 'subsampling': 0}), ('a.jpg', {}),
])  # fmt: skip
def test_a_region_has_the_pixels_of_the_whole(tmp_path, mode, channels, name, options):
    path = tmp_path / name
    picture(mode).save(path, **options)
    whole = read_image(path, channels)
    with open_regions(path, channels) as opened:
        assert opened.shape == (*SIZE, channels) and (opened.height, opened.width) == SIZE
        part = opened.read(((10, 200), (30, 403))).transpose(1, 2, 0)
        difference = np.abs(part.astype(int) - whole[10:200, 30:403])
        # Decoders smooth the colours of JPEG, which are stored at half the size, each in its own way.
        assert difference.max() <= (10 if name == 'a.jpg' and not options else 1) and difference.mean() < 0.5
        means = whole[: SIZE[0] // 4 * 4, : SIZE[1] // 4 * 4].reshape(SIZE[0] // 4, 4, SIZE[1] // 4, 4, channels)
        small = opened.smaller((60, 90))
        assert small.shape == (75, 100, channels)
        assert np.abs(small - means.mean((1, 3))).mean() < 3


def saved(tmp_path, name, image, **options):
    image.save(tmp_path / name, **options)
    return tmp_path / name


def test_what_gdal_would_read_otherwise_is_read_whole(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    files = [
        saved(tmp_path, 'progressive.jpg', picture(), progressive=True),
        saved(tmp_path, 'turned.jpg', picture(), exif=exif),
        saved(tmp_path, 'inks.jpg', picture('CMYK')),
        saved(tmp_path, 'palette.png', picture('P')),
        saved(tmp_path, 'alpha.tif', picture('RGBA')),
        saved(tmp_path, 'deep.tif', Image.fromarray(np.zeros(SIZE, np.uint16))),
        saved(tmp_path, 'other.webp', picture()),
        saved(tmp_path, 'other.bmp', picture()),
        saved(tmp_path, 'other.png', picture()),
    ]
    for file in files:
        assert open_regions(file) is None, file


def test_small_files_are_read_whole_and_so_are_all_without_rasterio(tmp_path, monkeypatch):
    path = saved(tmp_path, 'a.tif', picture())
    with monkeypatch.context() as patch:
        patch.setattr(regions, 'MANY_PIXELS', SIZE[0] * SIZE[1])
        assert open_regions(path) is None
    monkeypatch.setattr(regions, 'is_installed', lambda name: False)
    assert open_regions(path) is None


def test_limits_and_damage_are_told_with_the_name_of_the_file(tmp_path):
    path = saved(tmp_path, 'a.jpg', picture())
    with pytest.raises(ValueError, match=r"a\.jpg'.*more than 1000;.*max_pixels"):
        open_regions(path, max_pixels=1000)
    with pytest.raises(ValueError, match='there is no such file'):
        open_regions(tmp_path / 'none.tif')
    for name in ('a.jpg', 'a.tif'):
        path = saved(tmp_path, name, picture())
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        with open_regions(path) as opened, pytest.raises(UnreadableRegion, match=f"cannot read image file '.*{name}'"):
            opened.read()


def test_files_beside_the_image_do_not_change_it(tmp_path):
    path = saved(tmp_path, 'a.tif', picture())
    with open_regions(path) as opened:
        before = opened.read()
    (tmp_path / 'a.tif.msk').write_bytes(b'no image')
    (tmp_path / 'a.tif.ovr').write_bytes(b'no image')
    (tmp_path / 'a.tif.aux.xml').write_text('<PAMDataset><Metadata/></PAMDataset>')
    with open_regions(path) as opened:
        assert np.array_equal(opened.read(), before) and opened.smaller((10, 10)).shape[2] == 3
    assert sorted(file.name for file in tmp_path.iterdir()) == ['a.tif', 'a.tif.aux.xml', 'a.tif.msk', 'a.tif.ovr']
