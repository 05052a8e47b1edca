import inspect
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision.ops import box_iou

import mbv3zoo
from mbv3zoo.detections import Detections
from mbv3zoo.detections.segmentation import Segmentation
from mbv3zoo.detector import Detector
from mbv3zoo.models.postprocess.thresholds import PREDICTION
from mbv3zoo.prediction.folder import write_predictions
from mbv3zoo.prediction.predict import iter_predict, predict
from mbv3zoo.prediction.video import predict_video, write_video_predictions
from mbv3zoo.runtimes.exported_detector import ExportedDetector

SCENE = Path(__file__).parents[2] / 'docs' / 'scene.jpg'


class FakeDetector(nn.Module):
    """Returns `boxes` for each picture where given, else the extent of what is nearly white in it."""

    def __init__(self, image_size=(64, 64), in_chans=3, boxes=None):
        super().__init__()
        self.config = SimpleNamespace(image_size=image_size, in_chans=in_chans, class_names=('thing', 'other'))
        self.block = nn.Sequential(nn.Conv2d(in_chans, 1, 1), nn.BatchNorm2d(1))
        self.boxes = boxes
        self.batches, self.thresholds, self.modes = [], [], []

    def forward(self, images):
        self.batches.append(images)
        self.modes.append((self.training, self.block[1].training, torch.is_inference_mode_enabled()))
        return [images]

    def postprocess(self, logits, **thresholds):
        self.thresholds.append(thresholds)
        kept = []
        for image in logits[0]:
            boxes = self.boxes
            if boxes is None:
                rows, columns = (image.float().amin(dim=0) > 0.8).nonzero().unbind(1)
                ends = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) if len(rows) else ()
                boxes = torch.tensor(ends, dtype=torch.float32).reshape(-1, 4)
            kept.append((boxes, torch.full((len(boxes),), 0.5), torch.ones(len(boxes), dtype=torch.int64)))
        return kept


def picture(height, width, box=None):
    array = np.zeros((height, width, 3), np.uint8)
    if box is not None:
        array[box[1] : box[3], box[0] : box[2]] = 255
    return array


@pytest.fixture
def folder(tmp_path):
    for index, name in enumerate(('a.png', 'b.png', 'd.png', 'e.png')):
        Image.fromarray(picture(50, 100, (20 * index, 10, 20 * index + 20, 40))).save(tmp_path / name)
    (tmp_path / 'c.png').write_bytes((tmp_path / 'a.png').read_bytes()[:60])
    return tmp_path


def test_known_boxes_in_original_pixels():
    # 200 x 100 (height x width) into 64 x 64: 32 columns wide after 16 columns of grey.
    detector = FakeDetector(boxes=torch.tensor([[16.0, 0, 48, 64], [24, 16, 32, 32], [0, -5, 90, 90]]))
    dets = predict(detector, picture(200, 100))
    assert isinstance(dets, Detections) and dets.image_size == (200, 100) and dets.path is None
    expected = torch.tensor([[0.0, 0, 100, 200], [25, 50, 50, 100], [0, 0, 100, 200]])
    assert torch.allclose(dets.boxes, expected, atol=1e-4)
    assert dets.scores.tolist() == [0.5] * 3 and dets.labels.tolist() == [1] * 3
    assert dets.names == ['other'] * 3


@pytest.mark.parametrize('image_size', [(64, 64), (96, 160)])
@pytest.mark.parametrize(
    ('height', 'width', 'box'),
    [(480, 640, (100, 50, 300, 400)), (500, 120, (30, 200, 90, 460)), (20, 30, (5, 4, 25, 16))],
)
def test_what_is_seen_is_where_it_was(height, width, box, image_size):
    dets = predict(FakeDetector(image_size), picture(height, width, box))
    pixel = max(1.0, height / image_size[0], width / image_size[1])
    assert (dets.boxes - torch.tensor(box)).abs().max() <= 1.5 * pixel


def test_exif_boxes_are_in_the_upright_picture(tmp_path):
    exif = Image.Exif()
    exif[274] = 6  # stored turned to the left, to be shown turned to the right
    upright = picture(60, 40, (4, 8, 20, 50))
    Image.fromarray(np.rot90(upright, 1).copy()).save(tmp_path / 'a.png', exif=exif)
    dets = predict(FakeDetector(), tmp_path / 'a.png')
    assert dets.image_size == (60, 40) and dets.path == str(tmp_path / 'a.png')
    assert (dets.boxes - torch.tensor([4, 8, 20, 50])).abs().max() <= 1
    assert dets.draw().size == (40, 60)


