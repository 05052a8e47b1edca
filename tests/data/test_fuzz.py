"""Structured random datasets: each is read with right boxes, or refused by a ValueError that names the file.

`hypothesis` generates them. What is right is decided here by plain arithmetic on what was generated, without the
readers.
"""

import json
import logging
import math
import unicodedata
from xml.sax.saxutils import escape

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from mbv3zoo.data.load import load_dataset

pytestmark = pytest.mark.slow

CASES = 500  # of each kind of input; there are four
CLASSES = ('cat', 'dog', 'owl')
WIDTH, HEIGHT = 96, 64

fuzz = settings(
    max_examples=CASES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)


@pytest.fixture(scope='module', autouse=True)
def quiet():
    """Problems are not logged: there are thousands."""
    logger = logging.getLogger('mbv3zoo')
    level = logger.level
    logger.setLevel(logging.ERROR)
    yield
    logger.setLevel(level)


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    """A folder with three images in each of the layouts."""
    root = tmp_path_factory.mktemp('fuzz')
    for place in ('yolo/images/train', 'voc/JPEGImages', 'coco/images'):
        (root / place).mkdir(parents=True)
        for name in 'abc':
            Image.new('RGB', (WIDTH, HEIGHT), (90, 120, 150)).save(root / place / f'{name}.png')
    for place in ('yolo/labels/train', 'voc/Annotations', 'voc/ImageSets/Main', 'names'):
        (root / place).mkdir(parents=True)
    (root / 'voc/ImageSets/Main/train.txt').write_text('a\n')
    (root / 'voc/classes.txt').write_text('\n'.join(CLASSES))
    return root


def read(source, named):
    """The dataset, or None where it was refused by a ValueError that names the file."""
    try:
        return load_dataset(source, 'train')
    except ValueError as error:
        assert str(named) in str(error) and '\n' not in str(error).strip(), error
        return None


def boxes_of(record):
    return [(*box, label) for box, label in zip(record.boxes.tolist(), record.labels.tolist(), strict=True)]


def clipped(x1, y1, x2, y2):
    """The box inside the image; None where nothing is left of it."""
    if not all(map(math.isfinite, (x1, y1, x2, y2))):
        return None
    left, top, right, bottom = max(x1, 0), max(y1, 0), min(x2, WIDTH), min(y2, HEIGHT)
    return (left, top, right, bottom) if right > left and bottom > top else None


def near(found, expected):
    return np.allclose(found, expected, rtol=0, atol=2e-3)


def assert_equal(found, expected):
    assert len(found) == len(expected) and all(map(near, found, expected)), f'{found} for {expected}'


def assert_between(found, surely, possibly):
    """Every box found is possible, and every sure one was found."""
    for each in found:
        assert any(near(each, other) for other in possibly), f'{each} is in none of {possibly}'
    for each in surely:
        assert any(near(each, other) for other in found), f'{each} is missing in {found}'


# YOLO label files

share = st.integers(0, 40).map(lambda v: v / 40)
side = st.integers(2, 30).map(lambda v: v / 40)
label = st.integers(0, len(CLASSES) - 1)
box_row = st.tuples(st.just('box'), label, share, share, side, side)
junk_row = st.sampled_from(
    ['', '  ', 'cat .5 .5 .1 .1', '0', '0 .5 .5', '-1 .5 .5 .1 .1', '3 .5 .5 .1 .1', '0.5 .5 .5 .1 .1',
     '0 nan .5 .1 .1', '0 .5 .5 inf .1', '0 .5 .5 0 .1', '0 .5 .5 -.2 .1', '0 0,5 0,5 0,1 0,1', '0 .5 .5 .1 x', '# no']
).map(lambda text: ('junk', text))  # fmt: skip
# An ellipse's points in order: an outline that crosses itself nowhere.
middle = st.integers(10, 30).map(lambda v: v / 40)
outline_row = st.tuples(
    st.just('outline'), label, middle, middle, *[st.integers(2, 20).map(lambda v: v / 40)] * 2, st.integers(4, 9)
)
wide_row = st.sampled_from(
    ['0 .5 .5 .2 .2 .9', '1 .5 .5 .2 .2 .9 17', '0 .5 .5 .2 .2 3 4 5', '0 .5 .5 .2 .2 .5 .5 2 .4 .4 2']
).map(lambda text: ('wide', text))


