import json

import pytest
from tiny_sets import CLASS_NAMES, write_yolo_set

from mbv3zoo.data.load import load_split


def test_a_data_yaml_its_folder_and_a_path_as_text_are_one_set(tmp_path):
    path = write_yolo_set(tmp_path, {'train': 3, 'val': 2})
    for source in (path, str(path), tmp_path, str(tmp_path)):
        data = load_split(source, 'val')
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
    data = load_split(tmp_path / 'annotations/train.json', 'whatever')
    assert data.class_names == ('thing',) and data.records[0].image_id == 4
    data = load_split(str(tmp_path / 'annotations/train.json'), 'train', tmp_path / 'images/train')
    assert len(data) == 1


def test_what_is_not_there_is_named(tmp_path):
    with pytest.raises(ValueError, match=r'nothing\.yaml: no such data set file'):
        load_split(tmp_path / 'nothing.yaml', 'train')
    with pytest.raises(ValueError, match=r'data\.yaml: no such data set file'):
        load_split(tmp_path, 'train')
    with pytest.raises(ValueError, match=r'nothing\.json: no such annotation file'):
        load_split(tmp_path / 'nothing.json', 'train')
