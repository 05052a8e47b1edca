import re
from pathlib import Path

import numpy as np
import pytest

from mbv3zoo.data.problems import LabelProblems
from mbv3zoo.data.yolo_rows import RowReader

BOX = '0 .5 .4 .3 .2'
TRIANGLE, SQUARE = '1 .1 .1 .9 .1 .5 .9', '1 .1 .2 .9 .2 .9 .8 .1 .8'
KEYPOINTS = '0 .33 .5 .33 .5 .2 .3 .45 .3 .2 .7 .45 .7 .3 .5'


@pytest.fixture
def read(tmp_path):
    """A function from texts, one a label file, to the boxes of each as x1 y1 x2 y2, and the problems."""

    def read_texts(*texts, keypoints=None):
        problems = LabelProblems('data.yaml')
        reader, found = RowReader(keypoints, Path('data.yaml'), problems), []
        for i, text in enumerate(texts):
            (tmp_path / f'{i}.txt').write_text(text)
            found.append([tuple(np.round(row.corners, 4).tolist()) for row in reader.read(tmp_path / f'{i}.txt')])
        reader.check()
        return found, [line.removeprefix(f'{tmp_path}/') for line in problems.lines]

    return read_texts


def test_a_row_knows_its_class_and_place(tmp_path):
    (tmp_path / 'a.txt').write_text(f'\n{BOX}\r\n\n3 0 0 1 1')
    rows = RowReader(None, Path('data.yaml'), LabelProblems('')).read(tmp_path / 'a.txt')
    assert [(row.label, row.line) for row in rows] == [(0, 2), (3, 4)]


@pytest.mark.parametrize(
    'texts', [[BOX], [BOX, TRIANGLE], [TRIANGLE, SQUARE], [f'{SQUARE}\n{TRIANGLE}', BOX], ['', BOX]]
)
def test_boxes_and_outlines(read, texts):
    expected = {BOX: (0.35, 0.3, 0.65, 0.5), TRIANGLE: (0.1, 0.1, 0.9, 0.9), SQUARE: (0.1, 0.2, 0.9, 0.8)}
    assert read(*texts) == ([[expected[line] for line in text.split('\n') if line] for text in texts], [])


# What programs append to a box, and how many values the first such row has.
COLUMNS = {
    'a confidence': (['.9', '.2'], 5),
    'a confidence of one': (['1', '1.0'], 5),
    'a track id': (['7', '12'], 5),
    'a first track id': (['0'], 5),
    'a confidence and a track id': (['.9 7', '.8 12'], 6),
    'a confidence and a small track id': (['.9 1', '.8 0'], 6),
    'two flags': (['0 0', '0 1', '1 0'], 6),
    'three flags': (['0 0 1'], 7),
    'four flags': (['0 0 1 0', '0 1 0 0'], 8),
    'eight flags': (['0 0 1 0 0 0 0 1'], 12),
    'one keypoint': (['.5 .5'], 6),
    'one keypoint that is seen': (['.5 .5 2'], 7),
    'two keypoints that are seen': (['.45 .4 2 .55 .4 2', '.45 .4 1 .55 .4 1'], 10),
    'sixteen keypoints of two kinds': ([' '.join(['.5 .5 1', '.4 .4 1'] * 8)], 52),
    'two keypoints, all seen': (['.45 .4 1 .55 .4 1'], 10),
    'two keypoints, not seen': (['.4 .35 0 .55 .41 1'], 10),
    'four keypoints, two not labelled': (['.5 .4 .45 .45 0 0 0 0'], 12),
    'five keypoints': ([' '.join(KEYPOINTS.split()[5:])], 14),
    'a turn in degrees': (['30', '-45'], 5),
    'a turn and a depth': (['.3 12.5'], 6),
    'pixels': (['.5 .5 320 240'], 8),
    'not a number': (['nan nan'], 6),
}


@pytest.mark.parametrize('kind', COLUMNS)
@pytest.mark.parametrize('files', [1, 2])
def test_more_columns_than_a_box_are_refused_with_their_place(read, kind, files):
    columns, count = COLUMNS[kind]
    lines = [f'{BOX} {values}' for values in columns]
    texts = ['\n'.join([BOX, *lines])] if files == 1 else [BOX, *lines]
    place = r'0\.txt:2' if files == 1 else r'1\.txt:1'
    expected = f'{place}: has {count} values after the class.*`kpt_shape: .*` into data.yaml, else remove what follows'
    with pytest.raises(ValueError, match=expected):
        read(*texts)


@pytest.mark.parametrize(
    ('keypoints', 'values'),
    [((5, 2), KEYPOINTS.split()[5:]), ((2, 3), ['.3', '.5', '2'] * 2), ((1, 2), ['.3', '.5'])],
)
def test_keypoints_that_are_declared_leave_the_box(read, keypoints, values):
    row = f'0 .33 .5 .33 .5 {" ".join(values)}'
    assert read(f'{row}\n{BOX}', keypoints=keypoints) == ([[(0.165, 0.25, 0.495, 0.75), (0.35, 0.3, 0.65, 0.5)]], [])
    for other in (f'{row} .5', TRIANGLE + ' .1 .1' * 7, f'{BOX} .9'):
        with pytest.raises(ValueError, match=rf'0.txt:2: has \d+ values.* 4 of a box, or {4 + np.prod(keypoints)}'):
            read(f'{row}\n{other}', keypoints=keypoints)