def test_what_the_detector_is_given():
    detector = FakeDetector((32, 64))
    predict(detector, picture(32, 32), score_thresh=0.1, iou_thresh=0.6, max_detections=5)
    images = detector.batches[0]
    assert images.shape == (1, 3, 32, 64) and images.dtype == torch.float32
    assert images[0, :, :, 16:48].eq(0).all() and images[0, :, :, :16].eq(torch.tensor(114) / 255).all()
    assert detector.thresholds == [{'score_thresh': 0.1, 'iou_thresh': 0.6, 'max_detections': 5}]


@pytest.mark.parametrize(('given', 'shape'), [(96, (96, 96)), ((32, 128), (32, 128)), ([64, 96], (64, 96))])
def test_image_size(given, shape):
    detector = FakeDetector()
    predict(detector, picture(50, 100), image_size=given)
    assert detector.batches[0].shape[2:] == shape


def test_half_precision_detector():
    detector = FakeDetector().to(torch.bfloat16)
    dets = predict(detector, picture(64, 64, (8, 8, 40, 40)))
    assert detector.batches[0].dtype == torch.bfloat16
    assert dets.boxes.dtype == dets.scores.dtype == torch.float32
    assert dets.boxes.tolist() == [[8, 8, 40, 40]]


def test_every_kind_of_single_source(folder):
    with Image.open(folder / 'a.png') as image:
        array = np.array(image)
    tensor = torch.from_numpy(array).permute(2, 0, 1)
    sources = [folder / 'a.png', str(folder / 'a.png'), Image.fromarray(array), array, tensor, tensor / 255]
    results = [predict(FakeDetector(), source) for source in sources]
    assert all(isinstance(dets, Detections) for dets in results)
    assert all(torch.equal(dets.boxes, results[0].boxes) and len(dets) == 1 for dets in results)
    together = predict(FakeDetector(), sources, batch_size=4)
    assert [dets.boxes.tolist() for dets in together] == [dets.boxes.tolist() for dets in results]


def test_many_of_different_sizes_in_batches():
    sources = [picture(20 + 10 * index, 60, (10, 5, 40, 15 + index)) for index in range(7)]
    detector = FakeDetector()
    found = predict(detector, sources, batch_size=3)
    assert [len(batch) for batch in detector.batches] == [3, 3, 1]
    assert [dets.image_size for dets in found] == [source.shape[:2] for source in sources]
    alone = [predict(FakeDetector(), source) for source in sources]
    assert [dets.boxes.tolist() for dets in found] == [dets.boxes.tolist() for dets in alone]


def test_batches_of_large_images_are_smaller(monkeypatch):
    # As many pixels as two of these images have; a batch of 8 would take four times the memory.
    monkeypatch.setattr('mbv3zoo.utils.sizes.MOST_PIXELS', 2 * 96 * 64)
    detector = FakeDetector()
    found = predict(detector, [picture(48, 32)] * 5, image_size=(96, 64))
    assert [len(batch) for batch in detector.batches] == [2, 2, 1] and len(found) == 5


def test_batch_tensor_is_a_list():
    found = predict(FakeDetector(), torch.zeros(2, 3, 20, 30))
    assert isinstance(found, list) and [len(dets) for dets in found] == [0, 0]
    assert len(predict(FakeDetector(), [picture(9, 9)])) == 1


@pytest.mark.parametrize('batch_size', [1, 2, 8])
def test_unreadable_among_many(folder, batch_size):
    with pytest.warns(UserWarning, match='c.png') as caught:
        found = predict(FakeDetector(), folder, batch_size=batch_size)
    assert len(caught) == 1
    assert [dets.path for dets in found] == [str(folder / f'{name}.png') for name in 'abcde']
    assert [dets.error is None for dets in found] == [True, True, False, True, True]
    assert 'c.png' in found[2].error and len(found[2]) == 0 and found[2].class_names == ('thing', 'other')
    lefts = [dets.boxes[0, 0].round().item() for dets in found if dets.error is None]
    assert np.abs(np.array(lefts) - [0, 20, 40, 60]).max() <= 2


