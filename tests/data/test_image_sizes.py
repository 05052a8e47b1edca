from PIL import Image

from mbv3zoo.data.image_sizes import stored_sizes
from mbv3zoo.images.read import read_stored_size


def test_sizes_of_many_images_in_their_order(tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    for i in range(5):
        Image.new('RGB', (10 + i, 20)).save(tmp_path / f'{i}.jpg', exif=exif if i % 2 else b'')
    (tmp_path / 'bad.jpg').write_text('no image')
    paths = [tmp_path / name for name in ('0.jpg', '1.jpg', 'bad.jpg', 'none.jpg', '2.jpg', '3.jpg', '4.jpg') * 30]
    found = stored_sizes(paths, 250)
    assert found[:2] == [((10, 20), 1), ((11, 20), 6)] == [*map(read_stored_size, paths[:2])]
    assert len(found) == len(paths)
    assert found[7:9] == found[:2]
    messages = [str(each) for each in found[:7] if isinstance(each, ValueError)]
    assert len(messages) == 4 and 'bad.jpg' in messages[0] and 'no such file' in messages[1]
    assert '13 x 20 = 260 pixels, more than 250' in messages[2]
    assert stored_sizes([]) == []
