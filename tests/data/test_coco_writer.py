import json

import pytest
import torch
from faulty_set import write_faulty_set
from labelled import as_set, record
from PIL import Image

import mbv3zoo
from mbv3zoo.data.coco_writer import to_coco


def read_back(data, path):
    path.write_text(json.dumps(to_coco(data)))
    return mbv3zoo.load_dataset(path, 'val')


def test_what_is_written_is_read_again(tmp_path):
    data = mbv3zoo.load_dataset(write_faulty_set(tmp_path / 'data'), 'train')
    again = read_back(data, tmp_path / 'elsewhere.json')
    assert again.class_names == data.class_names and again.problems == ()
    for own, other in zip(data.records, again.records, strict=True):
        assert (own.path, own.size, own.image_id) == (other.path, other.size, other.image_id)
        assert torch.equal(own.labels, other.labels) and torch.allclose(own.boxes, other.boxes, atol=1e-4)


@pytest.mark.parametrize('image_id', [7, 'text'])
def test_crowds_areas_and_ids_are_kept(image_id, tmp_path):
    path = tmp_path / 'a.png'
    Image.new('RGB', (300, 200)).save(path)
    row = record(image_id, [[1, 2, 31, 42], [5, 5, 9.5, 9]], [2, 0], [True, False], [700.0, 18.0], path=path)
    (again,) = read_back(as_set(row), tmp_path / 'a.json').records
    assert again.image_id == image_id and again.iscrowd.tolist() == [True, False]
    assert again.boxes.tolist() == row.boxes.tolist() and again.areas.tolist() == [700.0, 18.0]


def test_images_without_objects():
    written = to_coco(as_set(record(1)))
    assert len(written['images']) == 1 and written['annotations'] == [] and len(written['categories']) == 3
    assert to_coco(as_set())['images'] == []