@pytest.mark.filterwarnings('ignore:cannot read image file .*c.png')
def test_a_file_of_more_pixels_than_asked_for_is_one_of_many_that_cannot_be_read(folder):
    Image.new('RGB', (300, 200)).save(folder / 'b.png')
    for found in (predict, iter_predict):
        with pytest.warns(UserWarning, match=r'b\.png.*more than 5000'):
            errors = [str(dets.error) for dets in found(FakeDetector(), folder, max_pixels=5000)]
        assert '300 x 200 = 60000 pixels, more than 5000; make it smaller' in errors[1]
        assert errors[0] == errors[3] == 'None'
    with pytest.raises(ValueError, match='60000 pixels, more than 5000'):
        predict(FakeDetector(), folder / 'b.png', max_pixels=5000)
    # What is in memory already has no limit.
    for image in (picture(300, 200), Image.new('RGB', (300, 200))):
        assert predict(FakeDetector(), image, max_pixels=5000).error is None


def test_what_was_found_is_drawn_on_a_file_of_any_size(folder, monkeypatch):
    found = predict(FakeDetector(), folder / 'a.png')
    monkeypatch.setattr('mbv3zoo.detections.found.MAX_PIXELS', 10)
    assert found.draw().size == (100, 50) and len(found.crops()) == 1


def test_nothing_readable(folder):
    detector = FakeDetector()
    with pytest.warns(UserWarning):
        found = predict(detector, [folder / 'c.png', folder / 'gone.png'])
    assert 'no such file' in found[1].error and detector.batches == []


def test_single_unreadable_raises(folder):
    for name in ('c.png', 'gone.png'):
        with pytest.raises(ValueError, match=name):
            predict(FakeDetector(), folder / name)


def test_wrong_array_among_many_raises():
    with pytest.raises(ValueError, match='multiply by 255'):
        predict(FakeDetector(), [picture(9, 9), np.zeros((9, 9, 3))])


def test_nothing_to_do(tmp_path):
    detector = FakeDetector()
    assert predict(detector, []) == [] and detector.batches == []
    assert predict(detector, torch.zeros(0, 3, 8, 8)) == []
    with pytest.raises(ValueError, match='no pictures'):
        predict(detector, tmp_path)
    with pytest.raises(ValueError, match='no pictures'):
        predict(detector, f'{tmp_path}/*.jpg')


def test_no_detections():
    dets = predict(FakeDetector(), picture(30, 40))
    assert len(dets) == 0 and dets.boxes.shape == (0, 4) and dets.error is None and dets.image_size == (30, 40)


@pytest.mark.parametrize('shape', [(1, 1), (1, 5000), (5000, 1)])
def test_extreme_shapes(shape):
    dets = predict(FakeDetector(boxes=torch.tensor([[0.0, 0, 64, 64]])), picture(*shape))
    assert dets.boxes.tolist() == [[0, 0, shape[1], shape[0]]]


def test_modes_are_restored_one_by_one():
    detector = FakeDetector()
    detector.block[1].eval()
    predict(detector, picture(9, 9))
    assert detector.modes == [(False, False, True)]
    assert detector.training and detector.block[0].training and not detector.block[1].training
    detector.eval()
    predict(detector, picture(9, 9))
    assert not any(module.training for module in detector.modules())


def test_modes_are_restored_after_an_error():
    detector = FakeDetector()
    detector.postprocess = None
    with pytest.raises(TypeError):
        predict(detector, picture(9, 9))
    assert detector.training and not torch.is_inference_mode_enabled()


def test_results_are_ordinary_tensors():
    dets = predict(FakeDetector(), picture(64, 64, (8, 8, 40, 40)))
    parts = (dets.boxes, dets.scores, dets.labels)
    assert not any(part.is_inference() for part in parts)
    dets.boxes[:] = 0


def test_iter_predict_reads_as_it_goes(folder):
    detector = FakeDetector()
    with warnings.catch_warnings():
        warnings.simplefilter('error')  # the broken c.png is not reached
        stream = iter_predict(detector, folder, batch_size=2)
        assert detector.batches == []
        first, second = next(stream), next(stream)
    assert len(detector.batches) == 1 and [first.path[-5:], second.path[-5:]] == ['a.png', 'b.png']
    # Between two pictures nothing is switched.
    assert detector.training and not torch.is_inference_mode_enabled()
    with pytest.warns(UserWarning, match='c.png'):
        assert [dets.path[-5:] for dets in stream] == ['c.png', 'd.png', 'e.png']