def outline_points(cx, cy, width, height, count):
    angles = [2 * math.pi * i / count for i in range(count)]
    return [(cx + width / 2 * math.cos(a), cy + height / 2 * math.sin(a)) for a in angles]


def yolo_line_and_box(row):
    """The line, and the box with its label or None."""
    kind, *values = row
    if kind in ('junk', 'wide'):
        return values[0], None
    if kind == 'box':
        number, cx, cy, width, height = values
        line = f'{number} {cx!r} {cy!r} {width!r} {height!r}'
        corners = (cx - width / 2, cy - height / 2, cx + width / 2, cy + height / 2)
    else:
        number, *ellipse = values
        points = outline_points(*ellipse)
        line = f'{number} ' + ' '.join(f'{x!r} {y!r}' for x, y in points)
        xs, ys = zip(*points, strict=True)
        corners = (min(xs), min(ys), max(xs), max(ys))
    box = clipped(corners[0] * WIDTH, corners[1] * HEIGHT, corners[2] * WIDTH, corners[3] * HEIGHT)
    return line, box and (*box, number)


def write_yolo(root, lines, start, end, **more):
    text = start + end.join(lines)
    (root / 'labels/train/a.txt').write_bytes(text.encode('utf-8'))
    source = root / 'data.yaml'
    source.write_text(json.dumps({'train': 'images/train', 'names': CLASSES, **more}))
    return source


@fuzz
@given(
    rows=st.lists(st.one_of(box_row, junk_row, outline_row), max_size=8),
    wide=st.lists(wide_row, max_size=1),
    start=st.sampled_from(['', '\ufeff']),
    end=st.sampled_from(['\n', '\r\n', ' \n\n']),
)
def test_yolo_label_files(root, rows, wide, start, end):
    folder = root / 'yolo'
    lines, boxes = zip(*map(yolo_line_and_box, rows + wide), strict=True) if rows + wide else ((), ())
    data = read(write_yolo(folder, lines, start, end), folder)
    expected = [box for box in dict(zip(lines, boxes, strict=True)).values() if box]
    if wide and len({row[-1] for row in rows if row[0] == 'outline'}) < 2:
        # One more column, or two or more that cannot be points, is no box and no outline. Where a split surely
        # holds outlines, it is one bad row.
        assert data is None
    elif data is not None:
        assert_equal(boxes_of(data.records[0]), expected)
    else:
        # Refused only where nothing is left of what the file holds.
        assert not expected


@fuzz
@given(
    rows=st.lists(box_row, min_size=1, max_size=5),
    points=st.integers(1, 5),
    values=st.sampled_from([2, 3]),
    spoilt=st.integers(-1, 4),
)
def test_yolo_keypoint_files(root, rows, points, values, spoilt):
    folder = root / 'yolo'
    lines, boxes = zip(*map(yolo_line_and_box, rows), strict=True)
    more = ' '.join(['.25 .75', '2'][: values - 1] * points)
    lines = [f'{line} {more}' + (' .5' if i == spoilt else '') for i, line in enumerate(lines)]
    data = read(write_yolo(folder, lines, '', '\n', kpt_shape=[points, values]), folder / 'labels/train/a.txt')
    if 0 <= spoilt < len(lines):
        assert data is None
    elif data is not None:
        assert_equal(boxes_of(data.records[0]), list(dict.fromkeys(box for box in boxes if box)))


# Pascal VOC

corner = st.one_of(st.integers(1, 96).map(str), st.sampled_from(['12.5', '', 'nan', 'inf', '-4', '1e9', 'left', '９']))
flag = st.sampled_from([None, '0', '1', 'true', 'false', 'True', 'maybe', ''])
voc_object = st.tuples(st.sampled_from([*CLASSES, 'bat', '', 'c&t']), st.tuples(corner, corner, corner, corner), flag)
voc_size = st.sampled_from([None, ('96', '64'), ('192', '128'), ('48', '32'), ('0', '0'), ('wide', '64'), ('64', '96')])
DIFFICULT = {None: False, '0': False, '1': True, 'true': True, 'True': True, 'false': False}


