import json

import pytest
from PIL import Image
from tiny_sets import CLASS_NAMES, write_yolo_set

from mbv3zoo.data.load import load_dataset, load_split


def test_a_data_yaml_its_folder_and_a_path_as_text_are_one_set(tmp_path):
    path = write_yolo_set(tmp_path, {'train': 3, 'val': 2})
    for source in (path, str(path), tmp_path, str(tmp_path)):
        data = load_dataset(source, 'val')
        assert len(data) == 2 and data.class_names == CLASS_NAMES


def test_a_json_is_one_split_whatever_is_asked_for(tmp_path):
    write_yolo_set(tmp_path, {'train': 1})
    content = {
        'images': [{'id': 4, 'file_name': '000.png'}],
        'annotations': [],
        'categories': [{'id': 1, 'name': 'thing'}],
    }
    (tmp_path / 'annotations').mkdir()
    (tmp_path / 'annotations/train.json').write_text(json.dumps(content))
    data = load_dataset(tmp_path / 'annotations/train.json', 'whatever')
    assert data.class_names == ('thing',) and data.records[0].image_id == 4
    data = load_dataset(str(tmp_path / 'annotations/train.json'), 'train', tmp_path / 'images/train')
    assert len(data) == 1


def coco(file_name):
    image = {'id': 4, 'file_name': file_name}
    box = {'id': 1, 'image_id': 4, 'category_id': 0, 'bbox': [1, 2, 3, 4]}
    return json.dumps({'images': [image], 'annotations': [box], 'categories': [{'id': 0, 'name': 'thing'}]})


def test_a_folder_with_a_coco_file_in_each_split(tmp_path):
    for split in ('train', 'valid'):
        (tmp_path / split).mkdir()
        Image.new('RGB', (8, 6)).save(tmp_path / split / 'a.png')
        (tmp_path / split / '_annotations.coco.json').write_text(coco('a.png'))
    for asked, split in (('train', 'train'), ('val', 'valid'), ('valid', 'valid')):
        data = load_dataset(tmp_path, asked)
        assert data.records[0].path == tmp_path / split / 'a.png' and data.class_names == ('thing',)
    with pytest.raises(ValueError, match=r"no split 'test'; .* are \['train', 'valid'\]"):
        load_dataset(tmp_path, 'test')
    with pytest.raises(ValueError, match='none of its 1 pictures can be read in .*elsewhere'):
        load_dataset(tmp_path, 'train', tmp_path / 'elsewhere')


def put_coco(root, file, *images, size=(8, 6)):
    (root / file).parent.mkdir(parents=True, exist_ok=True)
    (root / file).write_text(coco('000000.png'))
    for image in images:
        (root / image).parent.mkdir(parents=True, exist_ok=True)
        Image.new('RGB', size).save(root / image)


@pytest.mark.parametrize(
    ('file', 'images'),
    [
        ('annotations/instances_{}2017.json', '{}2017'),
        ('annotations/instances_{}2017.json', 'images/{}2017'),
        ('annotations/{}.json', '{}'),
        ('annotations/{}.json', 'images/{}'),
        ('annotations/person_keypoints_{}2017.json', '{}2017'),
        ('{}.json', '{}'),
        ('{0}2017/instances_{0}2017.json', '{0}2017'),
    ],
)
def test_cocos_own_layout(tmp_path, file, images):
    """Images of both splits have one name, as those of videos and other exports do."""
    for split in ('train', 'val'):
        put_coco(tmp_path, file.format(split), f'{images.format(split)}/000000.png')
    (tmp_path / 'annotations').mkdir(exist_ok=True)
    (tmp_path / 'annotations/captions_train2017.json').write_text('{}')
    for split in ('train', 'val'):
        image = tmp_path / f'{images.format(split)}/000000.png'
        assert load_dataset(tmp_path, split).records[0].path == image
        assert load_dataset(tmp_path / file.format(split), 'whatever').records[0].path == image
    assert load_dataset(tmp_path, 'valid').records[0].path.parent.name.startswith('val')


def test_a_coco_file_may_be_called_json_in_capitals(tmp_path):
    put_coco(tmp_path, 'TRAIN.JSON', 'images/000000.png')
    assert len(load_dataset(tmp_path / 'TRAIN.JSON', 'train')) == 1


XML = (
    '<annotation><object><name>thing</name><bndbox><xmin>2</xmin><ymin>3</ymin><xmax>4</xmax><ymax>5</ymax></bndbox>'
    '</object></annotation>'
)


def test_a_pascal_voc_folder(tmp_path):
    for folder in ('year/Annotations', 'year/JPEGImages', 'year/ImageSets/Main', 'splits/train'):
        (tmp_path / folder).mkdir(parents=True)
    for xml, image in (('year/Annotations', 'year/JPEGImages'), ('splits/train', 'splits/train')):
        (tmp_path / xml / 'a.xml').write_text(XML)
        Image.new('RGB', (8, 6)).save(tmp_path / image / 'a.png')
    (tmp_path / 'year/ImageSets/Main/train.txt').write_text('a')
    for source in (tmp_path / 'year', str(tmp_path / 'splits')):
        data = load_dataset(source, 'train')
        assert data.records[0].boxes.tolist() == [[1, 2, 4, 5]] and data.class_names == ('thing',)


def test_a_data_yaml_goes_before_what_else_is_in_its_folder(tmp_path):
    write_yolo_set(tmp_path, {'train': 3})
    (tmp_path / 'Annotations').mkdir()
    (tmp_path / 'train').mkdir()
    (tmp_path / 'train/a.xml').write_text(XML)
    (tmp_path / 'train/_annotations.coco.json').write_text(coco('a.png'))
    assert len(load_dataset(tmp_path, 'train')) == 3


