import pytest

from mbv3zoo.data.voc_layout import find_voc, listed_classes


def test_the_layout_is_known_by_its_folders(tmp_path):
    assert not find_voc(tmp_path)
    (tmp_path / 'annotations').mkdir()
    (tmp_path / 'train').mkdir()
    (tmp_path / '.idea').mkdir()
    (tmp_path / '.idea/a.xml').write_text('')
    assert not find_voc(tmp_path)
    (tmp_path / 'train/a.xml').write_text('')
    assert list(find_voc(tmp_path).splits) == ['train']
    (tmp_path / 'year/Annotations').mkdir(parents=True)
    (tmp_path / 'year/JPEGImages').mkdir()
    assert find_voc(tmp_path / 'year').splits == {'': None}
    (tmp_path / 'b.xml').write_text('')
    assert find_voc(tmp_path).splits == {'': None}


@pytest.mark.parametrize(
    ('rows', 'names'),
    [
        ('# label:color_rgb:parts:actions\nbackground:0,0,0::\ndog:128,0,0::\ncat:0,128,0::\n', ('dog', 'cat')),
        ('dog:::\n', ('dog',)),
    ],
)
def test_the_classes_of_a_label_map(tmp_path, rows, names):
    (tmp_path / 'labelmap.txt').write_text(rows)
    assert listed_classes(tmp_path) == names
    (tmp_path / 'labelmap.txt').write_text(rows * 2)
    with pytest.raises(ValueError, match='labelmap.txt: expected names of classes'):
        listed_classes(tmp_path)
