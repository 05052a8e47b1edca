import json

import pytest

from mbv3zoo.data.coco_json import annotation_name, read_coco
from mbv3zoo.data.problems import LabelProblems

IMAGE = {'id': 1, 'file_name': 'a.png'}
CATEGORY = {'id': 1, 'name': 'cat'}
ODD = [None, True, [], [1], {}, 1.5, float('nan'), float('inf')]


def write(folder, text=None, images=(IMAGE,), annotations=(), categories=(CATEGORY,)):
    data = {'images': images, 'annotations': annotations, 'categories': categories}
    (folder / 'x.json').write_bytes(json.dumps(data).encode() if text is None else text)
    return folder / 'x.json'


def read(path):
    problems = LabelProblems(path)
    data = read_coco(path, problems)
    data.places = [annotation_name(place) for place, _ in data.annotations(problems)]
    return data, problems.lines


def refused(path, text):
    with pytest.raises(ValueError) as caught:
        read(path)
    assert text in str(caught.value) and 'x.json' in str(caught.value) and len(str(caught.value)) < 400


def test_a_byte_order_mark_does_not_matter(tmp_path):
    path = write(tmp_path)
    path.write_bytes(b'\xef\xbb\xbf' + path.read_bytes())
    assert read(path)[0].class_names == ('cat',)


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        (b'[' * 100_000, 'nested too deeply'),
        (b'{"a":' * 100_000, 'nested too deeply'),
        (b'\xff\xfe{\0}\0', 'UTF-16'),
        (b'{"a": "\xe4"}', 'save it as UTF-8'),
        (b'{"images": [], ', 'not a JSON file'),
        (b'{"a": ' + b'9' * 5000 + b'}', 'not a JSON file'),
        (b'null', 'it lacks'),
    ],
)
def test_a_file_that_is_no_json_is_refused(tmp_path, text, expected):
    refused(write(tmp_path, text), expected)


def test_deep_values_where_they_do_not_matter_are_no_trouble(tmp_path):
    deep = b'[' * 500 + b']' * 500
    text = b'{"images": [{"id": 1, "file_name": "a", "x": %s}], "annotations": [%s], "categories": '
    data, problems = read(write(tmp_path, text % (deep, deep) + b'[{"id": 1, "name": "b"}]}'))
    assert list(data.images) == [1] and problems == ['annotations[0]: [[[...]]] is not an annotation; dropped']


def test_of_a_key_that_is_there_twice_the_last_counts(tmp_path):
    images, categories = b'[{"id": 1, "id": 2, "file_name": "a"}]', b'[{"id": 1, "name": "b"}]'
    text = b'{"images": 5, "images": %s, "annotations": [], "categories": %s}'
    assert list(read(write(tmp_path, text % (images, categories)))[0].images) == [2]


@pytest.mark.parametrize('key', ['images', 'categories'])
@pytest.mark.parametrize('row', [None, 5, 'text', [], {}, {'id': 2}])
def test_an_image_or_category_that_is_none_is_named(tmp_path, key, row):
    good = {'images': IMAGE, 'categories': CATEGORY}[key]
    refused(write(tmp_path, **{key: [good, row]}), f'{key}[1] must be a mapping with id and')
    refused(write(tmp_path, **{key: row}), f'`{key}` must be a list' if row != [] else 'has ')


@pytest.mark.parametrize('value', ODD)
def test_ids_that_are_none_are_named(tmp_path, value):
    refused(write(tmp_path, images=[IMAGE, IMAGE | {'id': value}]), 'ids of `images` must be unique whole numbers')
    refused(write(tmp_path, categories=[CATEGORY | {'id': value}]), 'ids of `categories` must be unique whole numbers')


@pytest.mark.parametrize('ids', [[2**60, 2**60 + 1], [-5, 0], [10**400, 3], [1.0, 2], ['000002', '000010'], ['b', 'a']])
def test_ids_may_be_any_whole_numbers_or_all_texts(tmp_path, ids):
    images = [IMAGE | {'id': own} for own in ids]
    categories = [{'id': own, 'name': str(own)} for own in ids]
    data, _ = read(write(tmp_path, images=images, categories=categories))
    assert list(data.images) == ids and data.category_ids == tuple(sorted(ids))
    assert data.class_names == tuple(str(own) for own in sorted(ids))


def test_texts_of_digits_are_in_order_of_their_numbers(tmp_path):
    categories = [{'id': own, 'name': f'c{own}'} for own in ('10', '9', '-1'[1:])]
    assert read(write(tmp_path, categories=categories))[0].class_names == ('c1', 'c9', 'c10')


def test_ids_of_two_kinds_or_twice_are_refused(tmp_path):
    for ids in ((1, '1'), ('1', 1), (1, 1), ('a', 'a'), (1, 1.0)):
        refused(write(tmp_path, images=[IMAGE | {'id': own} for own in ids]), 'ids of `images` must be unique')


