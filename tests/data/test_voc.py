import logging
from unicodedata import normalize

import pytest
import torch
from PIL import Image

from mbv3zoo.data.voc import load_voc

HEAD = '<annotation>\n  <filename>x.jpg</filename>\n'


def an_object(name='cat', box=(11, 21, 30, 40), extra=''):
    corners = ''.join(f'<{side}>{v}</{side}>' for side, v in zip(('xmin', 'ymin', 'xmax', 'ymax'), box, strict=True))
    return f'  <object><name>{name}</name>{extra}<bndbox>{corners}</bndbox></object>\n'


def annotation(*objects):
    return HEAD + ''.join(objects) + '</annotation>\n'


def put(folder, name, text='', size=(80, 60), suffix='.jpg'):
    """A picture and its XML file, side by side; either may be None."""
    folder.mkdir(parents=True, exist_ok=True)
    if size:
        Image.new('RGB', size).save(folder / f'{name}{suffix}')
    if text is not None:
        (folder / f'{name}.xml').write_text(text or annotation())


def year(root, files, **lists):
    """A year of VOC: `files` {name: XML}, `lists` {split: names}."""
    for folder in ('Annotations', 'JPEGImages', 'ImageSets/Main'):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (root / f'Annotations/{name}.xml').write_text(text)
        Image.new('RGB', (80, 60)).save(root / f'JPEGImages/{name}.jpg')
    for split, names in lists.items():
        (root / f'ImageSets/Main/{split}.txt').write_text('\n'.join(names) + '\n')
    return root


def test_a_year_of_voc(tmp_path):
    files = {
        '2007_01': annotation(an_object('dog'), an_object('cat', (1, 1, 80, 60))),
        '2007_02': annotation(),
        '2007_03': annotation(an_object('ant', (5, 5, 5, 5))),
    }
    root = year(tmp_path, files, train=['2007_02', '2007_01'], val=['2007_03'], cat_train=['2007_01 1', '2007_02 -1'])
    data = load_voc(str(root), 'train')
    # VOC's own order, over all splits.
    assert data.class_names == ('ant', 'cat', 'dog') and data.problems == ()
    assert [record.path for record in data.records] == [root / f'JPEGImages/2007_0{i}.jpg' for i in (2, 1)]
    assert [record.image_id for record in data.records] == [1, 2]
    empty, full = data.records
    assert empty.boxes.shape == (0, 4) and empty.labels.shape == empty.areas.shape == empty.iscrowd.shape == (0,)
    assert empty.labels.dtype == torch.int64 and empty.iscrowd.dtype == torch.bool
    # Pixels count from 1, and the last one is inside.
    assert full.boxes.tolist() == [[10, 20, 30, 40], [0, 0, 80, 60]] and full.boxes.dtype == torch.float32
    assert full.labels.tolist() == [2, 1] and full.size == (60, 80)
    assert full.areas.tolist() == [400, 4800] and full.iscrowd.tolist() == [False, False]
    other = load_voc(root, 'val')
    assert other.class_names == data.class_names and other.records[0].labels.tolist() == [0]
    assert other.records[0].boxes.tolist() == [[4, 4, 5, 5]]
    # A list of one class has a second column.
    assert len(load_voc(root, 'cat_train')) == 2


def test_folders_of_splits(tmp_path):
    put(tmp_path / 'train', 'a_jpg.rf.0f', annotation(an_object('dog')))
    put(tmp_path / 'train', 'b', annotation(an_object('cat')), suffix='.PNG')
    put(tmp_path / 'valid', 'c', annotation(an_object('eel')))
    train, val = load_voc(tmp_path, 'train'), load_voc(tmp_path, 'val')
    assert train.class_names == val.class_names == ('cat', 'dog', 'eel')
    assert [record.path.name for record in train.records] == ['a_jpg.rf.0f.jpg', 'b.PNG']
    assert [record.labels.tolist() for record in train.records] == [[1], [0]]
    assert [record.labels.tolist() for record in val.records] == [[2]]
    assert train.problems == val.problems == ()


@pytest.mark.parametrize('file', ['classes.txt', 'labels.txt'])
def test_a_file_of_names_gives_the_order(tmp_path, file):
    put(tmp_path / 'train', 'a', annotation(an_object('dog'), an_object('cow'), an_object('cat')))
    (tmp_path / file).write_text('\nzebra\n dog \ncat\n')
    data = load_voc(tmp_path, 'train')
    assert data.class_names == ('zebra', 'dog', 'cat')
    assert data.records[0].labels.tolist() == [1, 2]
    assert len(data.problems) == 1
    assert data.problems[0].startswith(f"{tmp_path / 'train/a.xml'}:4: class 'cow' is not one of ['zebra'")


