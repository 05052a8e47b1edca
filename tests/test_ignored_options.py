"""An option that can have no effect where it is given is refused, by every call and command."""

import json

import pytest
from program import run
from tiny_sets import write_yolo_set

import mbv3zoo

NAME = 'mbv3_yolo_small.synth'


@pytest.fixture(scope='module')
def detector():
    return mbv3zoo.load(NAME)


@pytest.fixture(scope='module')
def places(tmp_path_factory):
    """The same images as a YOLO, a COCO, a Pascal VOC and a Hugging Face dataset."""
    folder = tmp_path_factory.mktemp('places')
    yolo = write_yolo_set(folder / 'yolo', {'train': 1, 'val': 1})
    coco = folder / 'coco.json'
    image = {'id': 1, 'file_name': str(next((folder / 'yolo/images/val').iterdir())), 'width': 96, 'height': 72}
    row = {'id': 1, 'image_id': 1, 'category_id': 1, 'bbox': [1, 1, 20, 20], 'area': 400, 'iscrowd': 0}
    coco.write_text(json.dumps({'images': [image], 'annotations': [row], 'categories': [{'id': 1, 'name': 'a'}]}))
    (folder / 'voc/Annotations').mkdir(parents=True)
    return {'yolo': yolo, 'yolo folder': yolo.parent, 'coco': coco, 'voc': folder / 'voc', 'hub': 'hub:org/name'}


@pytest.mark.parametrize('kind', ['yolo', 'yolo folder', 'voc', 'hub'])
def test_a_folder_of_images_is_for_coco_files(places, kind):
    with pytest.raises(ValueError, match="images 'pictures' is for COCO files, and this is a (YOLO|Pascal|data set)"):
        mbv3zoo.load_dataset(places[kind], 'val', 'pictures')


def test_a_split_or_images_are_for_a_dataset_that_is_read(places, detector):
    read = mbv3zoo.load_dataset(places['yolo'], 'val')
    for options in ({'split': 'val'}, {'images': 'pictures'}):
        with pytest.raises(ValueError, match='is for data that is to be read; leave it out'):
            mbv3zoo.evaluate(detector, read, **options)
    with pytest.raises(ValueError, match=r"coco\.json: a COCO \.json is one split, and its name does not .* 'test'"):
        mbv3zoo.evaluate(detector, places['coco'], split='test')


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'score_thresh': 0.3}, 'score_thresh is for nms'),
        ({'iou_thresh': 0.5}, 'iou_thresh is for nms'),
        ({'max_detections': 10}, 'max_detections is for nms'),
        ({'calibration': 'pictures'}, 'calibration is for int8'),
        ({'split': 'test'}, 'split is of data or calibration'),
        ({'dynamic': True, 'batch_size': 4}, 'leave batch_size out'),
        ({'nms': True, 'data': 'data.yaml'}, 'leave data out'),
        ({'nms': True, 'score_thresh': 7}, r'score_thresh is 7; expected a number in 0\.\.1'),
    ],
)
def test_an_export_refuses_what_it_would_ignore(tmp_path, detector, options, message):
    with pytest.raises(ValueError, match=message):
        detector.export(tmp_path / 'model.onnx', **options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ('call', 'message'),
    [
        (lambda detector: detector.predict('a.jpg', threads=2), 'threads needs a runtime'),
        (lambda detector: detector.predict('a.jpg', device='cpu'), 'device needs a runtime'),
        (lambda detector: mbv3zoo.load(NAME, threads=2), 'threads needs a runtime'),
        (lambda detector: mbv3zoo.load(NAME, image_size=320), 'image_size is for a detector in a named runtime'),
        (lambda detector: mbv3zoo.load(NAME, cache=False), 'cache is for a detector in a named runtime'),
        (lambda detector: mbv3zoo.load('model.onnx', cache=False), 'cache is for a detector in a named runtime'),
        (lambda detector: mbv3zoo.load('model.onnx', revision='main'), 'an exported file takes no revision'),
        (lambda detector: mbv3zoo.load(NAME, revision='main'), 'only repositories on the Hub have revisions'),
    ],
    ids=range(8),
)
def test_a_detector_refuses_what_it_would_ignore(detector, call, message):
    with pytest.raises(ValueError, match=message):
        call(detector)


@pytest.mark.parametrize(
    ('command', 'message'),
    [
        (['val', NAME, '--data', 'coco', '--split', 'test'], 'is one split'),
        (['val', NAME, '--data', 'yolo', '--images', 'pictures'], 'is for COCO files'),
        (['val', NAME, '--data', 'yolo', '--threads', 0], 'threads is 0'),
        (['predict', NAME, 'a.jpg', '--device', 'cuda:99'], "device 'cuda:99': PyTorch cannot use it here; expected"),
        (['predict', NAME, 'a.jpg', '--no-cache'], 'cache is for a detector in a named runtime'),
        (['val', 'model.onnx', '--data', 'yolo', '--no-cache'], 'cache is for a detector in a named runtime'),
        (['train', '--data', 'yolo', '--images', 'pictures'], 'is for COCO files'),
        (['train', '--data', 'yolo', '--val-images', 'pictures'], 'is for COCO files'),
        (['train', '--data', 'yolo', '--lr', 1, '--set', 'lr=2'], 'lr is given twice'),
        (['export', NAME, 'model.onnx', '--score-thresh', 0.3], 'score_thresh is for nms'),
        (['export', NAME, 'model.onnx', '--calibration', 'yolo'], 'calibration is for int8'),
        (['export', NAME, 'model.onnx', '--split', 'val'], 'split is of data or calibration'),
        (['pull', NAME, 'folder', '--revision', 'main'], 'only repositories on the Hub have revisions'),
    ],
    ids=lambda value: ' '.join(map(str, value)) if isinstance(value, list) else '',
)
def test_a_command_refuses_what_it_would_ignore_and_leaves_nothing(tmp_path, monkeypatch, places, command, message):
    monkeypatch.chdir(tmp_path)
    error = run(*[places.get(word, word) for word in command], ok=False).exception
    assert isinstance(error, ValueError) and message in str(error)
    assert list(tmp_path.iterdir()) == []
