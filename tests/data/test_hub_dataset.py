import logging
import math
import sys

import pytest
import torch
from hub_rows import encoded, row, save

from mbv3zoo.data.hub_dataset import load_hub_dataset
from mbv3zoo.images.embedded import read_embedded


@pytest.mark.parametrize('as_list', [False, True])
def test_rows_become_records(library, tmp_path, as_list):
    rows = [
        row([(10, 10, 20, 30), (1.5, 2, 3, 4.25)], (1, 0), as_list=as_list, area=[33.0, 0.0], iscrowd=[False, True]),
        row([], [], {'bytes': encoded(200, (30, 40), 'JPEG'), 'path': None}, as_list=as_list, area=[], iscrowd=[]),
    ]
    source = save(library, tmp_path / 'set', as_list=as_list, more=['area', 'iscrowd'], train=rows)
    data = load_hub_dataset(source, 'train')
    assert data.class_names == ('cat', 'dog') and data.problems == ()
    full, empty = data.records
    assert full.boxes.tolist() == [[10, 10, 30, 40], [1.5, 2, 4.5, 6.25]] and full.boxes.dtype == torch.float32
    assert full.labels.tolist() == [1, 0] and full.labels.dtype == torch.int64
    assert full.areas.tolist() == [33, 12.75] and full.iscrowd.tolist() == [False, True]
    assert full.size == (60, 80) and empty.size == (40, 30)
    assert [record.image_id for record in data.records] == [1, 2]
    assert empty.boxes.shape == (0, 4) and empty.labels.shape == empty.areas.shape == empty.iscrowd.shape == (0,)
    assert empty.labels.dtype == torch.int64 and empty.iscrowd.dtype == torch.bool
    # The pictures are those of their rows, byte for byte.
    assert [read_embedded(record.path) for record in data.records] == [each['image']['bytes'] for each in rows]
    assert full.path.suffix == '.png' and full.image().size == (80, 60) and data.draw(0).size == (80, 60)
    assert not (tmp_path / 'cache/mbv3zoo').exists()


def test_a_set_that_was_saved_to_disk(library, tmp_path):
    save(library, tmp_path / 'set', train=[row()], test=[row([], [])])
    loaded = library.load_dataset(str(tmp_path / 'set'))
    loaded.save_to_disk(tmp_path / 'saved')
    data = load_hub_dataset(f'hub:{tmp_path / "saved"}', 'train')
    assert data.records[0].boxes.tolist() == [[10, 10, 30, 40]]


@pytest.mark.parametrize(
    ('kind', 'train', 'val', 'names'),
    [('string', ['dog', 'cat'], ['bee', 'dog'], ('bee', 'cat', 'dog')), ('int64', [7, 30], [7, 4], ('4', '7', '30'))],
)
@pytest.mark.parametrize('as_list', [False, True])
def test_categories_without_names_are_numbered_over_all_splits(library, tmp_path, kind, train, val, names, as_list):
    boxes = [(1, 2, 3, 4)] * 2
    splits = {
        'train': [row(boxes, train, as_list=as_list), row([], [], as_list=as_list)],
        'validation': [row(boxes, val, as_list=as_list)],
    }
    source = save(library, tmp_path / 'set', library.Value(kind), as_list, **splits)
    found = load_hub_dataset(source, 'train'), load_hub_dataset(source, 'val')
    assert found[0].class_names == found[1].class_names == names
    for data, categories in zip(found, (train, val), strict=True):
        assert [data.class_names[i] for i in data.records[0].labels.tolist()] == [str(c) for c in categories]


@pytest.mark.parametrize('name', ['val', 'validation', 'valid', 'dev'])
def test_the_validation_split_goes_by_many_names(library, tmp_path, name, monkeypatch):
    source = save(library, tmp_path / 'set', train=[row()], test=[row([], [])])
    splits = library.load_dataset(str(tmp_path / 'set'))
    splits[name] = splits.pop('test')
    monkeypatch.setattr(library, 'load_dataset', lambda *_: splits)
    assert len(load_hub_dataset(source, 'val').records[0].boxes) == 0
    assert len(load_hub_dataset(source, 'train').records[0].boxes) == 1


