import json
import logging
import math

import numpy as np
import pytest
import torch
from faster_coco_eval import mask
from PIL import Image

from mbv3zoo.data.coco import load_coco
from mbv3zoo.data.load import load_dataset
from mbv3zoo.synth import SyntheticConfig, synthesize

CATEGORIES = [{'id': 90, 'name': 'dog'}, {'id': 3, 'name': 'cat'}]


def annotation(number, box=(10, 10, 20, 30), image=7, category=3, **more):
    return {'id': number, 'image_id': image, 'category_id': category, 'bbox': list(box)} | more


def write(root, annotations=(), images=None, categories=CATEGORIES, name='train.json', folder='images/train'):
    """A set of pictures of 80 x 60 pixels; returns the JSON file."""
    images = images or [{'id': 7, 'file_name': 'a.png', 'width': 80, 'height': 60}]
    (root / folder).mkdir(parents=True, exist_ok=True)
    for image in images:
        Image.new('RGB', (80, 60)).save(root / folder / str(image['file_name']))
    return write_json(root, name, images=images, annotations=list(annotations), categories=categories)


def write_json(root, name, **data):
    (root / 'annotations').mkdir(exist_ok=True)
    path = root / 'annotations' / name
    path.write_text(json.dumps(data))
    return path


def test_sparse_category_ids_become_indices_in_order_of_the_ids(tmp_path):
    data = load_coco(write(tmp_path, [annotation(1, category=90), annotation(2, category=3)]))
    assert data.class_names == ('cat', 'dog')
    assert data.records[0].labels.tolist() == [1, 0]
    assert data.records[0].labels.dtype == torch.int64
    assert data.problems == ()


def test_boxes_sizes_and_ids(tmp_path):
    images = [{'id': 1000003, 'file_name': 'a.png'}, {'id': 5, 'file_name': 'b.png'}, {'id': 42, 'file_name': 'c.png'}]
    rows = [annotation(1, (1.5, 2, 3, 4.25), image=42), annotation(2, (0, 0, 80, 60), image=1000003)]
    data = load_coco(str(write(tmp_path, rows, images)))
    assert [record.image_id for record in data.records] == [1000003, 5, 42]
    assert [record.path for record in data.records] == [tmp_path / f'images/train/{name}.png' for name in 'abc']
    assert {record.size for record in data.records} == {(60, 80)}
    assert [record.boxes.tolist() for record in data.records] == [[[0, 0, 80, 60]], [], [[1.5, 2, 4.5, 6.25]]]
    background = data.records[1]
    assert background.boxes.shape == (0, 4) and background.boxes.dtype == torch.float32
    assert background.labels.shape == background.areas.shape == background.iscrowd.shape == (0,)
    assert background.labels.dtype == torch.int64 and background.iscrowd.dtype == torch.bool


def test_areas_are_the_annotations_own_else_the_boxes(tmp_path):
    stated = [{'area': 123.5}, {}, {'area': 0}, {'area': None}]
    rows = [annotation(i, (i, 10, 20, 30), **more) for i, more in enumerate(stated)]
    assert load_coco(write(tmp_path, rows)).records[0].areas.tolist() == [123.5, 600, 600, 600]


def test_crowds_are_marked(tmp_path):
    rows = [annotation(1, (1, 2, 3, 4), iscrowd=1), annotation(2, iscrowd=0), annotation(3, (5, 6, 7, 8))]
    assert load_coco(write(tmp_path, rows)).records[0].iscrowd.tolist() == [True, False, False]


def test_a_segmentation_beside_the_box_does_not_matter(tmp_path):
    rows = [annotation(1, segmentation={'size': [60, 80], 'counts': 'xyz'})]
    rows.append(annotation(2, (1, 2, 3, 4), segmentation=[[1, 2, 3, 4]]))
    assert len(load_coco(write(tmp_path, rows)).records[0].boxes) == 2


def without_box(number, segmentation, **more):
    row = annotation(number, segmentation=segmentation, **more)
    del row['bbox']
    return row