@pytest.mark.parametrize('turn', [0, 0.1, 0.7, 1.2, np.pi / 2, 2.5])
@pytest.mark.parametrize('center', [(0.5, 0.5), (0.2, 0.3), (0.05, 0.9)])
def test_turned_boxes_of_four_corners_are_outlines(read, turn, center):
    corners = np.array([[-0.1, -0.05], [0.1, -0.05], [0.1, 0.05], [-0.1, 0.05]])
    points = corners @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]) + center
    for order in (points, points[::-1], np.roll(points, 1, 0)):
        boxes, problems = read('0 ' + ' '.join(map(str, order.ravel())))
        assert boxes == [[tuple(np.round([*points.min(0), *points.max(0)], 4).tolist())]] and problems == []


@pytest.mark.parametrize(
    'outlines',
    [
        ['.2 .2 .3 .2 .3 .3 .2 .3 .2 .2'],  # closed
        ['.5 .5 .4 .4 .6 .45 .7 .7 .5 .6'],  # its first four values are a box in the picture
        ['.5 .5 .4 .4 .6 .2 .3 .6 .6 .6', '.9 .9 .95 .9 .95 .95 .9 .95 .9 .93'],  # the first crosses itself
        ['.5 .5 .4 .4 .5 .5', '.9 .1 .9 .9 .1 .9'],  # no area, but the other is no box
        ['0 0 1 0 1 1 0 1', '0 0 .5 0 .5 .5 0 .5'],  # along the edges
        ['.5 .5 ' + ' '.join(f'{0.4 + i / 5000} {0.4 + i % 2 / 10}' for i in range(300))],
    ],
)
def test_outlines_of_one_number_of_points_are_outlines_where_they_can_be(read, outlines):
    boxes, problems = read('\n'.join(f'0 {outline}' for outline in outlines))
    points = [np.array(outline.split(), float).reshape(-1, 2) for outline in outlines]
    expected = [(*each.min(0), *each.max(0)) for each in points if np.ptp(each, 0).all()]
    np.testing.assert_allclose([box for box in boxes[0] if box[2] > box[0] < box[3]], expected, atol=1e-4)
    assert problems == []


@pytest.mark.parametrize('values', ['.45 .4 .55 .4', '.5 .4 .5 .4', '.6 .45 .4 .35', '.35 .3 .65 .5', '.5 .3 .5 .5'])
def test_two_keypoints_are_no_corners_of_a_turned_box(read, values):
    with pytest.raises(ValueError, match=r'0\.txt:1: has 8 values'):
        read(f'{BOX} {values}')


def test_a_bad_row_among_outlines_is_dropped_and_named(read):
    boxes, problems = read(TRIANGLE, f'{SQUARE}\n{BOX} .9\n0 .1 .1 .2 .2 .3 nan\n0 1 2 3 4 5 6\n')
    assert boxes == [[(0.1, 0.1, 0.9, 0.9)], [(0.1, 0.2, 0.9, 0.8)]]
    assert [line.split(': ')[0] for line in problems] == ['1.txt:2', '1.txt:3', '1.txt:4']
    assert all(
        re.search('its [56] values are not the points of an outline in the picture; dropped', p) for p in problems
    )


def test_an_outline_may_leave_the_picture_by_a_little(read):
    assert read('0 -.2 .1 1.2 .1 .5 1.4')[0] == [[(-0.2, 0.1, 1.2, 1.4)]]
    with pytest.raises(ValueError, match=r'0\.txt:1: has 6 values'):
        read('0 -.2 .1 1.2 .1 .5 1.6')


@pytest.mark.parametrize(
    ('data', 'labels', 'expected'),
    [
        (b'\xef\xbb\xbf0 .5 .5 1 1\n1 .5 .5 1 1', [0, 1], []),
        (b'0 .5 .5 1 1\nK\xe4fer .5 .5 1 1\n1 .5 .5 1 1', [0, 1], ['a.txt:2: ']),
        (b'0 .5 .5 1 1\n\xef\xbb\xbf1 .5 .5 1 1', [0], ['a.txt:2: ']),
        (b'0 .5 .5 1 1\r1 .5 .5 1 1\r', [0, 1], []),
        ('0 .5 .5 1 1'.encode('utf-16'), None, ['a.txt:1: the file is UTF-16 text; save it as UTF-8']),
        ('0 .5 .5 1 1'.encode('utf-16-be'), [], ['a.txt:1: ']),
    ],
)
def test_label_files_of_other_encodings(tmp_path, data, labels, expected):
    (tmp_path / 'a.txt').write_bytes(data)
    problems = LabelProblems('')
    rows = RowReader(None, Path('data.yaml'), problems).read(tmp_path / 'a.txt')
    assert labels == (rows and [row.label for row in rows] if rows != [] else [])
    assert len(problems.lines) == len(expected)
    assert all(words in line for words, line in zip(expected, problems.lines, strict=True))