@pytest.mark.parametrize(
    ('box', 'category', 'expected'),
    [
        ((1, 2, 3), 0, 'bbox [1.0, 2.0, 3.0] is not [x, y, width, height]'),
        ((1, 2, None, 4), 0, 'is not [x, y, width, height]'),
        ((1, 2, 3, 4), None, 'category None is not one of [0, 1]'),
        ((1, 2, 3, 4), -1, 'category -1 is not one of'),
        ((90, 2, 3, 4), 0, 'not inside the picture of 80 x 60'),
        ((1, 2, 0, 4), 0, 'not inside'),
        ((float('nan'), 2, 3, 4), 0, 'not inside'),
    ],
)
def test_a_bad_object_is_dropped_and_named(library, tmp_path, caplog, box, category, expected):
    boxes, categories = [(10, 10, 20, 30), box, (0, 0, 5, 5)], [1, category, 0]
    more = {'area': [11.0, 12.0, 13.0], 'id': [70, 80, 90], 'iscrowd': [True, False, False]}
    rows = [row([], [], area=[], id=[], iscrowd=[]), row(boxes, categories, **more)]
    source = save(library, tmp_path / 'set', more=['area', 'id', 'iscrowd'], train=rows)
    with caplog.at_level(logging.WARNING):
        data = load_hub_dataset(source, 'train')
    record = data.records[1]
    assert record.boxes.tolist() == [[10, 10, 30, 40], [0, 0, 5, 5]] and record.labels.tolist() == [1, 0]
    assert record.areas.tolist() == [11, 13] and record.iscrowd.tolist() == [True, False]
    assert len(data.problems) == 1 and expected in data.problems[0]
    assert data.problems[0].startswith('train row 1, object 1 (id 80): ') and data.problems[0].endswith('dropped')
    assert f'{source}: 1 label problems' in caplog.text


def test_lists_of_different_length_are_dropped_and_named(library, tmp_path):
    source = save(library, tmp_path / 'set', train=[row([(1, 2, 3, 4)], [0, 1]), row()])
    data = load_hub_dataset(source, 'train')
    assert [len(record.boxes) for record in data.records] == [0, 1]
    assert data.problems == ('train row 0: the lists in `objects` differ in length; its objects dropped',)


def test_lists_of_different_length_in_every_row_are_refused(library, tmp_path):
    rows = [row([(1, 2, 3, 4)], ['cat', 'dog']), row([], [])]
    source = save(library, tmp_path / 'set', category=library.Value('string'), train=rows)
    with pytest.raises(ValueError, match='the lists in `objects` differ in length in 1 of 2 rows'):
        load_hub_dataset(source, 'train')


def test_a_row_without_objects_is_background(library, tmp_path):
    source = save(library, tmp_path / 'set', as_list=True, train=[row() | {'objects': None}, row(as_list=True)])
    data = load_hub_dataset(source, 'train')
    assert [len(record.boxes) for record in data.records] == [0, 1] and data.problems == ()


def test_a_missing_or_broken_picture_is_left_out_and_named(library, tmp_path):
    pictures = [{'bytes': b'no picture', 'path': 'a.png'}, {'bytes': encoded(), 'path': 'b.png'}, None]
    rows = [row(), *({'image': picture, 'objects': row()['objects']} for picture in pictures)]
    source = save(library, tmp_path / 'set', train=rows)
    data = load_hub_dataset(source, 'train')
    assert len(data) == 2 and [record.image_id for record in data.records] == [1, 2]
    assert data.records[1].path.name == '00000002.png'
    assert {problem.split(': ')[0] for problem in data.problems} == {'train row 1', 'train row 3'}
    assert all('left out' in problem for problem in data.problems)