def test_a_hugging_face_set(tmp_path, monkeypatch):
    datasets = pytest.importorskip('datasets')
    monkeypatch.setattr(datasets.config, 'HF_DATASETS_CACHE', tmp_path / 'cache')
    (tmp_path / 'set/train').mkdir(parents=True)
    Image.new('RGB', (8, 6)).save(tmp_path / 'set/train/a.png')
    row = {'file_name': 'a.png', 'objects': {'bbox': [[1, 2, 3, 4]], 'category': ['thing']}}
    (tmp_path / 'set/train/metadata.jsonl').write_text(json.dumps(row))
    data = load_dataset(f'hub:{tmp_path / "set"}', 'train')
    assert data.records[0].boxes.tolist() == [[1, 2, 4, 6]] and data.class_names == ('thing',)


@pytest.mark.parametrize('suffix', ['', '.json', '.yaml'])
@pytest.mark.parametrize('name', ['x' * 300, 'a\0b', '/' + 'x/' * 3000])
def test_names_that_no_file_can_have_are_refused(name, suffix):
    with pytest.raises(ValueError, match='no such data set file or folder'):
        load_dataset(name + suffix, 'train')
    with pytest.raises(ValueError, match='no such folder|cannot be loaded'):
        load_dataset(f'hub:/{name}{suffix}', 'train')


def test_what_is_not_there_is_named(tmp_path):
    (tmp_path / 'train').mkdir()
    with pytest.raises(ValueError, match=r'nothing\.yaml: no such data set file'):
        load_dataset(tmp_path / 'nothing.yaml', 'train')
    with pytest.raises(ValueError, match=r'nothing\.json: no such data set file'):
        load_dataset(tmp_path / 'nothing.json', 'train')
    with pytest.raises(ValueError, match='expected a YOLO data.yaml .*COCO .json.*Pascal VOC.*hub:org/name'):
        load_dataset(tmp_path / 'nothing.yaml', 'train')


def put_two(root, layout, names=('large.png', 'small.png')):
    """A dataset of two images, 80 x 60 and 8 x 6, in a layout; returns its source."""
    sizes = dict(zip(names, [(80, 60), (8, 6)], strict=True))
    folder = root / {'yolo': 'images/train', 'voc': 'train', 'coco': 'train', 'hub': 'train'}[layout]
    folder.mkdir(parents=True)
    for name, size in sizes.items():
        Image.new('RGB', size).save(folder / name)
        stem = name.removesuffix('.png')
        if layout == 'voc':
            (folder / f'{stem}.xml').write_text(XML)
        if layout == 'yolo':
            (root / 'labels/train').mkdir(parents=True, exist_ok=True)
            (root / f'labels/train/{stem}.txt').write_text('0 .5 .5 .5 .5')
    if layout == 'yolo':
        (root / 'data.yaml').write_text('names: [thing]\ntrain: images/train\n')
    if layout == 'coco':
        images = [{'id': number, 'file_name': name} for number, name in enumerate(names, 1)]
        boxes = [{'id': number, 'image_id': number, 'category_id': 1, 'bbox': [1, 2, 3, 4]} for number in (1, 2)]
        rows = {'images': images, 'annotations': boxes, 'categories': [{'id': 1, 'name': 'thing'}]}
        (folder / '_annotations.coco.json').write_text(json.dumps(rows))
    if layout == 'hub':
        rows = [{'file_name': name, 'objects': {'bbox': [[1, 2, 3, 4]], 'category': ['thing']}} for name in names]
        (folder / 'metadata.jsonl').write_text('\n'.join(map(json.dumps, rows)))
    return f'hub:{root}' if layout == 'hub' else root


@pytest.fixture(params=['yolo', 'coco', 'voc', 'hub'])
def two(request, tmp_path, monkeypatch):
    if request.param == 'hub':
        datasets = pytest.importorskip('datasets')
        monkeypatch.setattr(datasets.config, 'HF_DATASETS_CACHE', tmp_path / 'cache')
    return put_two(tmp_path / 'set', request.param)


def test_images_of_more_pixels_than_asked_for_are_left_out(two):
    assert len(load_dataset(two, 'train')) == len(load_dataset(two, 'train', max_pixels=4800)) == 2
    data = load_dataset(two, 'train', max_pixels=4799)
    (record,) = data.records
    assert record.path.name == 'small.png' and record.size == (6, 8) and len(record.boxes) == 1
    (problem,) = data.problems
    assert 'left out' in problem and 'large.png' in problem
    assert 'it has 80 x 60 = 4800 pixels, more than 4799; make it smaller, or allow more' in problem
    with pytest.raises(ValueError, match='more than 7; .*max_pixels'):
        load_dataset(two, 'train', max_pixels=7)


@pytest.mark.parametrize('limit', [0, -5, 2.5, 'many'])
def test_a_limit_of_pixels_that_is_none_is_refused_before_anything_is_read(limit):
    with pytest.raises(ValueError, match=f'max_pixels is {limit!r}; expected'):
        load_dataset('nowhere', 'train', max_pixels=limit)


@pytest.mark.parametrize('split', ['', 0, False, []])
def test_a_split_that_is_no_name_is_not_the_usual_one(split):
    with pytest.raises(ValueError, match="^split is .*; expected its name, such as 'val'"):
        load_split('data.yaml', split)


@pytest.mark.parametrize('source', ['', None, 0])
def test_data_that_is_no_path(source):
    with pytest.raises(ValueError, match='^data is .*; expected a path'):
        load_split(source, None)
