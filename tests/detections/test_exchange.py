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