def run_lengths(pixels):
    """Lengths of runs of 0 and 1 in turn, down the columns."""
    flat = pixels.T.flatten()
    edges = np.flatnonzero(np.diff(flat)) + 1
    lengths = np.diff([0, *edges, flat.size]).tolist()
    return {'size': list(pixels.shape), 'counts': [0, *lengths] if flat[0] else lengths}


def compressed(pixels):
    coded = mask.encode(np.asfortranarray(pixels))
    return {'size': coded['size'], 'counts': coded['counts'].decode()}


def masks():
    rng = np.random.default_rng(0)
    for _ in range(6):
        top, left = rng.integers(0, 50), rng.integers(0, 70)
        pixels = np.zeros((60, 80), dtype=np.uint8)
        pixels[top : top + rng.integers(1, 40), left : left + rng.integers(1, 40)] = 1
        pixels &= rng.random((60, 80)) < 0.8
        pixels[top, left] = 1
        yield pixels
    yield np.ones((60, 80), dtype=np.uint8)
    yield np.pad(np.ones((1, 1), dtype=np.uint8), ((59, 0), (79, 0)))


@pytest.mark.parametrize('encode', [run_lengths, compressed])
@pytest.mark.parametrize('crowd', [0, 1])
def test_a_mask_gives_the_box_around_it_and_its_area(tmp_path, encode, crowd):
    drawn = list(masks())
    rows = [without_box(i, encode(pixels), iscrowd=crowd) for i, pixels in enumerate(drawn)]
    data = load_coco(write(tmp_path, rows))
    record = data.records[0]
    assert data.problems == () and record.iscrowd.tolist() == [bool(crowd)] * len(drawn)
    for pixels, box, area in zip(drawn, record.boxes.tolist(), record.areas.tolist(), strict=True):
        y, x = pixels.nonzero()
        assert box == [x.min(), y.min(), x.max() + 1, y.max() + 1] and area == pixels.sum()


def test_polygons_give_the_box_around_them_and_their_area(tmp_path):
    square, triangle = [10, 10, 30, 10, 30, 30, 10, 30], [40.5, 5, 60, 5, 60, 25]
    rows = [without_box(1, [square]), without_box(2, [square, triangle]), without_box(3, triangle[::-1])]
    rows.append(annotation(4, segmentation=[[9, *square[1:]]], area=7) | {'bbox': None})
    rows.append(annotation(5, (1, 2, 3, 4), segmentation=[square]))
    data = load_coco(write(tmp_path, rows))
    assert data.problems == ()
    expected = [[10, 10, 30, 30], [10, 5, 60, 30], [5, 40.5, 25, 60], [9, 10, 30, 30], [1, 2, 4, 6]]
    assert data.records[0].boxes.tolist() == expected
    assert data.records[0].areas.tolist() == [400, 595, 195, 7, 12]


@pytest.mark.parametrize(
    'segmentation',
    [
        [[1, 2, 3, 4]],
        [[1, 2, 3, 4, 5, 6, 7]],
        [[]],
        [[1, 2, 3, 4, 5, 6], []],
        [[1, 2, 3, 4, 5, 'a']],
        ['text'],
        'text',
        5,
        {'size': [60, 80]},
        {'counts': [5, 5]},
        {'size': [60, 80], 'counts': [5, -5]},
        {'size': [60, 80], 'counts': [5, 'a']},
        {'size': [60, 80], 'counts': [5, 5000]},
        {'size': [60, 80], 'counts': [4800]},
        {'size': [60, 80], 'counts': []},
        {'size': [60, 80], 'counts': ''},
        {'size': [60, 80], 'counts': 'oooo'},
        {'size': [60, 80], 'counts': 'P' * 99},
        {'size': [60, 80], 'counts': 5},
        {'size': [60, 80], 'counts': None},
        {'size': [60, 80], 'counts': '\u00e9'},
        {'size': [60], 'counts': [5, 5]},
        {'size': [60, 80, 3], 'counts': [5, 5]},
        {'size': None, 'counts': '52'},
        {'size': ['a', 80], 'counts': [5, 5]},
        {'size': [-60, 80], 'counts': [5, 5]},
        {'size': [0, 80], 'counts': [5, 5]},
        {'size': [0, 0], 'counts': '0'},
    ],
)
def test_a_bad_segmentation_is_dropped_and_named(tmp_path, segmentation):
    data = load_coco(write(tmp_path, [annotation(1), without_box(9, segmentation)]))
    assert len(data.records[0].boxes) == len(data.problems) == 1
    assert data.problems[0].startswith('annotation 9: segmentation ') and data.problems[0].endswith('; dropped')


