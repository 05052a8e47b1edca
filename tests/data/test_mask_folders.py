"""Layouts of folders with masks, of every reader, and what is missing in them."""

import json

import numpy as np
import pytest
from PIL import Image

import mbv3zoo
from mbv3zoo.data.load import undivided


def picture(path, size=(6, 4)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new('RGB', size).save(path)


def mask(path, value=1, size=(6, 4), mode='L'):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value).save(path)


def load(source, split='val', **more):
    return mbv3zoo.load_dataset(source, split, task='segmentation', **more)


@pytest.mark.parametrize(
    ('pictures', 'masks'),
    [
        ('images/val/a.jpg', 'masks/val/a.png'),
        ('val/images/a.jpg', 'val/masks/a_mask.png'),
        ('images/validation/b/a.jpg', 'annotations/validation/b/a.png'),
        ('images/a.jpg', 'labels/a.png'),
        ('JPEGImages/a.jpg', 'SegmentationClass/a.png'),
        ('images/validation/a.jpg', 'annotations/validation/a.png'),
    ],
)
def test_layouts(tmp_path, pictures, masks):
    picture(tmp_path / pictures)
    mask(tmp_path / masks, 2)
    (tmp_path / 'classes.txt').write_text('nothing\ncat\ndog\n')
    data = load(tmp_path)
    assert len(data) == 1 and data.class_names == ('nothing', 'cat', 'dog') and data.records[0].classes == {2}
    assert (undivided(tmp_path, 'segmentation') is None) == ('val' in pictures)


def test_voc_lists_its_splits_and_has_its_classes(tmp_path):
    for name in 'abc':
        picture(tmp_path / f'JPEGImages/{name}.jpg')
        mask(tmp_path / f'SegmentationClass/{name}.png', 20, mode='P')
    (tmp_path / 'ImageSets/Segmentation').mkdir(parents=True)
    (tmp_path / 'ImageSets/Segmentation/train.txt').write_text('a\nc\n')
    (tmp_path / 'ImageSets/Segmentation/val.txt').write_text('b\nlost\n')
    assert [record.path.stem for record in load(tmp_path, 'train').records] == ['a', 'c']
    data = load(tmp_path, 'val')
    assert data.class_names[0] == 'background' and len(data.class_names) == 21 and 'no such picture' in data.problems[0]


def test_what_has_no_partner_is_named(tmp_path, caplog):
    for name in 'ab':
        picture(tmp_path / f'images/{name}.jpg')
    mask(tmp_path / 'masks/a.png')
    mask(tmp_path / 'masks/c.png')
    data = load(tmp_path)
    assert len(data) == 1 and data.class_names == ('0', '1')
    assert (
        'b.jpg: left out: has no mask; expected' in caplog.text
        and 'c.png: not used: there is no picture c' in caplog.text
    )


@pytest.mark.parametrize(
    ('make', 'message'),
    [
        (
            lambda root: picture(root / 'images/a.jpg'),
            'no data set with masks is recognised .* looked for images/',
        ),
        (
            lambda root: mask(root / 'masks/a.png', (1, 2, 3), mode='RGB'),
            r'a.png: left out: has colours \(RGB\) and no',
        ),
        (lambda root: mask(root / 'masks/a.png', 7), r'the mask has the value 7, and the classes are 0 to 1'),
        (lambda root: mask(root / 'masks/a.png', size=(4, 6)), r'the mask is for a picture of 6 x 4 pixels'),
        (lambda root: mask(root / 'masks/a.png', 255), r'no values but 0 and 255, .* write 1 in place of 255'),
        (lambda root: mask(root / 'masks/a.jpg'), r'a JPEG changes the values'),
        (lambda root: mask(root / 'masks/b.png'), r'a.jpg: left out: has no mask'),
    ],
)
def test_a_set_without_a_single_good_pair_is_refused_with_the_reason(tmp_path, make, message):
    picture(tmp_path / 'images/a.jpg')
    (tmp_path / 'classes.txt').write_text('nothing\ncat\n')
    make(tmp_path)
    with pytest.raises(ValueError, match=message):
        load(tmp_path)