def test_a_split_without_pictures_is_refused(library, tmp_path):
    source = save(library, tmp_path / 'set', train=[row(picture={'bytes': b'no picture', 'path': 'a.png'})])
    with pytest.raises(ValueError, match="split 'train' has no readable picture among its 1 rows"):
        load_hub_dataset(source, 'train')


def test_corners_under_the_name_of_bbox_are_refused(library, tmp_path):
    corners = [(40 + i, 30 + i, 60 + i, 45 + i) for i in range(12)]
    source = save(library, tmp_path / 'set', train=[row(corners, [0] * 12)])
    with pytest.raises(ValueError, match=r'12 of 12 boxes leave their picture; they look like \[x1, y1, x2, y2\]'):
        load_hub_dataset(source, 'train')
    # One box that could not be corners tells that they are none.
    source = save(library, tmp_path / 'other', train=[row([*corners, (40, 30, 20, 20)], [0] * 13)])
    assert len(load_hub_dataset(source, 'train').problems) == 12


def test_an_unknown_split_is_refused_and_the_known_are_named(library, tmp_path):
    source = save(library, tmp_path / 'set', train=[row()], test=[row()])
    with pytest.raises(ValueError, match=r"set: has no split 'val'; it has \['train', 'test'\]"):
        load_hub_dataset(source, 'val')


def test_another_layout_is_refused_and_told(library, monkeypatch):
    value = library.Value
    numbers, boxes = library.List(value('int64')), library.List(library.List(value('float32')))
    image = {'image': library.Image()}
    cases = [
        ({'text': value('string')}, r"found {'text': 'Value'}"),
        (image | {'label': value('int64')}, r"found {'image': 'Image', 'label': 'Value'}"),
        ({'picture': value('string'), 'objects': {'bbox': boxes, 'category': numbers}}, 'expected an `image` column'),
        (image | {'objects': {'corners': boxes, 'category': numbers}}, r"found \['corners', 'category'\]"),
        (image | {'objects': {'bbox': boxes, 'kind': numbers}}, r'expected `bbox` and `category` in `objects`'),
        (image | {'objects': numbers}, r'found \[\]'),
        (image | {'objects': {'bbox': boxes, 'category': boxes}}, 'expected one class an object in `category`'),
        (image | {'objects': {'bbox': boxes, 'category': value('int64')}}, 'expected one class an object'),
    ]
    for features, expected in cases:
        empty = library.Dataset.from_dict({name: [] for name in features}, features=library.Features(features))
        monkeypatch.setattr(library, 'load_dataset', lambda *_, found=empty, **__: {'train': found})
        with pytest.raises(ValueError, match=expected) as caught:
            load_hub_dataset('hub:org/name', 'train')
        assert str(caught.value).startswith('hub:org/name: ')


@pytest.mark.parametrize('kind', ['float32', 'bool', 'string'])
def test_categories_that_name_no_class_are_refused(library, tmp_path, kind):
    rows = {'float32': row(categories=[0.5]), 'bool': row([], []), 'string': row(categories=[None])}
    source = save(library, tmp_path / 'set', library.Value(kind), train=[rows[kind]])
    with pytest.raises(ValueError, match='`category` must hold the names or numbers of classes'):
        load_hub_dataset(source, 'train')


@pytest.mark.parametrize('names', [('annotations', 'bboxes', 'labels'), ('objects', 'bbox', 'category_id')])
def test_columns_may_go_by_other_names(library, tmp_path, names):
    column, box, category = names
    objects = {box: library.List(library.List(library.Value('float32'))), category: library.List(library.Value('int8'))}
    features = library.Features({'photo': library.Image(), column: objects})
    rows = {'photo': [{'bytes': encoded(), 'path': None}], column: [{box: [[1, 2, 3, 4]], category: [5]}]}
    (tmp_path / 'set').mkdir()
    library.Dataset.from_dict(rows, features=features).to_parquet(tmp_path / 'set/train.parquet')
    data = load_hub_dataset(f'hub:{tmp_path / "set"}', 'train')
    assert data.class_names == ('5',) and data.records[0].boxes.tolist() == [[1, 2, 4, 6]]


