import math

import pytest
from PIL import Image

from mbv3zoo.data.pixel_labels import PixelLabel, PixelLabels
from mbv3zoo.data.records import LabelProblems


@pytest.fixture
def reader(tmp_path):
    Image.new('RGB', (96, 64)).save(tmp_path / 'a.png')
    return PixelLabels('set', LabelProblems('set'))


def label(box=(8, 16, 32, 24), where='line 1', number=0, **more):
    return PixelLabel.of_xywh(where, box, number, **more)


def add(reader, tmp_path, *labels, **more):
    reader.add(tmp_path / 'a.png', labels, 'a', **more)
    return reader.records[-1] if reader.records else None


def test_labels_become_a_record(reader, tmp_path):
    record = add(reader, tmp_path, label(), label((1, 2, 3, 4), 'line 2', 3, crowd='1', areas=[5]), image_id=-7)
    assert record.boxes.tolist() == [[8, 16, 40, 40], [1, 2, 4, 6]] and record.labels.tolist() == [0, 3]
    assert record.iscrowd.tolist() == [False, True] and record.areas.tolist() == [768, 5]
    assert (record.size, record.image_id, record.path) == ((64, 96), -7, tmp_path / 'a.png')
    assert reader.finish() == [record] and reader.problems.lines == []
    assert add(reader, tmp_path).image_id == 2


@pytest.mark.parametrize(('stated', 'factor'), [((384, 256), 4), ((48, 32), 0.5), (('192', '128'), 2)])
def test_boxes_and_areas_of_another_size_are_scaled_and_counted_once(reader, tmp_path, stated, factor):
    for _ in range(3):
        record = add(
            reader, tmp_path, label(tuple(v * factor for v in (8, 16, 32, 24)), areas=[200 * factor**2]), stated=stated
        )
        assert record.boxes.tolist() == [[8, 16, 40, 40]] and record.areas.tolist() == [200]
    add(reader, tmp_path, label(), stated=(96, 64))
    reader.finish()
    assert len(reader.problems.lines) == 1
    assert '3 of 4 images have another size than is stated; their boxes are scaled' in reader.problems.lines[0]


def test_boxes_of_the_stored_frame_are_turned_and_counted_once(reader, tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    Image.new('RGB', (96, 64)).save(tmp_path / 'a.png', exif=exif)
    record = add(reader, tmp_path, label(), stated=(96, 64))
    assert record.boxes.tolist() == [[24, 8, 48, 40]] and record.size == (96, 64) and record.areas.tolist() == [768]
    assert add(reader, tmp_path, label(), stated=(64, 96)).boxes.tolist() == [[8, 16, 40, 40]]
    reader.finish()
    assert len(reader.problems.lines) == 1 and '1 of 2 images are labelled as stored' in reader.problems.lines[0]


def test_an_image_of_another_shape_is_left_out_and_named(reader, tmp_path):
    assert add(reader, tmp_path, label(), stated=(300, 300)) is None
    assert len(reader.problems.lines) == 1
    assert reader.problems.lines[0].startswith('a: left out: its labels are for an image of 300 x 300 pixels, a.png')
    # Without objects, nothing can be in the wrong place.
    assert add(reader, tmp_path, stated=(300, 300)).size == (64, 96)


@pytest.mark.parametrize('stated', [('big', 64), (-96, 64), (96, math.nan), ([96], 64), (96, {}), (True, 64)])
def test_a_size_that_is_none_is_ignored_and_named(reader, tmp_path, stated):
    assert add(reader, tmp_path, label(), stated=stated).boxes.tolist() == [[8, 16, 40, 40]]
    assert len(reader.problems.lines) == 1
    assert 'a: stated size ignored: ' in reader.problems.lines[0]


def test_a_repeated_object_is_dropped_and_named(reader, tmp_path):
    labels = [label(), label(where='line 2'), label(where='line 3', number=1), label((8, 16, 32, 25), 'line 4')]
    assert add(reader, tmp_path, *labels).labels.tolist() == [0, 1, 0]
    assert reader.problems.lines == ['line 2: repeats line 1; dropped']
    # In another image it is another object.
    assert len(add(reader, tmp_path, label()).boxes) == 1


def test_a_flag_that_is_none_is_taken_as_0_and_named(reader, tmp_path):
    assert add(reader, tmp_path, label(crowd=[1])).iscrowd.tolist() == [False]
    assert reader.problems.lines == ['line 1: iscrowd [1] is neither 0 nor 1; taken as 0']


@pytest.mark.parametrize('box', [(1e300, 1, 1e300, 5), (math.nan, 1, 5, 5), (-1e300, 0, 5, 5), (0, 0, -5, 5)])
def test_numbers_beyond_all_images_are_dropped(reader, tmp_path, box):
    assert len(add(reader, tmp_path, label(box)).boxes) == 0
    assert 'not inside' in reader.problems.lines[0]


def test_corners_are_told_by_their_areas_too(reader, tmp_path):
    for i in range(3):
        add(reader, tmp_path, label((2 + i, 4, 12, 20), areas=[(10 - i) * 16]))
    with pytest.raises(ValueError, match='none of 3 boxes has the area that is stated for it; they look like'):
        reader.finish()
    add(reader, tmp_path, label((9, 4, 12, 20)))
    assert len(reader.finish()) == 4


@pytest.mark.parametrize('share', [1, 0.4])
def test_areas_of_boxes_and_masks_are_no_sign_of_corners(reader, tmp_path, share):
    for i in range(5):
        add(reader, tmp_path, label((2 + i, 4, 12, 20), areas=[240 * share]))
    assert len(reader.finish()) == 5


def test_a_far_corner_does_not_move_the_near_one(reader, tmp_path):
    assert add(reader, tmp_path, label((-1e9, 1, 1e9 + 50, 5))).boxes.tolist() == [[0, 1, 50, 6]]


def test_an_image_that_cannot_be_read_is_left_out(reader, tmp_path):
    reader.add(tmp_path / 'none.png', [label()], 'image 7')
    assert reader.finish() == [] and reader.problems.lines[0].startswith('image 7: left out: cannot read image file')


@pytest.mark.parametrize('holds_xywh', [True, False])
def test_shares_are_refused(reader, tmp_path, holds_xywh):
    add(reader, tmp_path, label((0.5, 0.25, 0.5, 0.75)), label((0, 0, 1, 1)))
    with pytest.raises(ValueError, match=r'set: all of its 2 boxes lie between 0 and 1.*pixels are expected'):
        reader.finish(holds_xywh)
    add(reader, tmp_path, label((0, 0, 1, 2)))
    assert len(reader.finish()) == 2


@pytest.mark.parametrize(('count', 'refused'), [(1, False), (2, False), (3, True), (12, True)])
def test_corners_are_refused(reader, tmp_path, count, refused):
    for i in range(count):
        add(reader, tmp_path, label((50 + i, 40, 80 + i, 60)))
    if refused:
        with pytest.raises(ValueError, match=rf'set: .* {count} of {count} boxes leave their picture; they look like'):
            reader.finish()
    assert len(reader.finish(holds_xywh=False)) == count
    # One that cannot be corners tells that they are none.
    add(reader, tmp_path, label((50, 40, 20, 20)))
    assert len(reader.finish()) == count + 1