def test_iter_predict_single_and_early_errors(tmp_path):
    assert len(list(iter_predict(FakeDetector(), picture(9, 9)))) == 1
    with pytest.raises(ValueError, match='no file'):
        iter_predict(FakeDetector(), tmp_path / 'gone.jpg')
    with pytest.raises(ValueError, match='batch_size is 0'):
        iter_predict(FakeDetector(), [], batch_size=0)


@pytest.mark.parametrize(
    'setting',
    [
        {'score_thresh': 1.5},
        {'iou_thresh': -0.1},
        {'max_detections': 0},
        {'batch_size': -1},
        {'batch_size': 10**9},
        {'batch_size': 2.5},
        {'image_size': 100_000},
        {'image_size': 0},
    ],
)
def test_settings_out_of_range(setting):
    with pytest.raises(ValueError, match=f'{next(iter(setting))} is'):
        predict(FakeDetector(), [], **setting)


def test_grey_detector(folder):
    detector = FakeDetector(in_chans=1)
    dets = predict(detector, folder / 'b.png')
    assert detector.batches[0].shape == (1, 1, 64, 64) and len(dets) == 1
    coloured = np.full((64, 64, 3), (200, 100, 50), np.uint8)
    predict(detector, coloured)
    assert (detector.batches[1] * 255 - (0.299 * 200 + 0.587 * 100 + 0.114 * 50)).abs().max() <= 0.51


def test_detector_of_other_channels(folder):
    detector = FakeDetector(in_chans=5)
    predict(detector, torch.rand(5, 64, 64))
    predict(detector, np.full((64, 64, 5), 51, np.uint8))
    assert torch.allclose(detector.batches[1], torch.tensor(0.2))
    # A mistake of the caller, not a damaged file: raised even in a list.
    for source in (folder / 'a.png', [folder / 'a.png', folder / 'b.png'], [picture(9, 9)]):
        with pytest.raises(ValueError, match='channels'):
            predict(detector, source)


def test_wanted_classes():
    for classes, indices in (('other', (1,)), (1, (1,)), (['thing', 1], (0, 1)), ([], ())):
        detector = FakeDetector()
        predict(detector, picture(9, 9), classes=classes)
        assert detector.thresholds == [{'classes': indices}]
    for call in (predict, iter_predict):
        with pytest.raises(ValueError, match="unknown class 'thong'; did you mean thing?"):
            call(FakeDetector(), picture(9, 9), classes=['other', 'thong'])


def test_wanted_classes_take_no_place_from_each_other():
    """The detections of some classes are those that a filter would have left, but for `max_detections`."""
    detector = Detector.from_pretrained('mbv3_yolo_small.synth')
    everything = detector.predict(SCENE)
    name = everything.names[-1]
    assert detector.predict(SCENE, max_detections=1).names != [name]
    found, expected = detector.predict(SCENE, classes=name, max_detections=1), everything.filter(name)[:1]
    assert found.names == [name]
    torch.testing.assert_close(found.boxes, expected.boxes)


@pytest.mark.parametrize(
    'function',
    [
        predict, iter_predict, Detector.predict, ExportedDetector.predict, ExportedDetector.iter_predict,
        write_predictions, predict_video, write_video_predictions,
    ],
)  # fmt: skip
def test_editors_show_the_arguments(function):
    hints = get_type_hints(function, localns={'ModelNetwork': Detector})
    names = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD:
            (options,) = get_args(hints[name])
            names |= get_type_hints(options)
        else:
            names[name] = hints.get(name)
    for name in ('score_thresh', 'iou_thresh', 'max_detections', 'classes', 'batch_size', 'image_size'):
        assert names[name] not in (None, Any), name


def test_the_way_of_an_image_crosses_few_files():
    """Files whose code runs between `predict` and its result; the network's own, which follow its figure, aside."""
    detector, package, crossed = Detector.from_pretrained('mbv3_yolo_small.synth'), Path(mbv3zoo.__file__).parent, set()

    def note(frame, event, arg):
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(package) and frame.f_code.co_name != '<module>':
            crossed.add(path.relative_to(package).as_posix())

    detector.predict(SCENE)
    before = sys.getprofile()
    sys.setprofile(note)
    try:
        detector.predict(SCENE)
    finally:
        sys.setprofile(before)
    network = {
        name
        for name in crossed
        if name.startswith('models/') and not name.startswith('models/postprocess/') and name != 'models/modes.py'
    }
    assert {'models/network.py', 'models/neck.py', 'models/head.py'} <= network
    assert {'detector.py', 'prediction/predict.py', 'prediction/engine.py', 'detections/table.py'} <= crossed - network
    assert len(crossed - network) <= 17, sorted(crossed - network)
    assert len(crossed) <= 27, sorted(crossed)


