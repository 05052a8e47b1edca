import logging

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from tiny_sets import CLASS_NAMES, draw_scene, write_yolo_set, yolo_line

from mbv3zoo.data.yolo import load_yolo

SIZE = (80, 60)  # (width, height)


def picture(path, size=SIZE, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new('RGB', size, (200, 210, 220)).save(path, **options)
    return path


def labels(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def data_yaml(root, **changes):
    data = {'train': 'images/train', 'val': 'images/val', 'names': ['cat', 'dog']} | changes
    path = root / 'data.yaml'
    path.write_text(yaml.safe_dump({key: value for key, value in data.items() if value is not None}))
    return path


@pytest.fixture
def one(tmp_path):
    """A set of one picture; returns its root."""
    picture(tmp_path / 'images/train/a.png')
    return tmp_path


def boxes_of(root, text):
    labels(root / 'labels/train/a.txt', text)
    data = load_yolo(data_yaml(root), 'train')
    return data.records[0].boxes.tolist(), data.records[0].labels.tolist(), data.problems


def test_records_are_what_was_drawn(tmp_path):
    path = write_yolo_set(tmp_path / 'set', {'train': 5, 'val': 3}, SIZE, seed=3)
    rng = np.random.default_rng(3)
    for split, count in (('train', 5), ('val', 3)):
        data = load_yolo(path, split)
        assert len(data) == count and data.class_names == CLASS_NAMES and data.problems == ()
        assert [record.image_id for record in data.records] == list(range(1, count + 1))
        for i, record in enumerate(data.records):
            image, boxes, drawn_labels = draw_scene(rng, SIZE)
            assert record.path == tmp_path / f'set/images/{split}/{i:03d}.png'
            assert np.array_equal(Image.open(record.path), image)
            assert record.size == (60, 80)
            assert record.boxes.dtype == torch.float32 and record.labels.dtype == torch.int64
            torch.testing.assert_close(record.boxes, torch.tensor(boxes).float(), atol=1e-3, rtol=0)
            assert record.labels.tolist() == drawn_labels
            side = record.boxes[:, 2:] - record.boxes[:, :2]
            torch.testing.assert_close(record.areas, side[:, 0] * side[:, 1])
            assert record.iscrowd.dtype == torch.bool and not record.iscrowd.any()
            assert len(record.iscrowd) == len(boxes)


def test_a_path_as_text_will_do(tmp_path):
    assert len(load_yolo(str(write_yolo_set(tmp_path / 'set', {'train': 2})), 'train')) == 2


@pytest.mark.parametrize(
    'names',
    [['cat', 'dog'], {0: 'cat', 1: 'dog'}, {1: 'dog', 0: 'cat'}, {'0': 'cat', '1': 'dog'}, {'01': 'dog', 0: 'cat'}],
)
def test_names_as_list_or_map(one, names):
    assert load_yolo(data_yaml(one, names=names), 'train').class_names == ('cat', 'dog')


@pytest.mark.parametrize('names', ['[yes, 010, 12:30, 1_000, ~]', '{0: yes, 1: 010, 2: 12:30, 3: 1_000, 4: ~}'])
def test_names_are_text_as_it_is_written(one, names):
    path = data_yaml(one, names=None)
    path.write_text(f'{path.read_text()}names: {names}\n')
    assert load_yolo(path, 'train').class_names == ('yes', '010', '12:30', '1_000', '~')


@pytest.mark.parametrize(
    ('names', 'expected'),
    [
        ({1: 'cat', 2: 'dog'}, r'must be 0 \.\. 1'),
        ({0: 'cat', 'x': 'dog'}, 'must be 0'),
        ({'a': 'cat'}, 'must be 0'),
        ({'1': 'cat', '2': 'dog'}, 'must be 0'),
        ([], 'must be a list or map'),
        ({}, 'must be a list or map'),
        ('cat', "'cat'"),
        (None, 'expected a mapping with `names`'),
    ],
)
def test_bad_names_are_refused(one, names, expected):
    with pytest.raises(ValueError, match=expected) as caught:
        load_yolo(data_yaml(one, names=names), 'train')
    assert 'data.yaml' in str(caught.value)


def test_nc_must_be_the_number_of_names(one):
    assert load_yolo(data_yaml(one, nc=2), 'train').class_names == ('cat', 'dog')
    with pytest.raises(ValueError, match='nc is 3, but `names` has 2'):
        load_yolo(data_yaml(one, nc=3), 'train')


@pytest.mark.parametrize('key', ['val', 'valid', 'validation', 'dev'])
def test_the_validation_split_goes_by_many_names(tmp_path, key):
    picture(tmp_path / 'images/one/a.png')
    assert len(load_yolo(data_yaml(tmp_path, **({'val': None} | {key: 'images/one'})), 'val')) == 1


def test_the_split_that_is_asked_for_goes_first(tmp_path):
    for name in ('val', 'valid'):
        picture(tmp_path / f'images/{name}/{name}.png')
    path = data_yaml(tmp_path, valid='images/valid')
    assert [load_yolo(path, name).records[0].path.stem for name in ('val', 'valid')] == ['val', 'valid']


@pytest.mark.parametrize(
    'root', [None, '', '.', 'gone', '/home/someone/set', 'C:\\sets\\mine', '../set', ' ../set/ ', '..\\set']
)
@pytest.mark.parametrize(
    'place', ['images/train', 'images\\train', './images/train', '../images/train', '.\\images\\train\\']
)
def test_places_written_on_other_machines_are_found(tmp_path, root, place):
    picture(tmp_path / 'set/images/train/a.png')
    labels(tmp_path / 'set/labels/train/a.txt', '1 .5 .5 1 1')
    assert load_yolo(data_yaml(tmp_path / 'set', path=root, train=place), 'train').records[0].labels.tolist() == [1]


def test_a_folder_above_goes_first_where_it_is_there(tmp_path):
    picture(tmp_path / 'images/train/outer.png')
    picture(tmp_path / 'set/images/train/inner.png')
    data = load_yolo(data_yaml(tmp_path / 'set', train='../images/train'), 'train')
    assert [record.path.name for record in data.records] == ['outer.png']


@pytest.mark.parametrize('root', [5, ['a'], {'a': 'b'}])
def test_a_path_that_is_no_folder_is_refused(one, root):
    with pytest.raises(ValueError, match='`path` must be a folder'):
        load_yolo(data_yaml(one, path=root), 'train')


@pytest.mark.parametrize('relative', [True, False])
def test_the_path_key_is_the_root_of_the_splits(tmp_path, relative):
    picture(tmp_path / 'elsewhere/images/train/a.png')
    labels(tmp_path / 'elsewhere/labels/train/a.txt', '0 .5 .5 .5 .5')
    (tmp_path / 'meta').mkdir()
    root = '../elsewhere' if relative else str(tmp_path / 'elsewhere')
    data = load_yolo(data_yaml(tmp_path / 'meta', path=root), 'train')
    assert len(data) == 1 and data.records[0].boxes.tolist() == [[20, 15, 60, 45]]


def test_a_list_of_folders_and_folders_below(tmp_path):
    for name in ('images/one/b.png', 'images/one/deep/a.JPG', 'images/two/c.bmp'):
        picture(tmp_path / name)
    labels(tmp_path / 'labels/one/deep/a.txt', '1 .5 .5 1 1')
    (tmp_path / 'images/one/notes.md').write_text('no picture')
    data = load_yolo(data_yaml(tmp_path, train=['images/two', 'images/one']), 'train')
    assert [record.path.name for record in data.records] == ['c.bmp', 'b.png', 'a.JPG']
    assert [len(record.boxes) for record in data.records] == [0, 0, 1]


def test_an_absolute_folder(one):
    assert len(load_yolo(data_yaml(one, train=str(one / 'images/train')), 'train')) == 1


def test_a_text_file_of_paths(tmp_path):
    absolute = picture(tmp_path / 'far/images/a.png')
    labels(tmp_path / 'far/labels/a.txt', '0 .5 .5 1 1')
    picture(tmp_path / 'lists/images/b.png')
    labels(tmp_path / 'lists/labels/b.txt', '1 .5 .5 1 1')
    picture(tmp_path / 'images/c.png')
    labels(tmp_path / 'labels/c.txt', '0 .5 .5 .5 .5\n1 .5 .5 1 1')
    (tmp_path / 'lists/train.txt').write_text(f'{absolute}\n./images/b.png\n\n  images/c.png  \n')
    data = load_yolo(data_yaml(tmp_path, train='lists/train.txt'), 'train')
    (tmp_path / 'lists/train.txt').write_text(f'{absolute}\r\n.\\images\\b.png\r\nimages\\c.png\r\n')
    assert load_yolo(tmp_path / 'data.yaml', 'train').records[2].labels.tolist() == [0, 1]
    # ./ is taken from the list's own folder, any other relative path from the data set's root.
    assert [record.path.name for record in data.records] == ['a.png', 'b.png', 'c.png']
    assert [record.labels.tolist() for record in data.records] == [[0], [1], [0, 1]]


def test_labels_are_beside_the_last_folder_called_images(tmp_path):
    picture(tmp_path / 'images/set/images/train/a.png')
    labels(tmp_path / 'images/set/labels/train/a.txt', '1 .5 .5 1 1')
    data = load_yolo(data_yaml(tmp_path, train='images/set/images'), 'train')
    assert data.records[0].labels.tolist() == [1]


def test_labels_are_beside_the_picture_where_no_folder_is_called_images(tmp_path):
    picture(tmp_path / 'pictures/a.png')
    labels(tmp_path / 'pictures/a.txt', '1 .5 .5 1 1')
    assert load_yolo(data_yaml(tmp_path, train='pictures'), 'train').records[0].labels.tolist() == [1]


@pytest.mark.parametrize('text', [None, '', '\n  \n'])
def test_a_picture_without_labels_is_background(one, text):
    if text is not None:
        labels(one / 'labels/train/a.txt', text)
    data = load_yolo(data_yaml(one), 'train')
    record = data.records[0]
    assert record.boxes.shape == (0, 4) and record.labels.shape == record.areas.shape == record.iscrowd.shape == (0,)
    assert record.boxes.dtype == torch.float32 and record.labels.dtype == torch.int64
    assert len(data.problems) == (text is None)


def test_a_split_without_any_label_file_says_where_one_was_looked_for(one):
    picture(one / 'images/train/b.png')
    file = one / 'labels/train/a.txt'
    assert load_yolo(data_yaml(one), 'train').problems == (
        f'{one / "images/train/a.png"}: has no label file {file}, as no picture of the split has',
    )
    labels(file, '')
    assert load_yolo(data_yaml(one), 'train').problems == ()


def test_a_polygon_gives_the_box_around_it(one):
    triangle = '1 .25 .5 .75 .25 .5 .75'
    many = '0 ' + ' '.join(f'{0.5 + 0.25 * np.cos(t)} {0.5 + 0.5 * np.sin(t)}' for t in np.linspace(0, 2 * np.pi, 101))
    boxes, classes, problems = boxes_of(one, f'{triangle}\n0 .5 .5 .5 .5\n{many}\n')
    assert classes == [1, 0, 0] and problems == ()
    torch.testing.assert_close(
        torch.tensor(boxes), torch.tensor([[20.0, 15, 60, 45], [20, 15, 60, 45], [20, 0, 60, 60]])
    )


@pytest.mark.parametrize(
    ('line', 'expected'),
    [
        ('0 .1 .1 .2 .1 .3 .1', 'not inside'),  # no height
        ('0 .1 .1 .2 nan .3 .4', 'its 6 values are not the points of an outline'),
        ('0 1.1 .1 1.2 .1 1.3 .4', 'not inside'),
        ('5 .1 .1 .2 .2 .3 .1', 'class 5 is not one of'),
        ('0 .1 .1 .2 .2 .3', 'its 5 values are not the points of an outline'),
        ('0 .1 .1 .2 .2 .3 .3 .4', 'its 7 values are not the points of an outline'),
        ('0 .1 .1 .2 .2 .3 9', 'its 6 values are not the points of an outline'),
    ],
)
def test_a_bad_polygon_is_dropped_and_named(one, line, expected):
    # Outlines of several numbers of points are certainly outlines.
    boxes, _, problems = boxes_of(one, f'0 .5 .5 1 1\n{line}\n0 0 0 1 0 1 1\n1 0 0 1 0 1 1 0 1\n')
    assert boxes == [[0, 0, 80, 60]] * 3
    assert len(problems) == 1 and expected in problems[0] and problems[0].endswith('dropped')
    assert problems[0].startswith(f'{one / "labels/train/a.txt"}:2: ')


def test_a_repeated_line_is_dropped_and_named(one):
    lines = [
        '0 .5 .5 1 1',
        '1 .5 .5 1 1',
        '0 0.50 .5 1.0 1',
        '0 .5 .5 1 .9',
        '0 .5 .5 1 1',
        '1 0 0 1 0 1 1',
        '1 0 0 1 0 1 1',
    ]
    boxes, classes, problems = boxes_of(one, '\n'.join(lines))
    assert classes == [0, 1, 0, 1] and len(boxes) == 4
    file = one / 'labels/train/a.txt'
    assert problems == tuple(f'{file}:{i}: repeats line {j}; dropped' for i, j in ((3, 1), (5, 1), (7, 6)))


def test_equal_lines_of_two_files_are_two_objects(one):
    picture(one / 'images/train/b.png')
    labels(one / 'labels/train/b.txt', '0 .5 .5 1 1')
    assert boxes_of(one, '0 .5 .5 1 1')[2] == ()


@pytest.mark.parametrize('line', ['0 .5 .5 .5', 'cat .5 .5 .5 .5', '0 .5 .5 x .5', '0,.5,.5,.5,.5', '0', '\x00\x01'])
def test_a_malformed_line_is_dropped_and_named(one, line):
    boxes, classes, problems = boxes_of(one, f'1 .5 .5 1 1\n{line}\n0 .5 .5 .5 .5\n')
    assert boxes == [[0, 0, 80, 60], [20, 15, 60, 45]] and classes == [1, 0]
    assert len(problems) == 1
    assert problems[0].startswith(f'{one / "labels/train/a.txt"}:2: ') and 'dropped' in problems[0]


@pytest.mark.parametrize('label', ['2', '-1', '0.5', 'nan', 'inf', '1e9'])
def test_an_unknown_class_is_dropped_and_named(one, label):
    boxes, classes, problems = boxes_of(one, f'\n{label} .5 .5 .5 .5\n1 .5 .5 1 1\n')
    assert boxes == [[0, 0, 80, 60]] and classes == [1]
    assert len(problems) == 1
    assert problems[0].startswith(f'{one / "labels/train/a.txt"}:2: class ') and '0 .. 1' in problems[0]


def test_a_class_written_as_a_float_is_known(one):
    assert boxes_of(one, '1.0 .5 .5 1 1')[1] == [1]


def test_boxes_outside_are_clipped_or_dropped_named_and_counted(one, caplog):
    text = '0 .5 .5 .5 .5\n0 1 1 .5 .5\n1 1.5 .5 .5 .5\n1 .5 .5 0 .5\n1 .5 .5 -.2 .5\n0 nan .5 .5 .5\n'
    with caplog.at_level(logging.WARNING):
        boxes, classes, problems = boxes_of(one, text)
    assert boxes == [[20, 15, 60, 45], [60, 45, 80, 60]] and classes == [0, 0]
    file = one / 'labels/train/a.txt'
    assert [problem.split(': ')[0] for problem in problems] == [f'{file}:{i}' for i in range(2, 7)]
    assert [problem.rsplit('; ')[-1] for problem in problems] == ['clipped'] + ['dropped'] * 4
    assert 'data.yaml: 5 label problems' in caplog.text and f'{file}:6' in caplog.text


def test_boxes_in_pixels_are_refused(one):
    """Of the one at the edge, the half inside would be the whole picture."""
    for text in ('0 40 30 20 10', '0 40 30 80 60\n1 40 30 20 10', '0 .5 .5 .5 .5\n0 40 30 20 10\n1 50 30 20 10'):
        with pytest.raises(ValueError, match=r'data\.yaml: \d of \d boxes lie far outside .* they look like pixels'):
            boxes_of(one, text)
    # One bad row is dropped.
    assert len(boxes_of(one, '0 .5 .5 .5 .5\n0 40 30 20 10')[0]) == 1
    # Infinity is no number of pixels.
    assert 'dropped' in boxes_of(one, '0 .5 .5 inf .1')[2][0]


def test_a_turned_picture_has_its_size_after_the_turn(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    picture(tmp_path / 'images/train/a.jpg', (80, 60), exif=exif)
    labels(tmp_path / 'labels/train/a.txt', yolo_line(1, [10, 20, 30, 70], (60, 80)))
    record = load_yolo(data_yaml(tmp_path), 'train').records[0]
    assert record.size == (80, 60)
    torch.testing.assert_close(record.boxes, torch.tensor([[10.0, 20, 30, 70]]), atol=1e-3, rtol=0)


def test_an_unreadable_picture_is_left_out_and_named(one, caplog):
    labels(one / 'labels/train/a.txt', '')
    (one / 'images/train/b.png').write_bytes(b'no picture')
    (one / 'images/train/c.jpg').write_bytes(b'')
    picture(one / 'images/train/d.png')
    with caplog.at_level(logging.WARNING):
        data = load_yolo(data_yaml(one), 'train')
    assert [record.path.name for record in data.records] == ['a.png', 'd.png']
    assert [record.image_id for record in data.records] == [1, 2]
    assert len(data.problems) == 2 and all('left out' in problem for problem in data.problems)
    assert 'b.png' in data.problems[0] and 'c.jpg' in data.problems[1]
    assert '2 label problems' in caplog.text


def test_a_listed_picture_that_is_missing_is_left_out_and_named(one):
    (one / 'train.txt').write_text('images/train/a.png\nimages/train/gone.png\n')
    data = load_yolo(data_yaml(one, train='train.txt'), 'train')
    assert len(data) == 1 and any('gone.png: left out' in problem for problem in data.problems)


def test_an_unknown_split_is_refused_and_the_known_are_named(one):
    with pytest.raises(ValueError, match=r"has no split 'test'; it names \['train', 'val'\]"):
        load_yolo(data_yaml(one), 'test')
    with pytest.raises(ValueError, match=r"no split 'val'; it names \['train'\]"):
        load_yolo(data_yaml(one, val=''), 'val')


@pytest.mark.parametrize('place', ['images/none', 'none.txt', ['images/train', 'images/none']])
def test_a_missing_folder_or_list_is_refused(one, place):
    with pytest.raises(ValueError, match='none.* is neither a folder nor a text file'):
        load_yolo(data_yaml(one, train=place), 'train')


@pytest.mark.parametrize('place', [5, {'a': 'b'}, [7]])
def test_a_split_that_is_no_place_is_refused(one, place):
    with pytest.raises(ValueError, match=r'data\.yaml'):
        load_yolo(data_yaml(one, train=place), 'train')


def test_a_split_without_pictures_is_refused(one):
    (one / 'images/empty').mkdir()
    (one / 'images/empty/notes.txt').write_text('nothing')
    (one / 'images/broken').mkdir()
    (one / 'images/broken/a.png').write_bytes(b'no picture')
    (one / 'list.txt').write_text('\n')
    for place in ('images/empty', 'images/broken', 'list.txt'):
        with pytest.raises(ValueError, match="split 'train' has no readable picture"):
            load_yolo(data_yaml(one, train=place), 'train')


@pytest.mark.parametrize('content', ['- a\n- b\n', 'just text', '', 'names: [a', 'a: 1', b'\xff\xfe\x00'])
def test_a_file_that_is_no_data_yaml_is_refused(tmp_path, content):
    path = tmp_path / 'data.yaml'
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=r'data\.yaml:'):
        load_yolo(path, 'train')


def test_a_missing_data_yaml_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r'none\.yaml: no such data set file'):
        load_yolo(tmp_path / 'none.yaml', 'train')


@pytest.mark.parametrize(
    'given', [0, [], [5], [5, 1], [5, 4], [0, 2], ['5', '2'], [5.0, 2], [True, 2], {'a': 1}, 'x', [1, 2, 3]]
)
def test_a_shape_of_keypoints_that_is_none_is_refused(one, given):
    with pytest.raises(ValueError, match=r'data\.yaml: `kpt_shape` must be \[number of keypoints, 2 or 3\], given'):
        load_yolo(data_yaml(one, kpt_shape=given), 'train')


KEYPOINTS = '0 .33 .5 .33 .5 .2 .3 .45 .3 .2 .7 .45 .7 .3 .5'


def test_keypoints_are_no_outline(one):
    """The box is 16 16 48 48 of 96 x 64 pixels, and the outline of the same row 19.2 19.2 43.2 44.8."""
    picture(one / 'images/train/a.png', (96, 64))
    labels(one / 'labels/train/a.txt', f'{KEYPOINTS}\n1 .5 .5 1 1\n')
    records = load_yolo(data_yaml(one, kpt_shape=[5, 2]), 'train').records
    torch.testing.assert_close(records[0].boxes, torch.tensor([[15.84, 16, 47.52, 48], [0, 0, 96, 64]]))
    expected = rf'a\.txt:1: has 14 values after the class.*kpt_shape.*{one / "data.yaml"}'
    with pytest.raises(ValueError, match=expected):
        load_yolo(data_yaml(one), 'train')


def test_rows_are_judged_by_all_files_of_a_split(one):
    picture(one / 'images/train/b.png')
    labels(one / 'labels/train/a.txt', KEYPOINTS)
    labels(one / 'labels/train/b.txt', '1 0 0 1 0 1 1')
    # With outlines of another number of points beside it, it is an outline too.
    assert [len(record.boxes) for record in load_yolo(data_yaml(one), 'train').records] == [1, 1]


@pytest.mark.parametrize(
    ('names', 'expected'),
    [
        (['cat', ''], "class name '' is not one line"),
        (['cat', ' '], "class name ' ' is not one line"),
        (['a\nb'], 'class name .* is not one line'),
        (['a\x07'], 'class name .* is not one line'),
        ({0: 'cat', 1: None}, "class name '' is not one line"),
        (['cat', ['dog']], 'expected the text of a name'),
        (['cat', 'dog', 'cat'], r"\['cat'\] are there more than once"),
    ],
)
def test_names_that_no_detector_may_have_are_refused_with_their_file(one, names, expected):
    path = data_yaml(one, names=names)
    path.write_text(path.read_text().replace('1: null', '1:'))
    with pytest.raises(ValueError, match=rf'data\.yaml:.*{expected}'):
        load_yolo(path, 'train')


@pytest.mark.parametrize('nc', [2, '2', ' 2 '])
def test_the_number_of_classes_may_be_text(one, nc):
    assert load_yolo(data_yaml(one, nc=nc), 'train').class_names == ('cat', 'dog')


@pytest.mark.parametrize('nc', [1, 2.5, True, 'two', [2], {'a': 2}, 10**15])
def test_a_number_of_classes_that_contradicts_is_refused(one, nc):
    with pytest.raises(ValueError, match=r'data\.yaml: nc is .*, but `names` has 2'):
        load_yolo(data_yaml(one, nc=nc), 'train')


@pytest.mark.parametrize('encoding', ['utf-8-sig', 'utf-8'])
def test_a_byte_order_mark_loses_nothing(one, encoding):
    path = data_yaml(one, train='train.txt', names=['猫', 'dog'])
    path.write_bytes(path.read_text().encode(encoding))
    picture(one / 'images/Käfer.png')
    (one / 'train.txt').write_bytes('images/Käfer.png\r\nimages/train/a.png\r\n'.encode(encoding))
    for name in ('Käfer', 'train/a'):
        (one / 'labels/train').mkdir(parents=True, exist_ok=True)
        (one / f'labels/{name}.txt').write_bytes('1 .5 .5 1 1\r\n0 .5 .5 .5 .5\r\n'.encode(encoding))
    data = load_yolo(path, 'train')
    assert [record.labels.tolist() for record in data.records] == [[1, 0], [1, 0]]
    assert data.class_names == ('猫', 'dog') and data.problems == ()


def test_labels_in_other_encodings_are_told(one):
    for name in ('b', 'c'):
        picture(one / f'images/train/{name}.png')
    labels(one / 'labels/train/a.txt', '1 .5 .5 1 1')
    (one / 'labels/train/b.txt').write_bytes('0 .5 .5 1 1\nKäfer .5 .5 1 1\n1 .5 .5 1 1'.encode('latin-1'))
    (one / 'labels/train/c.txt').write_bytes('0 .5 .5 1 1\n'.encode('utf-16'))
    data = load_yolo(data_yaml(one), 'train')
    assert [record.labels.tolist() for record in data.records] == [[1], [0, 1]]
    assert 'b.txt:2: ' in data.problems[0] and data.problems[0].endswith('dropped')
    assert data.problems[1].endswith('c.txt:1: the file is UTF-16 text; save it as UTF-8') and len(data.problems) == 2
