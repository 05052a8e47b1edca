import numpy as np
import pytest
from PIL import Image

from mbv3zoo.synth.backgrounds import BackgroundFolder, DrawnBackgrounds


@pytest.mark.parametrize('shape', [(43, 64), (64, 48)])
def test_drawn_backgrounds_vary_and_stay_in_range(shape):
    means = []
    for seed in range(25):
        picture = DrawnBackgrounds().picture(np.random.default_rng(seed), *shape)
        assert picture.shape == (*shape, 3) and picture.dtype == np.float32
        assert picture.min() >= 0 and picture.max() <= 255
        means.append(picture.mean())
    assert np.std(means) > 15


def test_folder_crops_without_stretching(tmp_path):
    # The red channel grows with x, the green with y, by the same step a pixel.
    x, y = np.meshgrid(np.arange(256), np.arange(256))
    Image.fromarray(np.stack([x, y, 0 * x], axis=2).astype(np.uint8)).save(tmp_path / 'ramp.png')
    folder = BackgroundFolder(tmp_path)
    for seed in range(8):
        picture = folder.picture(np.random.default_rng(seed), 40, 60)
        assert picture.shape == (40, 60, 3)
        across = abs(np.diff(picture[20, 5:-5, 0]).mean())
        down = np.diff(picture[5:-5, 30, 1]).mean()
        assert across == pytest.approx(down, rel=0.1)
        assert 256 / 60 * 0.45 < down < 256 / 60 * 1.05


def test_folder_takes_tiny_grey_and_nested_pictures(tmp_path):
    (tmp_path / 'more').mkdir()
    Image.new('L', (1, 1), 77).save(tmp_path / 'more' / 'dot.PNG')
    (tmp_path / '._dot.png').write_bytes(b'what macOS keeps of it')
    folder = BackgroundFolder(tmp_path)
    assert [path.name for path in folder.paths] == ['dot.PNG']
    picture = folder.picture(np.random.default_rng(0), 8, 12)
    assert (picture == 77).all()


def test_folder_errors_name_the_path(tmp_path):
    with pytest.raises(ValueError, match='nowhere.*is no folder'):
        BackgroundFolder(tmp_path / 'nowhere')
    with pytest.raises(ValueError, match=f'no picture in backgrounds .*{tmp_path.name}'):
        BackgroundFolder(tmp_path)
    (tmp_path / 'broken.jpg').write_bytes(b'no picture')
    with pytest.raises(ValueError, match='broken.jpg.*cannot be read'):
        BackgroundFolder(tmp_path)


def test_a_picture_that_breaks_off_is_named_when_it_is_drawn(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    Image.fromarray(noise).save(tmp_path / 'cut.png')
    data = (tmp_path / 'cut.png').read_bytes()
    (tmp_path / 'cut.png').write_bytes(data[: len(data) // 2])
    folder = BackgroundFolder(tmp_path)
    with pytest.raises(ValueError, match='cut.png.*cannot be read'):
        folder.picture(np.random.default_rng(0), 32, 32)