def test_an_area_that_no_object_can_have_is_the_boxes(tmp_path):
    odd = ['big', [5], -5, math.inf, math.nan, 1e12, 10**400, True, {}, 4801]
    rows = [annotation(i, (i, 10, 20, 30), area=area) for i, area in enumerate(odd)]
    data = load_coco(write(tmp_path, rows))
    assert data.records[0].areas.tolist() == [600] * len(odd)
    told = [value for value in odd if value not in (None, 0)]
    assert len(data.problems) == len(told) and all(
        'is no area in the image; not used' in line for line in data.problems
    )


@pytest.mark.parametrize(
    ('bad', 'expected'),
    [
        (annotation(9, image=8), 'image 8 is not in the file'),
        (annotation(9, image='7'), "image '7' is not in the file"),
        (annotation(9, category=1), 'category 1 is not in the file'),
        (annotation(9, box=(1, 2, 3)), 'is not [x, y, width, height]'),
        (annotation(9) | {'bbox': None}, 'is not [x, y, width, height]'),
        (annotation(9, box=(1, 2, None, 4)), 'is not [x, y, width, height]'),
        (annotation(9, box=(1, 2, '3', 4)), 'is not [x, y, width, height]'),
        ({'id': 9, 'image_id': 7, 'category_id': 3}, 'is not [x, y, width, height]'),
        ({'id': 9}, 'image None is not in the file'),
        (annotation(9, box=(100, 10, 20, 20)), 'is not inside the picture of 80 x 60'),
        (annotation(9, box=(10, 10, 0, 20)), 'is not inside'),
        (annotation(9, box=(10, 10, -5, 20)), 'is not inside'),
        (annotation(9, box=(float('nan'), 10, 5, 20)), 'is not inside'),
    ],
)
def test_a_bad_annotation_is_dropped_named_and_counted(tmp_path, caplog, bad, expected):
    rows = [annotation(1, area=11), bad, annotation(2, category=90, area=22, iscrowd=1)]
    with caplog.at_level(logging.WARNING):
        data = load_coco(write(tmp_path, rows))
    record = data.records[0]
    # What belongs to the good boxes stays with them.
    assert record.labels.tolist() == [0, 1] and record.areas.tolist() == [11, 22]
    assert record.iscrowd.tolist() == [False, True] and len(record.boxes) == 2
    assert len(data.problems) == 1
    assert data.problems[0].startswith('annotation 9: ') and expected in data.problems[0]
    assert data.problems[0].endswith('dropped')
    assert 'train.json: 1 label problems' in caplog.text


def test_a_box_beyond_the_edge_is_clipped_and_named(tmp_path):
    data = load_coco(write(tmp_path, [annotation(4, box=(70, 50, 20, 20))]))
    assert data.records[0].boxes.tolist() == [[70, 50, 80, 60]]
    assert data.problems[0].startswith('annotation 4: ') and data.problems[0].endswith('clipped')


def test_missing_and_unreadable_pictures_are_left_out_and_named(tmp_path):
    images = [{'id': i, 'file_name': f'{i}.png'} for i in range(4)]
    path = write(tmp_path, [annotation(1, image=1), annotation(2, image=3)], images)
    (tmp_path / 'images/train/1.png').unlink()
    (tmp_path / 'images/train/2.png').write_bytes(b'no picture')
    data = load_coco(path)
    assert [record.image_id for record in data.records] == [0, 3]
    assert [len(record.boxes) for record in data.records] == [0, 1]
    assert [problem.split(': ')[0] for problem in data.problems] == ['image 1', 'image 2']
    assert all('left out' in problem for problem in data.problems)