@pytest.mark.parametrize('text', ['', '\n', 'cat\ndog\ncat\n'])
def test_a_file_of_names_must_hold_each_once(tmp_path, text):
    put(tmp_path / 'train', 'a', annotation(an_object()))
    (tmp_path / 'classes.txt').write_text(text)
    with pytest.raises(ValueError, match=r'classes\.txt: expected names'):
        load_voc(tmp_path, 'train')


def test_difficult_objects_are_neither_targets_nor_counted(tmp_path):
    marks = [f'<difficult>{mark}</difficult>' for mark in ('0', '1', 'true', ' True\n', '', 'false', '1.0')]
    objects = [an_object(extra=mark, box=(i, 2, 50, 60)) for i, mark in enumerate(['', *marks], start=1)]
    put(tmp_path / 'train', 'a', annotation(*objects))
    data = load_voc(tmp_path, 'train')
    assert data.records[0].iscrowd.tolist() == [False, False, True, True, True, False, False, True]
    assert data.problems == ()


@pytest.mark.parametrize('mark', ['Unspecified', '2', '-1', 'yes', '10000000000000000000000'])
def test_difficult_that_is_no_flag_is_taken_as_0_and_named(tmp_path, mark):
    put(tmp_path / 'train', 'a', annotation(an_object(extra=f'<difficult>{mark}</difficult>')))
    data = load_voc(tmp_path, 'train')
    assert data.records[0].iscrowd.tolist() == [False]
    assert data.problems == (f'{tmp_path / "train/a.xml"}:3: difficult {mark!r} is neither 0 nor 1; taken as 0',)


def test_parts_of_an_object_are_no_objects(tmp_path):
    part = '<part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox></part>'
    put(tmp_path / 'train', 'a', annotation(an_object('man', extra=part)))
    data = load_voc(tmp_path, 'train')
    assert data.class_names == ('man',) and data.records[0].boxes.tolist() == [[10, 20, 30, 40]]


def test_coordinates_may_have_decimals(tmp_path):
    put(tmp_path / 'train', 'a', annotation(an_object(box=('10.5', ' 2 ', '2e1', '30.25'))))
    assert load_voc(tmp_path, 'train').records[0].boxes.tolist() == [[9.5, 1, 20, 30.25]]


@pytest.mark.parametrize(
    ('bad', 'expected'),
    [
        (an_object(box=(1, 2, 'x', 4)), 'not xmin, ymin, xmax, ymax'),
        (an_object(box=(1, 2, '', 4)), 'not xmin, ymin, xmax, ymax'),
        ('  <object><name>cat</name></object>\n', 'not xmin, ymin, xmax, ymax'),
        ('  <object/>\n', 'not xmin, ymin, xmax, ymax'),
        (an_object(name=''), "class ''"),
        (an_object(box=(100, 2, 120, 4)), 'not inside the picture of 80 x 60'),
        (an_object(box=(30, 30, 20, 40)), 'not inside'),
        (an_object(box=('nan', 2, 12, 4)), 'not inside'),
    ],
)
def test_a_bad_object_is_dropped_and_named_by_its_line(tmp_path, caplog, bad, expected):
    put(tmp_path / 'train', 'a', annotation(an_object('dog'), bad, an_object('cat', (1, 1, 5, 5))))
    with caplog.at_level(logging.WARNING):
        data = load_voc(tmp_path, 'train')
    assert data.class_names == ('cat', 'dog')
    assert data.records[0].labels.tolist() == [1, 0] and len(data.records[0].iscrowd) == 2
    assert data.records[0].boxes.tolist() == [[10, 20, 30, 40], [0, 0, 5, 5]]
    assert len(data.problems) == 1
    assert data.problems[0].startswith(f'{tmp_path / "train/a.xml"}:4: ')
    assert expected in data.problems[0] and data.problems[0].endswith('dropped')
    assert '1 label problems' in caplog.text


def test_a_box_beyond_the_edge_is_clipped_and_named(tmp_path):
    put(tmp_path / 'train', 'a', annotation(an_object(box=(71, 51, 100, 100))))
    data = load_voc(tmp_path, 'train')
    assert data.records[0].boxes.tolist() == [[70, 50, 80, 60]] and data.problems[0].endswith('clipped')


