"""mIoU and its parts, compared with scikit-learn's."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import accuracy_score, confusion_matrix, jaccard_score

import mbv3zoo
from mbv3zoo.data.detection_set import DetectionSet
from mbv3zoo.data.masks import MaskRecord, MaskSet
from mbv3zoo.evaluation.masks import SegmentationMetrics, count_pixels, score_labels, score_masks, spread
from mbv3zoo.evaluation.run import collect, run_evaluation
from mbv3zoo.images.masks import indexed_image
from mbv3zoo.models.postprocess.thresholds import PREDICTION
from mbv3zoo.prediction.predict import predict

NAMES = ('a', 'b', 'c', 'd', 'e')


def test_figures_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    pairs = [(rng.integers(0, 4, (20, 30), np.uint8), rng.integers(0, 4, (20, 30), np.uint8)) for _ in range(3)]
    pairs[0][0][:5] = 255
    counts = sum(count_pixels(truth, predicted, 5) for truth, predicted in pairs)
    truth, predicted = (np.concatenate([pair[i].ravel() for pair in pairs]) for i in (0, 1))
    predicted, truth = predicted[truth != 255], truth[truth != 255]
    assert np.array_equal(counts, confusion_matrix(truth, predicted, labels=range(5)))
    found = score_masks(counts, NAMES, 3)
    ious = jaccard_score(truth, predicted, labels=range(4), average=None)
    assert [*found.per_class.values()][:4] == pytest.approx(ious.tolist()) and math.isnan(found.per_class['e'])
    assert found.miou == found.score == pytest.approx(ious.mean())
    assert found.pixel_accuracy == pytest.approx(accuracy_score(truth, predicted))
    assert (found.images, found.pixels) == (3, len(truth)) and set(found.figures()) == {'miou', 'pixel_accuracy'}


def test_a_class_that_is_predicted_alone_counts_and_nothing_at_all_has_no_figures():
    found = score_masks(count_pixels(np.zeros((1, 4), np.uint8), np.array([[0, 0, 0, 1]], np.uint8), 3), NAMES[:3], 1)
    assert found.per_class['a'] == 0.75 and found.per_class['b'] == 0 and found.miou == 0.375
    empty = score_masks(count_pixels(np.full((2, 2), 255, np.uint8), np.zeros((2, 2), np.uint8), 3), NAMES[:3], 1)
    assert math.isnan(empty.miou) and math.isnan(empty.pixel_accuracy) and empty.pixels == 0
    again = SegmentationMetrics.from_dict(empty.to_dict())
    assert str(again) == str(empty) and '-' in str(empty) and empty.to_dict()['miou'] is None


class Stripes:
    """Finds class 1 where a picture is white, without torch; it counts the pictures that run at once."""

    info = SimpleNamespace(image_size=(64, 64), in_chans=3, class_names=('dark', 'light', 'never'), task='segmentation')
    tensors, thresholds = False, PREDICTION

    def __init__(self):
        self.batches = []

    def run(self, images):
        self.batches.append(len(images))
        light = images.mean(1).reshape(len(images), 8, 8, 8, 8).mean((2, 4)) / 255
        return [np.stack([1 - light, light, np.full_like(light, -9)], 1).astype(np.float32)]


@pytest.fixture(scope='module')
def masks(tmp_path_factory):
    """Pictures of several sizes, dark left and light right, and their masks, one of them wrong in part."""
    folder, records = tmp_path_factory.mktemp('masks'), []
    for i, (height, width) in enumerate([(64, 64), (128, 64), (30, 90), (200, 200), (64, 256)] * 3):
        labels = np.zeros((height, width), np.uint8)
        labels[:, width // 2 :] = 1
        Image.fromarray(np.repeat(labels[:, :, None] * 255, 3, 2)).save(folder / f'{i}.png')
        labels[: height // 4] = 255 if i % 2 else 2
        indexed_image(labels).save(folder / f'{i}_mask.png')
        classes = frozenset({0, 1, 2} if i % 2 == 0 else {0, 1})
        records.append(MaskRecord(folder / f'{i}.png', (height, width), folder / f'{i}_mask.png', classes, i))
    return MaskSet(records, Stripes.info.class_names)


def test_a_set_is_counted_at_the_size_of_its_pictures_and_only_examples_are_kept(masks):
    model, seen = Stripes(), []
    found = run_evaluation(model, masks, batch_size=4, progress=seen.append)
    assert seen == model.batches == [4, 4, 4, 3]
    assert sorted(found.shown) == spread(15) and len(found.shown) == 12
    assert all(own.image_size == masks.records[i].size for i, own in found.shown.items())
    # By hand, of all label maps at once.
    every = [predict(model, record.path).labels for record in masks.records]
    truth = np.concatenate([record.read().ravel() for record in masks.records])
    predicted = np.concatenate([labels.ravel() for labels in every])[truth != 255]
    expected = confusion_matrix(truth[truth != 255], predicted, labels=range(3))
    assert np.array_equal(found.confusion, expected)
    assert found.metrics == score_masks(expected, masks.class_names, 15) == mbv3zoo.evaluate(model, masks)
    assert found.metrics.per_class['never'] == 0 and found.metrics.per_class['dark'] > 0.8


def test_parts_of_a_set_make_the_whole(masks):
    parts = [collect(Stripes(), masks, 2, indices=range(start, 15, 4))[0] for start in range(4)]
    together, whole = score_labels(masks, parts), run_evaluation(Stripes(), masks)
    assert np.array_equal(together.confusion, whole.confusion) and together.shown.keys() == whole.shown.keys()
    assert together.metrics == whole.metrics


def test_data_of_another_task_is_refused(masks):
    with pytest.raises(ValueError, match="for segmentation was given a DetectionSet; read .* task='segmentation'"):
        mbv3zoo.evaluate(Stripes(), DetectionSet([], ('a', 'b', 'c')))
    with pytest.raises(ValueError, match="for detection was given a MaskSet; read the data with task='detection'"):
        mbv3zoo.evaluate(mbv3zoo.load('mbv3_yolo_small.synth'), masks)
    with pytest.raises(ValueError, match='3 classes, the data set 1'):
        mbv3zoo.evaluate(Stripes(), MaskSet(masks.records, ('a',)))


def test_indices_are_spread_evenly():
    assert spread(0) == [] and spread(3) == [0, 1, 2] and spread(24) == [*range(0, 24, 2)] and len(spread(5, 2)) == 2
