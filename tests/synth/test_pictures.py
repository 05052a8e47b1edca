import numpy as np
import pytest
from PIL import Image

from mbv3zoo.synth.pictures import check_picture, read_picture


@pytest.fixture
def photo(tmp_path):
    Image.effect_noise((640, 480), 40).convert('RGB').save(tmp_path / 'photo.jpg', quality=95)
    return tmp_path / 'photo.jpg'


@pytest.mark.parametrize('mode', ['RGB', 'RGBA', 'L'])
def test_any_mode_becomes_the_one_asked_for(tmp_path, mode):
    Image.new('P', (5, 3), 1).save(tmp_path / 'a.gif')
    picture = read_picture(tmp_path / 'a.gif', mode)
    assert (picture.mode, picture.size) == (mode, (5, 3))


def test_a_larger_jpeg_is_decoded_at_a_fraction_that_will_do(photo):
    whole, smaller = read_picture(photo, 'RGB'), read_picture(photo, 'RGB', enough=(150, 100))
    assert whole.size == (640, 480)
    assert 150 <= smaller.width <= 320 and 100 <= smaller.height <= 240
    # The same picture: its blocks' means.
    reduced = np.asarray(whole.resize(smaller.size, Image.Resampling.BOX), float)
    assert np.abs(reduced - np.asarray(smaller, float)).mean() < 3


def test_errors_name_the_file(tmp_path):
    (tmp_path / 'text.png').write_text('no picture')
    (tmp_path / 'bomb.png').write_bytes(b'P6 30000 30000 255\n' + bytes(100))
    for read in (check_picture, lambda path: read_picture(path, 'RGB')):
        for name in ('text.png', 'missing.png', 'bomb.png'):
            with pytest.raises(ValueError, match=f'{name}.*cannot be read as a picture.*replace or remove it'):
                read(tmp_path / name)


def test_the_header_alone_does_not_tell_a_picture_that_breaks_off(photo):
    photo.write_bytes(photo.read_bytes()[:5000])
    check_picture(photo)
    with pytest.raises(ValueError, match='photo.jpg.*cannot be read'):
        read_picture(photo, 'RGB')