@pytest.mark.parametrize(
    ('text', 'line', 'expected'),
    [
        (HEAD + '<object>\n<name>\n', 5, 'broken XML: no element found'),
        (HEAD + '<object></annotation>', 3, 'broken XML: mismatched tag'),
        ('\n\n', 3, 'broken XML: no element found'),
        ('no XML', 1, 'broken XML: syntax error'),
        ('<html>\n</html>', 1, 'the file holds <html>'),
        ('<?xml version="1.0" encoding="nonsense"?>\n<annotation/>', 1, ''),
    ],
)
def test_broken_xml_is_left_out_and_named_by_its_line(tmp_path, text, line, expected):
    put(tmp_path / 'train', 'a', annotation(an_object()))
    put(tmp_path / 'train', 'b', text)
    data = load_voc(tmp_path, 'train')
    assert [record.path.name for record in data.records] == ['a.jpg'] and data.class_names == ('cat',)
    assert len(data.problems) == 1
    assert data.problems[0].startswith(f'{tmp_path / "train/b.xml"}:{line}: left out: {expected}')


def test_an_empty_xml_file_is_broken(tmp_path):
    put(tmp_path / 'train', 'a', annotation(an_object()))
    put(tmp_path / 'train', 'b')
    (tmp_path / 'train/b.xml').write_bytes(b'')
    assert 'b.xml:1: left out: broken XML' in load_voc(tmp_path, 'train').problems[0]


def test_entities_are_refused(tmp_path):
    (tmp_path / 'secret.txt').write_text('cat')
    put(tmp_path / 'train', 'a', annotation(an_object()))
    for name, entity in (('b', f'SYSTEM "{tmp_path / "secret.txt"}"'), ('c', '"cat"')):
        text = f'<!DOCTYPE annotation [<!ENTITY e {entity}>]>\n' + annotation(an_object('&e;'))
        put(tmp_path / 'train', name, text)
    data = load_voc(tmp_path, 'train')
    assert [record.path.name for record in data.records] == ['a.jpg']
    assert len(data.problems) == 2 and all("declares the entity 'e'" in problem for problem in data.problems)


def test_names_in_any_script_and_encoding(tmp_path):
    put(tmp_path / 'train', 'a')
    text = '<?xml version="1.0" encoding="iso-8859-1"?>\n' + annotation(an_object('Bär &amp; Kuh'))
    (tmp_path / 'train/a.xml').write_bytes(text.encode('latin-1'))
    assert load_voc(tmp_path, 'train').class_names == ('Bär & Kuh',)


def test_what_is_missing_is_left_out_and_named(tmp_path):
    good = annotation(an_object())
    root = year(tmp_path / 'year', dict.fromkeys('abcd', good), train=['a', 'b', 'c', 'd', 'e'])
    (root / 'Annotations/b.xml').unlink()
    (root / 'JPEGImages/c.jpg').unlink()
    (root / 'JPEGImages/d.jpg').write_bytes(b'no picture')
    folders = tmp_path / 'folders'
    for name in 'abcd':
        put(folders / 'train', name, None if name == 'b' else good, None if name == 'c' else (80, 60))
    (folders / 'train/d.jpg').write_bytes(b'no picture')
    (folders / 'train/._a.xml').write_bytes(b'\0')
    for place, missing in ((root, 2), (folders, 1)):
        data = load_voc(place, 'train')
        assert [record.path.name for record in data.records] == ['a.jpg']
        assert all('left out' in problem for problem in data.problems)
        assert sum('it has no XML file' in problem for problem in data.problems) == missing
        assert sum('c.xml: left out: there is no picture' in problem for problem in data.problems) == 1
        assert sum('d.xml: left out: cannot read image' in problem for problem in data.problems) == 1
        assert len(data.problems) == missing + 2


def test_names_with_spaces_and_folders(tmp_path):
    root = year(tmp_path, {'my cat': annotation(an_object())}, train=['my cat', '', 'deep/a  1'])
    for kind in ('Annotations', 'JPEGImages'):
        (root / kind / 'deep').mkdir()
    (root / 'Annotations/deep/a.xml').write_text(annotation(an_object('dog')))
    Image.new('RGB', (80, 60)).save(root / 'JPEGImages/deep/a.png')
    data = load_voc(root, 'train')
    assert [record.path.name for record in data.records] == ['my cat.jpg', 'a.png'] and data.problems == ()