@pytest.mark.parametrize('ids', [(7, 7), (1, 'a'), (1, None), ([1], 2), (1.5, 2)])
def test_ids_that_are_no_ids_are_refused(tmp_path, ids):
    images = [{'id': ids[0], 'file_name': 'a.png'}, {'id': ids[1], 'file_name': 'b.png'}]
    with pytest.raises(ValueError, match='ids of `images` must be unique whole numbers'):
        load_coco(write(tmp_path, [], images))
    categories = [{'id': ids[0], 'name': 'cat'}, {'id': ids[1], 'name': 'dog'}]
    with pytest.raises(ValueError, match='ids of `categories` must be unique whole numbers'):
        load_coco(write(tmp_path, [], categories=categories))


def test_sizes_come_from_the_pictures_not_from_the_file(tmp_path):
    path = write(tmp_path, [], [{'id': 7, 'file_name': 'a.png', 'width': 1, 'height': 2}])
    assert load_coco(path).records[0].size == (60, 80)


def test_a_turned_picture_has_its_size_after_the_turn(tmp_path):
    path = write(tmp_path, [annotation(1, box=(10, 20, 30, 55))], [{'id': 7, 'file_name': 'a.jpg'}])
    exif = Image.Exif()
    exif[0x0112] = 8
    Image.new('RGB', (80, 60)).save(tmp_path / 'images/train/a.jpg', exif=exif)
    record = load_coco(path).records[0]
    assert record.size == (80, 60) and record.boxes.tolist() == [[10, 20, 40, 75]]


@pytest.mark.parametrize('folder', ['images/train', 'train', 'images', 'annotations'])
def test_pictures_are_found_in_the_usual_places(tmp_path, folder):
    path = write(tmp_path, [annotation(1)], folder=folder)
    assert load_coco(path).records[0].path == tmp_path / folder / 'a.png'


def test_the_folder_of_pictures_can_be_named(tmp_path):
    write(tmp_path, folder='images/train')
    path = write(tmp_path, folder='far/away')
    assert load_coco(path).records[0].path == tmp_path / 'images/train/a.png'
    assert load_coco(path, tmp_path / 'far/away').records[0].path == tmp_path / 'far/away/a.png'
    assert load_coco(path, str(tmp_path / 'far/away')).records[0].path == tmp_path / 'far/away/a.png'


def test_file_names_may_hold_folders(tmp_path):
    (tmp_path / 'images/train/deep').mkdir(parents=True)
    path = write(tmp_path, [annotation(1)], [{'id': 7, 'file_name': 'deep/a.png'}])
    assert load_coco(path).records[0].path == tmp_path / 'images/train/deep/a.png'


def test_a_relative_path_finds_the_usual_places(tmp_path, monkeypatch):
    write(tmp_path, [annotation(1)])
    monkeypatch.chdir(tmp_path / 'annotations')
    assert len(load_coco('train.json')) == 1


def test_pictures_in_no_usual_place_are_asked_for(tmp_path):
    path = write(tmp_path, folder='elsewhere')
    with pytest.raises(ValueError, match=r'a\.png is in none of .*name the folder of its pictures'):
        load_coco(path)


def test_a_named_folder_without_the_pictures_is_refused(tmp_path):
    path = write(tmp_path)
    with pytest.raises(ValueError, match='none of its 1 pictures can be read in .*wrong'):
        load_coco(path, tmp_path / 'wrong')


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        ('{', 'not a JSON file'),
        ('', 'not a JSON file'),
        ('[1, 2]', 'not a COCO file'),
        ('"text"', 'not a COCO file'),
        ('{"images": [], "categories": []}', r"lacks \['annotations'\]"),
        ('{"images": [], "annotations": [], "categories": [{"id": 1, "name": "a"}]}', 'has 0 images and 1 categories'),
        ('{"images": [{"id": 1, "file_name": "a"}], "annotations": [], "categories": []}', '1 images and 0 categories'),
        ('{"images": [{"id": 1, "file_name": "a"}], "annotations": [], "categories": [{"name": "a"}]}', 'categories'),
        ('{"images": [{"id": 1}], "annotations": [], "categories": [{"id": 1, "name": "a"}]}', 'images'),
        ('{"images": {"a": 1}, "annotations": [], "categories": [{"id": 1, "name": "a"}]}', 'images'),
    ],
)
def test_a_file_that_is_not_coco_is_refused(tmp_path, text, expected):
    path = tmp_path / 'x.json'
    path.write_text(text)
    with pytest.raises(ValueError, match=expected) as caught:
        load_coco(path)
    assert 'x.json' in str(caught.value)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r'none\.json: no such annotation file'):
        load_coco(tmp_path / 'none.json')


