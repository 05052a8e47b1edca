import math

import pytest
from PIL import Image

from mbv3zoo.data.pixel_labels import PixelLabel, PixelLabels
from mbv3zoo.data.problems import LabelProblems


@pytest.fixture
def read(tmp_path):
    """Reads images that are each given as (labels, more arguments), and returns records and problems."""
    Image.new('RGB', (96, 64)).save(tmp_path / 'a.png')

    def read(*images, **options):
        problems = LabelProblems('set')
        reader = PixelLabels('set', problems, **options)
        for labels, *more in images:
            image = reader.add_image(**{'path': tmp_path / 'a.png', 'where': 'a'} | (more[0] if more else {}))
            for each in labels:
                reader.add(image, each)
        return reader.finish(), problems.lines

    return read


def label(box=(8, 16, 32, 24), where='line 1', number=0, **more):
    return PixelLabel(where, box, number, **more)


def test_labels_become_a_record(read, tmp_path):
    labels = [label(), label((1, 2, 3, 4), 'line 2', 3, crowd='1', areas=[5])]
    (record, other), lines = read((labels, {'image_id': -7}), ((),))
    assert record.boxes.tolist() == [[8, 16, 40, 40], [1, 2, 4, 6]] and record.labels.tolist() == [0, 3]
    assert record.iscrowd.tolist() == [False, True] and record.areas.tolist() == [768, 5]
    assert (record.size, record.image_id, record.path) == ((64, 96), -7, tmp_path / 'a.png')
    assert lines == [] and other.image_id == 2 and len(other.boxes) == 0


@pytest.mark.parametrize(('stated', 'factor'), [((384, 256), 4), ((48, 32), 0.5), (('192', '128'), 2)])
def test_boxes_and_areas_of_another_size_are_scaled_and_counted_once(read, stated, factor):
    one = [label(tuple(v * factor for v in (8, 16, 32, 24)), areas=[200 * factor**2])], {'stated': stated}
    records, lines = read(one, one, one, ([label()], {'stated': (96, 64)}))
    for record in records[:3]:
        assert record.boxes.tolist() == [[8, 16, 40, 40]] and record.areas.tolist() == [200]
    assert len(lines) == 1
    assert '3 of 4 images have another size than is stated; their boxes are scaled' in lines[0]