@pytest.mark.parametrize('value', [*ODD, '', ' ', 5, 10**400])
def test_a_file_name_that_is_none_is_named(tmp_path, value):
    path = write(tmp_path, images=[IMAGE, {'id': 2, 'file_name': value}])
    refused(path, 'the file_name of images[1] must be a text, given')


@pytest.mark.parametrize('value', ODD)
def test_a_class_name_that_is_none_is_named(tmp_path, value):
    refused(write(tmp_path, categories=[{'id': 7, 'name': value}]), 'the name of category 7 must be a text, given')


@pytest.mark.parametrize('names', [['a\nb'], [''], [' '], ['cat', 'cat'], [5, '5']])
def test_class_names_are_one_line_and_there_once(tmp_path, names):
    categories = [{'id': i, 'name': name} for i, name in enumerate(names)]
    refused(write(tmp_path, categories=categories), 'class')


def test_a_class_name_may_be_a_number(tmp_path):
    assert read(write(tmp_path, categories=[{'id': 7, 'name': 42}]))[0].class_names == ('42',)


@pytest.mark.parametrize('row', [None, 5, 'text', [1], True])
def test_an_annotation_that_is_none_is_dropped_and_named(tmp_path, row):
    data, problems = read(write(tmp_path, annotations=[row, {'id': 3}, {}]))
    assert data.places == [
        'annotation 3',
        'annotations[2]',
    ]
    assert len(problems) == 1 and problems[0].startswith('annotations[0]: ') and problems[0].endswith('; dropped')


@pytest.mark.parametrize('annotations', [None, {}, 5])
def test_annotations_that_are_no_list_are_refused(tmp_path, annotations):
    refused(write(tmp_path, annotations=annotations), '`annotations` must be a list')


PROJECT = {'id': 0, 'name': 'animals', 'supercategory': 'none'}


def animals(*names, above='animals'):
    return [{'id': i, 'name': name, 'supercategory': above} for i, name in enumerate(names, start=1)]


def test_roboflows_placeholder_is_left_out_and_named(tmp_path):
    data, problems = read(
        write(tmp_path, categories=[PROJECT, *animals('cat', 'dog')], annotations=[{'category_id': 1}])
    )
    assert data.class_names == ('cat', 'dog') and data.category_ids == (1, 2)
    assert len(problems) == 1 and problems[0].startswith("category 0: left out: 'animals' has no objects; Roboflow")
    # Also where the only class has its name.
    data, _ = read(write(tmp_path, categories=[PROJECT, *animals('animals')]))
    assert data.class_names == ('animals',) and data.category_ids == (1,)


@pytest.mark.parametrize(
    'categories',
    [
        [PROJECT],
        [PROJECT, *animals('cat', above='none')],
        [PROJECT | {'supercategory': 'animals'}, *animals('cat')],
        [PROJECT | {'id': 5}, *animals('cat')],
        [{'id': 0, 'name': 'animals'}, *animals('cat')],
    ],
)
def test_other_categories_are_no_placeholders(tmp_path, categories):
    data, problems = read(write(tmp_path, categories=categories))
    assert len(data.class_names) == len(categories) and problems == []


def test_a_category_with_objects_is_no_placeholder(tmp_path):
    path = write(tmp_path, categories=[PROJECT, *animals('cat')], annotations=[{'category_id': 0}])
    assert read(path)[0].class_names == ('animals', 'cat')


@pytest.mark.parametrize('number', ['9' * 5000, '1e999', '-1e999', '9' * 30])
def test_a_number_beyond_all_costs_its_annotation_at_most(tmp_path, number):
    text = json.dumps(
        {'images': [IMAGE], 'annotations': [{'id': 1}, {'id': 2, 'area': 0.125}], 'categories': [CATEGORY]}
    )
    data, problems = read(write(tmp_path, text.replace('0.125', number).encode()))
    assert data.places == (['annotation 1'] if number == '9' * 5000 else ['annotation 1', 'annotation 2'])
    assert len(problems) == (number == '9' * 5000) and all('is not an annotation; dropped' in line for line in problems)


def test_the_fast_and_the_slow_way_read_the_same(tmp_path):
    rows = [{'id': 5, 'bbox': [1, 2.5, 3, 4], 'segmentation': [[1, 2, 3, 4, 5, 6]]}, {'image_id': '1', 'iscrowd': None}]
    path = write(tmp_path, annotations=[*rows, {'id': 'a', 'category_id': True, 'segmentation': []}])
    fast = list(read_coco(path, LabelProblems(path)).annotations(LabelProblems(path)))
    # NaN is no JSON, and only the slow way takes it.
    path.write_text(path.read_text().replace('"a.png"', '"a.png", "x": NaN'))
    slow = list(read_coco(path, LabelProblems(path)).annotations(LabelProblems(path)))
    assert [place for place, _ in fast] == [place for place, _ in slow] == [5, (1,), 'a']
    for (_, one), (_, other) in zip(fast, slow, strict=True):
        names = ('image_id', 'category_id', 'bbox', 'area', 'iscrowd')
        assert [getattr(one, name) for name in names] == [getattr(other, name) for name in names]
        assert one.outlines() == other.outlines()