def test_coco_and_yolo_versions_of_one_set_give_equal_records(tmp_path):
    synthesize(tmp_path / 'set', SyntheticConfig(train=8, val=3, image_size=160, workers=1, seed=5, negatives=0.2))
    for split in ('train', 'val'):
        coco = load_coco(tmp_path / f'set/annotations/{split}.json')
        yolo = load_dataset(tmp_path / 'set', split)
        assert coco.class_names == yolo.class_names
        assert coco.problems == yolo.problems == ()
        assert sum(len(record.boxes) for record in coco.records) > 5
        for one, other in zip(coco.records, yolo.records, strict=True):
            assert one.path.resolve() == other.path.resolve()
            assert one.size == other.size and one.image_id == other.image_id
            assert torch.equal(one.labels, other.labels) and torch.equal(one.iscrowd, other.iscrowd)
            torch.testing.assert_close(one.boxes, other.boxes, atol=0.01, rtol=0)
            torch.testing.assert_close(one.areas, other.areas, atol=0.01 * 2 * 160, rtol=0)


@pytest.mark.parametrize('ids', [(1, 2), ('000001', '000002'), (2**60, 2**60 + 1), (-1, 0)])
def test_ids_join_what_belongs_together(tmp_path, ids):
    images = [{'id': own, 'file_name': f'{i}.png'} for i, own in enumerate(ids)]
    rows = [annotation(1, (1, 2, 3, 4), image=ids[1], category=ids[0])]
    path = write(tmp_path, rows, images, [{'id': own, 'name': name} for own, name in zip(ids, 'ab', strict=True)])
    data = load_coco(path)
    assert [record.image_id for record in data.records] == list(ids) and data.category_ids == ids
    assert [record.boxes.tolist() for record in data.records] == [[], [[1, 2, 4, 6]]] and data.problems == ()


ODD = [None, [], [1], {}, True, 10**400, math.nan, math.inf, 1.5, 'x']


@pytest.mark.parametrize('value', ODD)
@pytest.mark.parametrize('key', ['image_id', 'category_id', 'bbox', 'id', 'iscrowd', 'area', 'segmentation'])
def test_whatever_an_annotation_holds_the_others_stay(tmp_path, key, value):
    good = annotation(1, (1, 2, 3, 4))
    data = load_coco(write(tmp_path, [annotation(2) | {key: value}, good]))
    kept = [[10, 10, 30, 40]] if key in ('id', 'iscrowd', 'area', 'segmentation') else []
    assert data.records[0].boxes.tolist() == [*kept, [1, 2, 4, 6]]
    assert data.records[0].areas.tolist() == [600.0 if value != 1.5 or key != 'area' else 1.5, 12.0][-1 - len(kept) :]
    told = not kept or (key == 'iscrowd' and value not in (None, True)) or (key == 'area' and value not in (None, 1.5))
    assert len(data.problems) == told and all(len(problem) < 200 for problem in data.problems)


def test_the_same_annotation_twice_is_dropped_and_named(tmp_path):
    rows = [annotation(1), annotation(2), annotation(1, category=90), annotation(3, (10, 10, 20, 31))]
    data = load_coco(write(tmp_path, rows))
    assert data.records[0].labels.tolist() == [0, 1, 0]
    assert data.problems == ('annotation 2: repeats annotation 1; dropped',)