def test_agnostic_nms_leaves_an_object_one_box_whatever_its_class():
    detector = Detector.from_pretrained('mbv3_yolo_small.synth')
    options = {'score_thresh': 0.01, 'iou_thresh': 0.45}
    apart, together = (detector.predict(SCENE, agnostic_nms=value, **options) for value in (False, True))

    def most_shared(found):
        return box_iou(found.boxes, found.boxes).fill_diagonal_(0).max()

    assert most_shared(apart) > 0.6 and most_shared(together) < 0.46 and len(together) < len(apart)
    assert together[0].to_dict() == apart[0].to_dict()


def test_one_image_is_shown_by_a_notebook_however_it_was_given():
    detector, pixels = Detector.from_pretrained('mbv3_yolo_small.synth'), np.asarray(Image.open(SCENE))
    tensor = torch.from_numpy(pixels.copy()).permute(2, 0, 1)
    for source in (str(SCENE), SCENE, Image.open(SCENE), pixels, tensor, tensor / 255, pixels[:, :, 0]):
        assert detector.predict(source, image_size=96)._repr_png_() is not None
    # Of many, only those with a path: keeping a list's images would keep a video's frames.
    first, second = detector.predict([pixels, SCENE], image_size=96)
    assert first._repr_png_() is None and second._repr_png_() is not None


class Halves:
    """A segmenter that finds class 1 right of the letterbox's middle, without torch."""

    info = SimpleNamespace(image_size=(64, 64), in_chans=3, class_names=('left', 'right'), task='segmentation')
    thresholds, tensors = PREDICTION, True

    def run(self, images):
        logits = np.zeros((len(images), 2, 8, 8), np.float32)
        logits[:, 1] = np.linspace(-1, 1, 8)
        return [logits]


def test_a_segmenter_finds_the_class_of_every_pixel_by_the_same_calls(folder):
    found = predict(Halves(), picture(50, 100))
    assert (
        type(found) is Segmentation and found.labels.shape == (50, 100) and found.areas == {'left': 0.5, 'right': 0.5}
    )
    assert (found.labels[:, 50:] == 1).all()
    for many in (predict, iter_predict):
        several = list(many(Halves(), [picture(64, 64), picture(1, 1), folder / 'a.png'], batch_size=2))
        assert [own.path for own in several] == [None, None, str(folder / 'a.png')]
        assert [own.image_size for own in several[:2]] == [(64, 64), (1, 1)]
    memory = picture(20, 20)
    assert predict(Halves(), memory).draw().size == (20, 20)


def test_an_unreadable_file_among_many_has_an_empty_segmentation(folder, tmp_path):
    (tmp_path / 'broken.jpg').write_bytes(b'no image')
    with pytest.warns(UserWarning, match='broken.jpg.*its result is empty'):
        good, broken = predict(Halves(), [folder / 'a.png', tmp_path / 'broken.jpg'])
    assert good.error is None and good.labels.size and 'broken.jpg' in broken.error
    assert type(broken) is Segmentation and broken.image_size == (0, 0) and broken.class_names == ('left', 'right')
    with pytest.raises(ValueError, match='broken.jpg'):
        predict(Halves(), tmp_path / 'broken.jpg')


@pytest.mark.parametrize(
    ('options', 'names'),
    [
        ({'score_thresh': 0.5}, 'score_thresh'),
        ({'iou_thresh': 0.5, 'max_detections': 3}, 'iou_thresh, max_detections'),
        ({'agnostic_nms': True}, 'agnostic_nms'),
        ({'classes': 'left'}, 'classes'),
    ],
)
def test_options_of_detectors_are_refused_for_a_segmenter(options, names):
    with pytest.raises(ValueError, match=f'^{names}: of detectors only, and this model is a segmenter'):
        predict(Halves(), picture(64, 64), **options)
