import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from three_detections import BOXES, NAMES, three

from mbv3zoo.detections import Detections


def test_coco():
    results = three().to_coco(7)
    assert results[0] == {'image_id': 7, 'category_id': 1, 'bbox': [10.0, 20.0, 50.5, 60.0], 'score': 0.5}
    assert [result['category_id'] for result in results] == [1, 3, 2]
    assert [result['category_id'] for result in three().to_coco(7, [18, 17, 90])] == [18, 90, 17]
    assert [result['category_id'] for result in three().to_coco(7, {0: 5, 1: 6, 2: 9})] == [5, 9, 6]
    assert json.loads(json.dumps(results)) == results
    with pytest.raises(ValueError, match="label 2 .'bird'"):
        three().to_coco(7, [18, 17])


def test_dict_and_json():
    dets = three(path='a.jpg')
    plain = dets.to_dict()
    assert plain['path'] == 'a.jpg' and plain['image_size'] == {'height': 100, 'width': 120}
    assert plain['detections'][1] == {'box': BOXES[1], 'score': 0.75, 'label': 2, 'name': 'bird'}
    assert json.loads(dets.to_json()) == plain == json.loads(dets.to_json(indent=2))


class FakeSupervisionDetections(SimpleNamespace):
    pass


def test_supervision_arguments(monkeypatch):
    fake = SimpleNamespace(Detections=FakeSupervisionDetections)
    monkeypatch.setitem(sys.modules, 'supervision', fake)
    dets = three()
    converted = dets.to_supervision()
    assert converted.xyxy.dtype == np.float32 and converted.xyxy.tolist() == BOXES
    assert converted.confidence.tolist() == [0.5, 0.75, 0.25] and converted.class_id.tolist() == [0, 2, 1]
    assert converted.data['class_name'].tolist() == ['cat', 'bird', 'dog']
    converted.xyxy[:] = 0
    assert dets.boxes.tolist() == BOXES
    assert Detections.empty().to_supervision().xyxy.shape == (0, 4)


def test_supervision_itself():
    supervision = pytest.importorskip('supervision')
    converted = three().to_supervision()
    assert isinstance(converted, supervision.Detections) and len(converted) == 3
    assert len(Detections.empty(NAMES).to_supervision()) == 0


def test_supervision_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, 'supervision', None)
    with pytest.raises(ImportError, match=r'pip install "mbv3zoo\[supervision\]"'):
        three().to_supervision()


def test_numbers_of_tracks_are_exchanged():
    found = Detections(BOXES, [0.9, 0.8, 0.7], [0, 1, 0], NAMES, (480, 640), track_ids=[7, 3, 5])
    assert [row['track_id'] for row in json.loads(found.to_json())['detections']] == [7, 3, 5]
    assert 'track_id' not in three().to_dict()['detections'][0]
    pytest.importorskip('supervision')
    assert found.to_supervision().tracker_id.tolist() == [7, 3, 5] and three().to_supervision().tracker_id is None


COLUMNS = ['name', 'label', 'score', 'xmin', 'ymin', 'xmax', 'ymax', 'path']


def test_pandas():
    pandas = pytest.importorskip('pandas')
    dets = three(path='a.jpg')
    for found in (dets, dets.numpy()):
        frame = found.to_pandas()
        assert list(frame.columns) == COLUMNS and len(frame) == 3
        assert frame.iloc[1].tolist() == ['bird', 2, 0.75, 5.0, 5.0, 30.0, 25.0, 'a.jpg']
    empty = dets[:0].to_pandas()
    assert list(empty.columns) == COLUMNS and len(empty) == 0 and list(empty.dtypes) == list(frame.dtypes)
    assert len(pandas.concat([frame, empty, Detections.empty().to_pandas()])) == 3
    frame.loc[0, 'xmin'] = -1
    assert dets.boxes.tolist() == BOXES and three().to_pandas()['path'].isna().all()


def test_pandas_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, 'pandas', None)
    with pytest.raises(ImportError, match=r'to_pandas\(\) needs pandas.* pip install .*pandas$'):
        three().to_pandas()


class FakeFiftyone(SimpleNamespace):
    Detections = Detection = SimpleNamespace


def test_fiftyone_arguments(monkeypatch):
    monkeypatch.setitem(sys.modules, 'fiftyone', FakeFiftyone())
    found = Detections(np.array(BOXES), np.array([0.5, 0.75, 0.25]), np.array([0, 2, 1]), NAMES, (100, 120))
    given = found.to_fiftyone().detections
    assert [one.label for one in given] == ['cat', 'bird', 'dog'] and given[1].confidence == 0.75
    assert given[1].bounding_box == pytest.approx([5 / 120, 0.05, 25 / 120, 0.2]) and given[0].index is None
    found.track_ids = np.array([7, 3, 5])
    assert [one.index for one in found.to_fiftyone().detections] == [7, 3, 5]
    assert found[:0].to_fiftyone().detections == []


def test_fiftyone_itself():
    # Not among the packages of the tests: it brings a database and a second build of OpenCV.
    fiftyone = pytest.importorskip('fiftyone')
    sample = fiftyone.Sample(filepath='a.jpg', found=three().to_fiftyone())
    assert [one.label for one in sample['found'].detections] == ['cat', 'bird', 'dog']


def test_fiftyone_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, 'fiftyone', None)
    with pytest.raises(ImportError, match=r'to_fiftyone\(\) needs fiftyone.* pip install .*fiftyone$'):
        three().to_fiftyone()


def test_boxes_have_shares_of_an_image_whose_size_is_known():
    outside = Detections([[-10, 20, 130, 80]], [0.5], [0], NAMES, (100, 120))
    assert outside.shares() == pytest.approx(np.array([[0, 0.2, 1, 0.6]]))
    with pytest.raises(ValueError, match=r'image_size is \(0, 0\)'):
        Detections([[1, 2, 3, 4]], [0.5], [0], NAMES, (0, 0)).shares()


def test_a_task_for_label_studio():
    task = three(path='photos/a b.jpg').to_label_studio(root='.', model_version='first')
    assert task['data'] == {'image': '/data/local-files/?d=photos/a%20b.jpg'}
    (prediction,) = task['predictions']
    assert prediction['model_version'] == 'first' and prediction['score'] == pytest.approx(0.5)
    first = prediction['result'][1]
    assert first['value'].pop('rectanglelabels') == ['bird']
    assert first['value'] == pytest.approx({'x': 500 / 120, 'y': 5, 'width': 2500 / 120, 'height': 20, 'rotation': 0})
    assert (first['original_width'], first['original_height'], first['score']) == (120, 100, 0.75)
    assert (first['type'], first['from_name'], first['to_name']) == ('rectanglelabels', 'label', 'image')
    assert json.loads(json.dumps(task)) == task
    empty = three()[:0].to_label_studio('https://a.org/a.jpg')
    assert empty == {
        'data': {'image': 'https://a.org/a.jpg'}, 'predictions': [{'model_version': 'mbv3zoo', 'result': []}],
    }  # fmt: skip
    with pytest.raises(ValueError, match='name no image file; pass its address'):
        three().to_label_studio()
