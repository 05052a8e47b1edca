import pytest
from labelled import as_set, record
from PIL import Image

from mbv3zoo.data.detection_set import DetectionSet, find_split
from mbv3zoo.images.colours import class_colour


def test_length_of_a_set_is_its_number_of_pictures():
    assert len(DetectionSet([], ('a',))) == 0


@pytest.mark.parametrize(
    ('asked', 'known', 'found'),
    [
        ('train', ['train', 'val'], 'train'),
        ('val', ['train', 'validation'], 'validation'),
        ('val', ['dev', 'valid'], 'valid'),
        ('val', ['validation', 'val'], 'val'),
        ('valid', ['validation', 'valid'], 'valid'),
        ('validation', ['val'], 'val'),
        ('val', ['train', 'test'], None),
        ('train', ['val'], None),
        ('trainval', ['trainval'], 'trainval'),
        ('val', [], None),
    ],
)
def test_the_validation_split_goes_by_many_names(asked, known, found):
    assert find_split(asked, known) == found


def test_a_set_is_one_line_in_a_notebook_and_draws_its_labels(tmp_path):
    Image.new('RGB', (300, 200)).save(tmp_path / 'a.png')
    data = as_set(record(1, [[20, 30, 120, 150]], [1], path=tmp_path / 'a.png'), record(2))
    assert repr(data) == 'DetectionSet(2 images, 1 objects, 3 classes: cat, dog, owl)'
    drawn = data.draw(0)
    assert drawn.size == (300, 200) and drawn.getpixel((20, 100)) == class_colour(1) != drawn.getpixel((200, 100))
    with pytest.raises(ValueError, match='x.png'):
        data.draw(1)