def test_boxes_of_the_stored_frame_are_turned_and_counted_once(read, tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    Image.new('RGB', (96, 64)).save(tmp_path / 'a.png', exif=exif)
    (record, other), lines = read(([label()], {'stated': (96, 64)}), ([label()], {'stated': (64, 96)}))
    assert record.boxes.tolist() == [[24, 8, 48, 40]] and record.size == (96, 64) and record.areas.tolist() == [768]
    assert other.boxes.tolist() == [[8, 16, 40, 40]]
    assert len(lines) == 1 and '1 of 2 images are labelled as stored' in lines[0]


def test_a_repeated_object_is_dropped_and_named(read):
    labels = [label(), label(where='line 2'), label(where='line 3', number=1), label((8, 16, 32, 25), 'line 4')]
    # In another image it is another object.
    (record, other), lines = read(([*labels, label(where='line 5')],), ([label()],))
    assert record.labels.tolist() == [0, 1, 0] and len(other.boxes) == 1
    assert lines == ['line 2: repeats line 1; dropped', 'line 5: repeats line 1; dropped']


def test_objects_of_images_in_any_order(tmp_path):
    for name, side in (('a', 64), ('b', 32)):
        Image.new('RGB', (side, side)).save(tmp_path / f'{name}.png')
    reader = PixelLabels('set', LabelProblems('set'), place='object {}'.format)
    for number, image in enumerate([1, 0, 1, 0]):
        reader.add(image, PixelLabel(number, (number, 0, 40, 40), number))
    for name in 'ab':
        reader.add_image(tmp_path / f'{name}.png', name)
    one, other = reader.finish()
    assert one.labels.tolist() == [1, 3] and other.labels.tolist() == [0, 2]
    assert other.boxes.tolist() == [[0, 0, 32, 32], [2, 0, 32, 32]]
    assert [line[:8] for line in reader.problems.lines] == ['object 0', 'object 2']


def test_a_flag_that_is_none_is_taken_as_0_and_named(read):
    (record,), lines = read(([label(crowd=[1])],))
    assert record.iscrowd.tolist() == [False]
    assert lines == ['line 1: iscrowd [1] is neither 0 nor 1; taken as 0']


@pytest.mark.parametrize(
    'areas', [[50, 60], [None, 50], [0, 50], [6145, 50], ['60', 50], [math.nan, 50], [10**400, 50]]
)
def test_an_area_is_the_first_that_an_object_can_have(read, areas):
    (record,), lines = read(([label(areas=areas)],))
    assert record.areas.tolist() == [50]
    told = areas[0] not in (50, None, 0)
    assert [line.endswith('is no area in the image; not used') for line in lines] == [True] * told


@pytest.mark.parametrize('areas', [(), [None], [0], [True], [-5, math.inf], ['big', {}]])
def test_without_a_stated_area_it_is_the_boxs(read, areas):
    (record,), _ = read(([label(areas=areas)],))
    assert record.areas.tolist() == [768]


@pytest.mark.parametrize('box', [(1e300, 1, 1e300, 5), (math.nan, 1, 5, 5), (-1e300, 0, 5, 5), (0, 0, -5, 5)])
def test_numbers_beyond_all_images_are_dropped(read, box):
    (record,), lines = read(([label(box)],))
    assert len(record.boxes) == 0 and 'not inside' in lines[0]


def test_corners_are_told_by_their_areas_too(read):
    images = [([label((2 + i, 4, 12, 20), areas=[(10 - i) * 16])],) for i in range(3)]
    with pytest.raises(ValueError, match='none of 3 boxes has the area that is stated for it; they look like'):
        read(*images)
    assert len(read(*images, ([label((9, 4, 12, 20))],))[0]) == 4


@pytest.mark.parametrize('share', [1, 0.4])
def test_areas_of_boxes_and_masks_are_no_sign_of_corners(read, share):
    assert len(read(*(([label((2 + i, 4, 12, 20), areas=[240 * share])],) for i in range(5)))[0]) == 5


def test_a_far_corner_does_not_move_the_near_one(read):
    assert read(([label((-1e9, 1, 1e9 + 50, 5))],))[0][0].boxes.tolist() == [[0, 1, 50, 6]]


def test_an_image_that_cannot_be_read_is_left_out(read, tmp_path):
    records, lines = read(([label()], {'path': tmp_path / 'none.png', 'where': 'image 7'}))
    assert len(records) == 0 and lines[0].startswith('image 7: left out: cannot read image file')


@pytest.mark.parametrize('is_xywh', [True, False])
def test_shares_are_refused(read, is_xywh):
    shares = [label((0.5, 0.25, 0.5, 0.75)), label((0, 0, 1, 1))]
    with pytest.raises(ValueError, match=r'set: all of its 2 boxes lie between 0 and 1.*pixels are expected'):
        read((shares,), is_xywh=is_xywh)
    assert len(read((shares,), ([label((0, 0, 1, 2))],), is_xywh=is_xywh)[0]) == 2


@pytest.mark.parametrize(('count', 'refused'), [(1, False), (2, False), (3, True), (12, True)])
def test_corners_are_refused(read, count, refused):
    images = [([label((50 + i, 40, 80 + i, 60))],) for i in range(count)]
    if refused:
        with pytest.raises(ValueError, match=rf'set: .* {count} of {count} boxes leave their picture; they look like'):
            read(*images)
    records, _ = read(*images, is_xywh=False)
    assert len(records) == count and records[0].boxes.tolist() == [[49, 39, 80, 60]]
    # One that cannot be corners tells that they are none.
    assert len(read(*images, ([label((50, 40, 20, 20))],))[0]) == count + 1