@pytest.mark.parametrize(
    ('source', 'asked'),
    [
        ('hub:org/name', ('org/name', None, None)),
        ('hub:org/name@v1.0', ('org/name', None, 'v1.0')),
        ('hub:org/name@refs/pr/1', ('org/name', None, 'refs/pr/1')),
        ('hub:org/name:full', ('org/name', 'full', None)),
        ('hub:org/name:full@main', ('org/name', 'full', 'main')),
        ('hub:name', ('name', None, None)),
    ],
)
def test_what_the_library_is_asked_for(library, tmp_path, monkeypatch, source, asked):
    save(library, tmp_path / 'set', train=[row()])
    splits = library.load_dataset(str(tmp_path / 'set'))
    calls = []

    def load_dataset(path, name, revision):
        calls.append((path, name, revision))
        return splits

    monkeypatch.setattr(library, 'load_dataset', load_dataset)
    monkeypatch.chdir(tmp_path)
    assert len(load_hub_dataset(source, 'train')) == 1
    assert calls == [asked]


@pytest.mark.parametrize('place', ['', '/no/such/folder', './none', '~/no/such/folder'])
def test_a_missing_folder_is_refused(library, place):
    with pytest.raises(ValueError, match='no such folder'):
        load_hub_dataset(f'hub:{place}', 'train')


def test_without_the_network_a_set_that_is_not_cached_cannot_be_reached(library):
    with pytest.raises(ConnectionError, match='hub:org/name: cannot reach the Hub'):
        load_hub_dataset('hub:org/name', 'train')


@pytest.mark.parametrize('content', [None, b'no parquet', b''])
def test_a_folder_that_is_no_data_set_is_refused(library, tmp_path, content):
    (tmp_path / 'set').mkdir()
    if content is not None:
        (tmp_path / 'set/train.parquet').write_bytes(content)
    with pytest.raises(ValueError, match='set: cannot be loaded as a Hugging Face data set: '):
        load_hub_dataset(f'hub:{tmp_path / "set"}', 'train')


def test_a_missing_library_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, 'datasets', None)
    with pytest.raises(ImportError, match=r'^hub:org/name needs datasets; .*pip install "mbv3zoo\[datasets\]"'):
        load_hub_dataset('hub:org/name', 'train')


def save_sized(library, folder, rows):
    """Rows of (width, height, boxes) with columns for both sides, which may be numbers or texts."""
    value = library.Value
    side = value('string' if isinstance(rows[0][0], str) else 'float64')
    objects = {'bbox': library.List(library.List(value('float64'))), 'category': library.List(value('string'))}
    features = library.Features({'image': library.Image(), 'width': side, 'height': side, 'objects': objects})
    columns = {
        'image': [{'bytes': encoded(), 'path': 'a.png'}] * len(rows),
        'width': [width for width, *_ in rows],
        'height': [height for _, height, _ in rows],
        'objects': [{'bbox': boxes, 'category': ['cat'] * len(boxes)} for *_, boxes in rows],
    }
    folder.mkdir()
    library.Dataset.from_dict(columns, features=features).to_parquet(folder / 'train.parquet')
    return f'hub:{folder}'