@fuzz
@given(objects=st.lists(voc_object, max_size=6), size=voc_size, cut=st.sampled_from([None] * 9 + [0.5]))
def test_voc_annotations(root, objects, size, cut):
    parts = ['<annotation>']
    if size:
        parts.append(f'<size><width>{size[0]}</width><height>{size[1]}</height><depth>3</depth></size>')
    for name, corners, difficult in objects:
        sides = ''.join(f'<{k}>{v}</{k}>' for k, v in zip(('xmin', 'ymin', 'xmax', 'ymax'), corners, strict=True))
        own = '' if difficult is None else f'<difficult>{difficult}</difficult>'
        parts.append(f'<object><name>{escape(name)}</name>{own}<bndbox>{sides}</bndbox></object>')
    text = '\n'.join([*parts, '</annotation>'])
    folder = root / 'voc'
    (folder / 'Annotations/a.xml').write_text(text[: int(len(text) * cut)] if cut else text)
    data = read(folder, folder)
    if cut:
        assert data is None
        return
    ratio = {('192', '128'): 0.5, ('48', '32'): 2.0}.get(size, 1.0)
    surely, possibly, crowd = [], [], {}
    for name, corners, difficult in objects:
        try:
            x1, y1, x2, y2 = map(float, corners)
        except ValueError:
            continue
        box = clipped((x1 - 1) * ratio, (y1 - 1) * ratio, x2 * ratio, y2 * ratio)
        if box and name in CLASSES:
            row = (*box, CLASSES.index(name))
            # A stated size of another shape than the image's: its boxes may mean anything.
            possibly += [row] if size != ('64', '96') else []
            if possibly and difficult in DIFFICULT:
                surely.append(row)
                crowd.setdefault(row, set()).add(DIFFICULT[difficult])
    if data is None:
        # Boxes of one pixel in the corner are refused too: they may be shares of the image.
        assert all(max(box[:4]) <= 1 for box in surely)
        return
    found = boxes_of(data.records[0])
    assert_between(found, surely, possibly)
    for row, is_crowd in zip(found, data.records[0].iscrowd.tolist(), strict=True):
        for other, flags in crowd.items():
            if near(row, other) and len(flags) == 1 and sum(near(row, each) for each in possibly) == 1:
                assert is_crowd in flags


# COCO

junk = st.one_of(
    st.none(), st.booleans(), st.just([]), st.just({}), st.just([None] * 4), st.just('1'), st.just(''), st.just('猫'),
    st.sampled_from([-1, 0, 2**60, 10**400, -0.5, 1e308, math.nan, math.inf, [1, 2, 3], [[1, 2], 3, 4, 5], 'a.png']),
)  # fmt: skip
whole_box = st.tuples(
    st.integers(-8, 90), st.integers(-8, 60), st.integers(2, 60), st.integers(2, 60)
).map(list)  # fmt: skip


@st.composite
def coco_files(draw):
    images = [
        {'id': i + 5, 'file_name': f'{name}.png', 'width': WIDTH, 'height': HEIGHT} for i, name in enumerate('abc')
    ]
    categories = [{'id': 2 * i + 1, 'name': name} for i, name in enumerate(CLASSES)]
    annotations = [
        {
            'id': i,
            'image_id': draw(st.sampled_from([5, 6, 7])),
            'category_id': draw(st.sampled_from([1, 3, 5])),
            'bbox': draw(whole_box),
            'area': draw(st.sampled_from([1, 40.5, 0, -5])),
            'iscrowd': draw(st.sampled_from([0, 1])),
        }
        for i in range(draw(st.integers(0, 6)))
    ]
    data = {'images': images, 'annotations': annotations, 'categories': categories}
    for _ in range(draw(st.sampled_from([0, 1, 1, 2, 3]))):
        rows = data[draw(st.sampled_from(['images', 'annotations', 'annotations', 'annotations', 'categories']))]
        if rows:
            row = draw(st.sampled_from(rows))
            row[draw(st.sampled_from(sorted(row)))] = draw(junk)
    return data


def is_whole(value):
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e300


def may_be_corners(box):
    """Whether a box leaves its image as [x, y, width, height], and not as [x1, y1, x2, y2]."""
    x, y, width, height = box
    return width > x and height > y and (x + width > WIDTH + 1 or y + height > HEIGHT + 1)