def test_coco_polygons_and_run_lengths_become_masks(tmp_path):
    picture(tmp_path / 'images/a.jpg')
    rows = [
        {'id': 1, 'image_id': 1, 'category_id': 9, 'segmentation': [[0, 0, 3, 0, 3, 4, 0, 4]]},
        {'id': 2, 'image_id': 1, 'category_id': 4, 'segmentation': {'size': [4, 6], 'counts': [20, 4]}},
        {'id': 3, 'image_id': 1, 'category_id': 4, 'iscrowd': 1, 'segmentation': [[0, 0, 1, 0, 1, 4, 0, 4]]},
        {'id': 4, 'image_id': 1, 'category_id': 5, 'segmentation': [[0, 0, 1, 0, 1, 4, 0, 4]]},
        {'id': 5, 'image_id': 1, 'category_id': 4, 'segmentation': [[1, 2]]},
    ]
    data = {
        'images': [{'id': 1, 'file_name': 'a.jpg', 'width': 6, 'height': 4}, {'id': 2, 'file_name': 'b.jpg'}],
        'annotations': rows,
        'categories': [{'id': 9, 'name': 'dog'}, {'id': 4, 'name': 'cat'}],
    }
    (tmp_path / 'val.json').write_text(json.dumps(data))
    for source in (tmp_path, tmp_path / 'val.json'):
        found = load(source)
        assert found.class_names == ('background', 'cat', 'dog') and len(found.problems) == 3
        assert np.array_equal(found.records[0].read(), np.array([[255, 2, 2, 0, 0, 1]] * 4))


def test_coco_of_boxes_alone_is_refused_and_its_background_is_class_0(tmp_path):
    picture(tmp_path / 'images/a.jpg')
    row = {'id': 1, 'image_id': 1, 'category_id': 1, 'bbox': [0, 0, 3, 4]}
    data = {
        'images': [{'id': 1, 'file_name': 'a.jpg', 'width': 6, 'height': 4}],
        'annotations': [row],
        'categories': [{'id': 1, 'name': 'Background'}, {'id': 2, 'name': 'cat'}],
    }
    file = tmp_path / 'val.json'
    file.write_text(json.dumps(data))
    with pytest.raises(ValueError, match='none of its 1 annotations has polygons or run lengths; expected masks'):
        load(file)
    row['segmentation'] = [[0, 0, 3, 0, 3, 4, 0, 4]]
    file.write_text(json.dumps(data))
    assert load(file).class_names == ('background', 'cat') and load(file).records[0].classes == {0}


def test_a_part_of_the_folder_names_the_whole_and_ade20k_calls_train_training(tmp_path):
    picture(tmp_path / 'images/training/a.jpg')
    mask(tmp_path / 'annotations/training/a.png', 3)
    assert len(load(tmp_path, 'train')) == len(load(tmp_path / 'images', 'train')) == 1
    with pytest.raises(ValueError, match=r"task is 'masks'; expected one of \['detection', 'segmentation'\]"):
        mbv3zoo.load_dataset(tmp_path, 'train', task='masks')


def test_masks_of_a_hub_data_set(tmp_path, monkeypatch):
    datasets = pytest.importorskip('datasets')
    monkeypatch.setattr(datasets.config, 'HF_DATASETS_CACHE', tmp_path / 'cache')
    rows = {'image': [], 'label': [], 'other': []}
    for value in (1, 3):
        picture(tmp_path / f'{value}.jpg')
        mask(tmp_path / f'{value}.png', value)
        rows['image'].append(str(tmp_path / f'{value}.jpg'))
        rows['label'].append({'bytes': (tmp_path / f'{value}.png').read_bytes(), 'path': None})
        rows['other'].append(value)
    features = datasets.Features(
        {'image': datasets.Image(), 'label': datasets.Image(), 'other': datasets.Value('int32')}
    )
    data = datasets.Dataset.from_dict(rows, features=features)
    datasets.DatasetDict({'train': data, 'validation': data.remove_columns('label')}).save_to_disk(tmp_path / 'set')
    found = load(f'hub:{tmp_path / "set"}', 'train')
    assert found.class_names == ('0', '1', '2', '3') and [record.classes for record in found.records] == [{1}, {3}]
    with pytest.raises(ValueError, match=r"one of masks, called mask or .*; its columns of pictures are \['image'\]"):
        load(f'hub:{tmp_path / "set"}', 'val')


def test_a_set_of_masks_is_divided(tmp_path):
    for number in range(10):
        picture(tmp_path / f'images/{number}.jpg')
        mask(tmp_path / f'masks/{number}.png', number % 2)
    train_set, val_set = mbv3zoo.split_dataset(load(tmp_path), 0.2)
    assert (len(train_set), len(val_set)) == (8, 2) and {*val_set.records[0].classes, *val_set.records[1].classes} == {
        0,
        1,
    }