def test_boxes_are_in_pixels_of_the_stated_size(library, tmp_path):
    box = [[8, 16, 32, 24]]
    rows = [
        (320, 240, [[32, 64, 128, 96]]),
        (80, 60, box),
        (None, None, box),
        (0, 0, box),
        (60, 80, box),
        (-5, 60, box),
    ]
    data = load_hub_dataset(save_sized(library, tmp_path / 'set', rows), 'train')
    assert [record.boxes.tolist() for record in data.records] == [[[8, 16, 40, 40]]] * 5
    assert len(data.problems) == 3
    assert data.problems[0].startswith('train row 4: left out: its labels are for an image of 60 x 80')
    assert data.problems[1].startswith('train row 5: stated size ignored')
    assert '1 of 5 images have another size' in data.problems[2]
    data = load_hub_dataset(save_sized(library, tmp_path / 'texts', [('320', '240', [[32, 64, 128, 96]])]), 'train')
    assert data.records[0].boxes.tolist() == [[8, 16, 40, 40]]


def test_shares_are_refused(library, tmp_path):
    source = save_sized(library, tmp_path / 'set', [(80, 60, [[0.1, 0.2, 0.5, 0.5]])] * 2)
    with pytest.raises(ValueError, match=r'set: all of its 2 boxes lie between 0 and 1.*pixels are expected'):
        load_hub_dataset(source, 'train')


def test_a_repeated_object_is_dropped_and_named(library, tmp_path):
    source = save(library, tmp_path / 'set', train=[row([(1, 2, 3, 4)] * 3, (0, 1, 0)), row([(1, 2, 3, 4)])])
    data = load_hub_dataset(source, 'train')
    assert [record.labels.tolist() for record in data.records] == [[0, 1], [0]]
    assert data.problems == ('train row 0, object 2: repeats train row 0, object 0; dropped',)


def test_areas_that_no_object_can_have_are_the_boxes(library, tmp_path):
    areas = [-5.0, math.inf, math.nan, 1e12, None, 7.0]
    boxes = [(i, 10, 20, 30) for i in range(6)]
    source = save(library, tmp_path / 'set', more=['area'], train=[row(boxes, [0] * 6, area=areas)])
    assert load_hub_dataset(source, 'train').records[0].areas.tolist() == [600] * 5 + [7]


@pytest.mark.parametrize('kind', ['string', 'float64', 'int64'])
def test_flags_may_be_texts_or_numbers(library, tmp_path, kind):
    value = library.Value
    flags = {'string': ['0', 'true', '', 'odd'], 'float64': [0.0, 1.0, None, 0.5], 'int64': [0, 1, None, 2]}[kind]
    objects = {'bbox': library.List(library.List(value('float32'))), 'category': library.List(value('int64'))}
    features = library.Features({'image': library.Image(), 'objects': objects | {'iscrowd': library.List(value(kind))}})
    rows = [row([(i, 2, 3, 4) for i in range(4)], [5] * 4, iscrowd=flags)]
    (tmp_path / 'set').mkdir()
    columns = {name: [each[name] for each in rows] for name in features}
    library.Dataset.from_dict(columns, features=features).to_parquet(tmp_path / 'set/train.parquet')
    data = load_hub_dataset(f'hub:{tmp_path / "set"}', 'train')
    assert data.records[0].iscrowd.tolist() == [False, True, False, False]
    assert len(data.problems) == 1 and 'object 3: iscrowd ' in data.problems[0]


@pytest.mark.parametrize('names', [['cat', ''], ['a\nb', 'dog'], [' ', 'dog']])
def test_categories_that_are_no_names_are_refused(library, tmp_path, names):
    boxes = [(1, 2, 3, 4)] * 2
    source = save(library, tmp_path / 'set', library.Value('string'), train=[row(boxes, names)])
    with pytest.raises(ValueError, match='set: class name .* is not one line of text'):
        load_hub_dataset(source, 'train')


def test_truth_values_are_no_categories(library, tmp_path):
    source = save(library, tmp_path / 'set', library.Value('bool'), train=[row(categories=[True])])
    with pytest.raises(ValueError, match='`category` must hold the names or numbers of classes'):
        load_hub_dataset(source, 'train')
