import numpy as np
import pytest
from PIL import Image, ImageDraw

from mbv3zoo.synth.cutouts import CutoutFolder


def save_cutout(path, color, size=(80, 60), box=(20, 10, 60, 50)):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new('RGBA', size, (0, 0, 0, 0))
    ImageDraw.Draw(image).rectangle(box, fill=color)
    image.save(path)


def test_class_names_are_the_sorted_folders(tmp_path):
    for name in ('pear', 'apple', 'Zebra', '.hidden'):
        save_cutout(tmp_path / name / 'a.png', (255, 0, 0, 255))
    (tmp_path / 'readme.txt').write_text('not a class')
    (tmp_path / 'pear/._a.png').write_bytes(b'what macOS keeps of it')
    assert CutoutFolder(tmp_path, 100).class_names == ('Zebra', 'apple', 'pear')


@pytest.mark.parametrize('size', [8.0, 33.0, 150.0])
def test_sprites_are_trimmed_and_of_the_size_asked_for(tmp_path, size):
    save_cutout(tmp_path / 'brick' / 'a.png', (200, 100, 50, 255))
    folder = CutoutFolder(tmp_path, 100)
    for seed in range(6):
        rgb, alpha = folder.sprite(np.random.default_rng(seed), 0, size)
        assert max(alpha.shape) == round(size) and rgb.shape == (*alpha.shape, 3)
        solid = alpha > 0.5
        assert solid.any(axis=0).mean() > 0.85 and solid.any(axis=1).mean() > 0.85
        # Nothing of the transparent black has leaked into the colour, jitter aside.
        np.testing.assert_allclose(rgb[alpha > 0.9].mean(axis=0), [200, 100, 50], rtol=0.3)


def test_each_class_draws_from_its_own_files(tmp_path):
    save_cutout(tmp_path / 'a' / '1.png', (250, 0, 0, 255))
    save_cutout(tmp_path / 'b' / '1.png', (0, 250, 0, 255))
    save_cutout(tmp_path / 'b' / '2.PNG', (0, 0, 250, 255))
    folder, rng = CutoutFolder(tmp_path, 100), np.random.default_rng(0)

    def channels(label):
        sprites = [folder.sprite(rng, label, 30) for _ in range(20)]
        return {int(rgb[alpha > 0.9].mean(axis=0).argmax()) for rgb, alpha in sprites}

    assert channels(0) == {0}
    assert channels(1) == {1, 2}


def test_a_hairline_that_vanishes_in_the_scaling_is_no_error(tmp_path):
    save_cutout(tmp_path / 'hair' / 'a.png', (0, 0, 0, 255), size=(2000, 20), box=(0, 10, 1999, 10))
    for seed in range(5):
        assert CutoutFolder(tmp_path, 100).sprite(np.random.default_rng(seed), 0, 20).alpha.size


def test_errors_name_the_path_and_what_is_expected(tmp_path):
    expected = 'expected one folder a class'
    with pytest.raises(ValueError, match=f'nowhere.*{expected}'):
        CutoutFolder(tmp_path / 'nowhere', 100)
    with pytest.raises(ValueError, match=f'no class folder.*{tmp_path.name}.*{expected}'):
        CutoutFolder(tmp_path, 100)
    (tmp_path / 'cat').mkdir()
    with pytest.raises(ValueError, match=f'no PNG.*cat.*{expected}'):
        CutoutFolder(tmp_path, 100)
    Image.new('RGB', (9, 9)).save(tmp_path / 'cat' / 'x.png')
    with pytest.raises(ValueError, match=f'x.png.*no transparency.*{expected}'):
        CutoutFolder(tmp_path, 100)
    Image.new('RGBA', (9, 9), (9, 9, 9, 0)).save(tmp_path / 'cat' / 'x.png')
    with pytest.raises(ValueError, match=f'x.png.*transparent everywhere.*{expected}'):
        CutoutFolder(tmp_path, 100)
    (tmp_path / 'cat' / 'x.png').write_bytes(b'no picture')
    with pytest.raises(ValueError, match='x.png.*cannot be read'):
        CutoutFolder(tmp_path, 100)