@fuzz
@given(data=coco_files())
def test_coco_files(root, data):
    folder = root / 'coco'
    path = folder / 'train.json'
    path.write_text(json.dumps(data))
    found = read(path, path)
    files = {image['id']: image for image in data['images'] if is_whole(image['id'])}
    classes = {row['id']: row['name'] for row in data['categories'] if is_whole(row['id'])}
    # Nothing but annotations was changed.
    plain = (
        sorted(str(row['file_name']) for row in data['images']) == ['a.png', 'b.png', 'c.png']
        and all((row['width'], row['height']) == (WIDTH, HEIGHT) for row in data['images'])
        and len(files) == len(classes) == 3
        and set(map(str, classes.values())) == set(CLASSES)
    )
    surely, possibly = {}, {}
    for row in data['annotations']:
        box, image, category = row['bbox'], row['image_id'], row['category_id']
        if not (isinstance(box, list) and len(box) == 4 and all(map(is_number, box))):
            continue
        if not (is_whole(image) and image in files and is_whole(category) and category in classes):
            continue
        x, y, width, height = map(float, box)
        inside = clipped(x, y, x + width, y + height)
        if inside is None:
            continue
        entry = files[image]
        name = str(entry['file_name'])
        possibly.setdefault(name, []).append((*inside, classes[category]))
        sound = row['iscrowd'] in (0, 1) and not isinstance(row['iscrowd'], (float, bool))
        if plain and sound:
            surely.setdefault(name, []).append((*inside, classes[category]))
    if found is None:
        assert not plain or not surely or all(may_be_corners(row['bbox']) for row in data['annotations'])
        return
    for record in found.records:
        boxes = [(*box[:4], found.class_names[box[4]]) for box in boxes_of(record)]
        expected = possibly.get(record.path.name, [])
        for *box, name in boxes:
            stated = [other for other in expected if str(other[4]) == name]
            assert any(near(box, other[:4]) for other in stated) or not plain, f'{box} is in none of {expected}'
        for *box, name in surely.get(record.path.name, []):
            assert any(near(box, other[:4]) and other[4] == name for other in boxes), f'{box} is missing in {boxes}'
        area = record.areas
        assert bool((area > 0).all()) and bool((area <= WIDTH * HEIGHT).all())
        boxes = record.boxes
        assert bool((boxes >= 0).all()) and bool((boxes[:, 2:] > boxes[:, :2]).all())


# YAML

plain_name = st.one_of(
    st.sampled_from(
        ['yes', 'no', 'on', 'off', 'true', 'null', '~', '010', '0x1F', '1_000', '12:30', '1e3', '.5', '2020-01-01',
         '2020-99-99', '1.0', '+7', '.inf', '.nan', '=', '<<', 'naïve', '猫', 'می‌خواهم', 'e\u0301', '👩‍🚒',
         'a b', 'N/A']
    ),
    st.text('abcxyzABC0123456789_.', min_size=1, max_size=8),
)  # fmt: skip


@fuzz
@given(
    names=st.lists(plain_name, min_size=1, max_size=5, unique_by=lambda name: unicodedata.normalize('NFC', name)),
    style=st.sampled_from(['block', 'flow', 'map', 'single', 'double']),
    more=st.sampled_from(['', 'date: 2020-99-99\n', 'x: !!int x\n', 'x: !!bool maybe\n', 'x: ' + '9' * 5000 + '\n',
                          'x: !!python/object:os.system {}\n', 'x: ' + '[' * 200 + '\n', 'names: [again]\n']),
)  # fmt: skip
def test_yaml_names_are_text_as_written(root, names, style, more):
    rows = {
        'block': ['names:', *(f'- {name}' for name in names)],
        'flow': [f'names: [{", ".join(names)}]'],
        'map': ['names:', *(f'  {i}: {name}' for i, name in enumerate(names))],
        'single': ['names:', *(f"- '{name}'" for name in names)],
        'double': ['names:', *(f'- "{name}"' for name in names)],
    }[style]
    source = root / 'names/data.yaml'
    source.write_text('\n'.join([f'path: {root}/yolo', 'train: images/train', *rows, more]), encoding='utf-8')
    (root / 'yolo/labels/train/a.txt').write_text('')
    data = read(source, source)
    if data is None:
        assert more
    else:
        assert data.class_names == tuple(names)