def test_an_unknown_split_is_refused_and_the_known_are_named(tmp_path):
    root = year(tmp_path / 'year', {'a': annotation(an_object())}, train=['a'], trainval=['a'], cat_train=['a 1'])
    with pytest.raises(ValueError, match=r"no split 'test'; .*Main lists \['train', 'trainval'\]"):
        load_voc(root, 'test')
    put(tmp_path / 'folders/train', 'a', annotation(an_object()))
    with pytest.raises(ValueError, match=r"no split 'val'; folders in it with XML files are \['train'\]"):
        load_voc(tmp_path / 'folders', 'val')


def test_a_year_without_lists_is_one_split(tmp_path):
    root = year(tmp_path, {'b': annotation(an_object()), 'a': annotation(an_object())})
    for split in ('train', 'val'):
        assert [record.path.name for record in load_voc(root, split).records] == ['a.jpg', 'b.jpg']


def test_a_list_may_have_suffixes_and_quoted_names(tmp_path):
    root = year(
        tmp_path, {'my cat': annotation(an_object()), 'a': annotation(an_object())}, train=['"my cat"', 'a.jpg 1']
    )
    assert len(load_voc(root, 'train')) == 2
    (root / 'ImageSets/Main/train.txt').write_text('my cat.jpg')
    assert len(load_voc(root, 'train')) == 1


def test_sets_with_nothing_in_them_are_refused(tmp_path):
    with pytest.raises(ValueError, match='none: no such folder'):
        load_voc(tmp_path / 'none', 'train')
    put(tmp_path / 'a/train', 'a')
    with pytest.raises(ValueError, match='no annotation of it names a class'):
        load_voc(tmp_path / 'a', 'train')
    put(tmp_path / 'b/train', 'a', annotation(an_object()), None)
    with pytest.raises(ValueError, match='no picture with annotations that can be read; 1 problems.*there is no pic'):
        load_voc(tmp_path / 'b', 'train')
    with pytest.raises(ValueError, match='no picture with annotations that can be read; 0 problems'):
        load_voc(year(tmp_path / 'c', {'a': annotation(an_object())}, train=[]), 'train')


def test_a_turned_picture_has_its_size_after_the_turn(tmp_path):
    put(tmp_path / 'train', 'a', annotation(an_object(box=(11, 21, 40, 75))))
    exif = Image.Exif()
    exif[0x0112] = 8
    Image.new('RGB', (80, 60)).save(tmp_path / 'train/a.jpg', exif=exif)
    record = load_voc(tmp_path, 'train').records[0]
    assert record.size == (80, 60) and record.boxes.tolist() == [[10, 20, 40, 75]]


def test_a_repeated_object_is_dropped_and_named(tmp_path):
    put(tmp_path / 'train', 'a', annotation(an_object(), an_object('dog'), an_object()))
    data = load_voc(tmp_path, 'train')
    assert data.records[0].labels.tolist() == [0, 1]
    assert data.problems == (f'{tmp_path / "train/a.xml"}:5: repeats {tmp_path / "train/a.xml"}:3; dropped',)


def sized(width, height, *objects):
    return annotation(f'<size><width>{width}</width><height>{height}</height><depth>3</depth></size>\n', *objects)


@pytest.mark.parametrize(('size', 'factor'), [((80, 60), 1), ((320, 240), 4), ((0, 0), 1), (('', ''), 1)])
def test_boxes_are_in_pixels_of_the_stated_size(tmp_path, size, factor):
    box = [10 * factor + 1, 20 * factor + 1, 40 * factor, 40 * factor]
    put(tmp_path / 'train', 'a', sized(*size, an_object(box=box)))
    data = load_voc(tmp_path, 'train')
    assert data.records[0].boxes.tolist() == [[10, 20, 40, 40]] and data.records[0].areas.tolist() == [600]
    assert len(data.problems) == (factor != 1)


@pytest.mark.parametrize('size', [('wide', 60), (-80, 60), ('nan', 'nan'), ('1e999', 60)])
def test_a_size_that_is_none_is_ignored_and_named(tmp_path, size):
    put(tmp_path / 'train', 'a', sized(*size, an_object()))
    data = load_voc(tmp_path, 'train')
    assert data.records[0].boxes.tolist() == [[10, 20, 30, 40]]
    assert len(data.problems) == 1 and 'a.xml: stated size ignored' in data.problems[0]