def test_images_with_one_file_are_joined(tmp_path):
    images = [{'id': 7, 'file_name': 'a.png'}, {'id': 8, 'file_name': './a.png'}, {'id': 9, 'file_name': 'b.png'}]
    rows = [annotation(1), annotation(2, image=8), annotation(3, (1, 2, 3, 4), image=8)]
    data = load_coco(write(tmp_path, rows, images))
    assert [record.image_id for record in data.records] == [7, 9]
    assert data.records[0].boxes.tolist() == [[10, 10, 30, 40], [1, 2, 4, 6]]
    assert data.problems == (
        'image 8: has the file of image 7; their annotations are joined',
        'annotation 2: repeats annotation 1; dropped',
    )
    images[1] |= {'width': 40, 'height': 30}
    with pytest.raises(ValueError, match=r'train\.json: images 7 and 8 have one file, .*, and state different sizes'):
        load_coco(write(tmp_path, rows, images))


@pytest.mark.parametrize(('size', 'factor'), [((80, 60), 1), ((320, 240), 4), ((40, 30), 0.5), ((0, 0), 1)])
def test_boxes_are_in_pixels_of_the_stated_size(tmp_path, size, factor):
    images = [{'id': 7, 'file_name': 'a.png', 'width': size[0], 'height': size[1]}]
    rows = [annotation(1, [side * factor for side in (10, 20, 30, 20)], area=300 * factor**2)]
    square = [side * factor for side in (5, 5, 25, 5, 25, 25)]
    rows.append(without_box(2, [square]))
    data = load_coco(write(tmp_path, rows, images))
    assert data.records[0].boxes.tolist() == [[10, 20, 40, 40], [5, 5, 25, 25]]
    assert data.records[0].areas.tolist() == [300, 200] and data.records[0].size == (60, 80)
    assert len(data.problems) == (factor != 1)


def test_a_mask_states_the_size_of_its_image(tmp_path):
    pixels = np.zeros((240, 320), dtype=np.uint8)
    pixels[80:160, 40:160] = 1
    rows = [without_box(1, run_lengths(pixels)), annotation(2, (4, 8, 40, 80))]
    images = [{'id': 7, 'file_name': 'a.png'}]
    record = load_coco(write(tmp_path, rows, images)).records[0]
    assert record.boxes.tolist() == [[10, 20, 40, 40], [1, 2, 11, 22]] and record.areas.tolist() == [600, 200]
    images[0] |= {'width': 320, 'height': 240}
    assert load_coco(write(tmp_path, rows, images)).records[0].boxes.tolist() == record.boxes.tolist()
    images[0] |= {'width': 80, 'height': 60}
    data = load_coco(write(tmp_path, rows, images))
    assert data.records[0].boxes.tolist() == [[4, 8, 44, 60]]
    assert data.problems[0].startswith('annotation 1: its mask has another size') and 'dropped' in data.problems[0]


def test_an_image_of_another_shape_is_left_out_and_a_set_of_them_refused(tmp_path):
    images = [{'id': 7, 'file_name': 'a.png', 'width': 60, 'height': 80}, {'id': 8, 'file_name': 'b.png'}]
    rows = [annotation(1), annotation(2, image=8)]
    data = load_coco(write(tmp_path, rows, images))
    assert [record.image_id for record in data.records] == [8] and 'image 7: left out' in data.problems[0]
    with pytest.raises(ValueError, match=r'train\.json: none of its 1 pictures can be read.*60 x 80'):
        load_coco(write(tmp_path, rows[:1], images[:1]))


def test_a_phones_image_that_was_labelled_as_stored_has_its_boxes_turned(tmp_path):
    images = [{'id': 7, 'file_name': 'a.jpg', 'width': 80, 'height': 60}]
    path = write(tmp_path, [annotation(1, (10, 20, 30, 25))], images)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new('RGB', (80, 60)).save(tmp_path / 'images/train/a.jpg', exif=exif)
    record = load_coco(path).records[0]
    assert record.size == (80, 60) and record.boxes.tolist() == [[15, 10, 40, 40]]


def test_shares_and_corners_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r'train\.json: all of its 1 boxes lie between 0 and 1'):
        load_coco(write(tmp_path, [annotation(1, (0.1, 0.2, 0.5, 0.5))]))
    corners = [annotation(i, (40 + i, 30, 60 + i, 50)) for i in range(4)]
    with pytest.raises(ValueError, match=r'train\.json: read as .*they look like \[x1, y1, x2, y2\]'):
        load_coco(write(tmp_path, corners))