def test_an_image_of_another_shape_is_left_out(tmp_path):
    put(tmp_path / 'train', 'a', sized(60, 80, an_object()))
    put(tmp_path / 'train', 'b', sized(80, 60, an_object()))
    data = load_voc(tmp_path, 'train')
    assert [record.path.name for record in data.records] == ['b.jpg'] and 'a.xml: left out' in data.problems[0]
    (tmp_path / 'train/b.jpg').unlink()
    with pytest.raises(ValueError, match='no picture with annotations that can be read; 2 problems'):
        load_voc(tmp_path, 'train')


def test_an_image_that_was_labelled_as_stored_has_its_boxes_turned(tmp_path):
    put(tmp_path / 'train', 'a', sized(80, 60, an_object(box=(11, 21, 40, 45))))
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new('RGB', (80, 60)).save(tmp_path / 'train/a.jpg', exif=exif)
    assert load_voc(tmp_path, 'train').records[0].boxes.tolist() == [[15, 10, 40, 40]]


def test_shares_are_refused(tmp_path):
    put(tmp_path / 'train', 'a', annotation(an_object(box=(0.1, 0.2, 0.5, 0.5)), an_object(box=(0, 0, 1, 1))))
    with pytest.raises(ValueError, match='all of its 2 boxes lie between 0 and 1.*pixels are expected'):
        load_voc(tmp_path, 'train')


@pytest.mark.parametrize(
    'box', [('1e400', 2, 3, 4), ('9' * 400, 2, 3, 4), ('inf', 2, 3, 4), (30, 2, 10, 40), (1, 2, '1,5', 4)]
)
def test_boxes_that_are_none_are_dropped(tmp_path, box):
    put(tmp_path / 'train', 'a', annotation(an_object('dog', box), an_object()))
    data = load_voc(tmp_path, 'train')
    assert data.records[0].boxes.tolist() == [[10, 20, 30, 40]]
    assert len(data.problems) == 1 and len(data.problems[0]) < len(str(tmp_path)) + 200


@pytest.mark.parametrize('name', ['', ' ', 'a\nb', 'a\tb'])
def test_names_that_name_no_class_are_dropped(tmp_path, name):
    put(tmp_path / 'train', 'a', annotation(an_object(name, (1, 2, 3, 4)), an_object()))
    data = load_voc(tmp_path, 'train')
    assert data.class_names == ('cat',) and data.records[0].labels.tolist() == [0] and len(data.problems) == 1


def test_suffixes_in_capitals_byte_order_marks_and_unicode_forms(tmp_path):
    nfc, nfd = (normalize(form, 'käse') for form in ('NFC', 'NFD'))
    root = year(tmp_path, {}, train=[])
    (root / f'Annotations/{nfd}.XML').write_text(annotation(an_object()))
    Image.new('RGB', (80, 60)).save(root / f'JPEGImages/{nfc}.JPG')
    (root / 'Annotations/.ipynb_checkpoints').mkdir()
    (root / 'Annotations/.ipynb_checkpoints/b.xml').write_text(annotation(an_object('ghost')))
    (root / 'labels.txt').write_bytes(b'\xef\xbb\xbfcat\n')
    for listed in (nfc, nfd, f'{nfc}.jpg', f'{nfd} 1', f'{nfc}\r'):
        (root / 'ImageSets/Main/train.txt').write_bytes(b'\xef\xbb\xbf' + listed.encode())
        data = load_voc(root, 'train')
        assert data.class_names == ('cat',) and len(data.records[0].boxes) == 1 and data.problems == ()
    put(tmp_path / 'folders/train', 'a', annotation(an_object()))
    (tmp_path / 'folders/train/a.xml').rename(tmp_path / 'folders/train/a.XML')
    assert len(load_voc(tmp_path / 'folders', 'train').records[0].boxes) == 1


def test_of_images_that_differ_in_their_suffix_the_named_one_is_taken(tmp_path):
    put(tmp_path / 'train', 'a', annotation(an_object()).replace('x.jpg', 'a.png'))
    Image.new('RGB', (80, 60)).save(tmp_path / 'train/a.png')
    data = load_voc(tmp_path, 'train')
    assert [record.path.name for record in data.records] == ['a.png']
    assert 'a.jpg and a.png; a.png is taken' in data.problems[0]


def test_pictures_in_linked_folders_are_found(tmp_path):
    put(tmp_path / 'far', 'a', annotation(an_object()))
    (tmp_path / 'set').mkdir()
    (tmp_path / 'set/train').symlink_to(tmp_path / 'far')
    (tmp_path / 'far/again').symlink_to(tmp_path / 'far')
    assert len(load_voc(tmp_path / 'set', 'train')) == 1
