"""Detection in tiles, by a detector that finds every rectangle of one colour, whole or cut."""

import numpy as np
import pytest
import torch
from coloured_scenes import SIDE, Colours, scene
from PIL import Image

import mbv3zoo
from mbv3zoo.images import regions
from mbv3zoo.models.postprocess.decoding import Kept
from mbv3zoo.prediction.predict import iter_predict, predict
from mbv3zoo.prediction.slicing import _without_parts

pytest.importorskip('supervision')


def found(image, **options):
    result = predict(Colours(), image, slice=SIDE, **options)
    return sorted(
        zip(result.labels.tolist(), (100 * result.scores).round().tolist(), result.boxes.tolist(), strict=True)
    )


@pytest.mark.parametrize('size', [(200, 300), (64, 500), (70, 64), (130, 90)])
@pytest.mark.parametrize('overlap', [None, 0.4])
def test_small_objects_are_found_where_they_are_and_once(size, overlap):
    rng = np.random.default_rng(size[0])
    rows, taken = [], np.zeros(size, bool)
    for _ in range(60):
        # They fit into the overlap, which is 12 pixels by default, and end before its borders.
        height, width = rng.integers(4, 9, 2)
        y, x = rng.integers(0, size[0] - height), rng.integers(0, size[1] - width)
        place = slice(max(0, y - 1), y + height + 1), slice(max(0, x - 1), x + width + 1)
        if not taken[place].any():
            taken[place] = True
            rows.append((int(rng.integers(0, 2)), int(rng.integers(30, 100)), [x, y, x + width, y + height]))
    expected = sorted((label, float(percent), list(map(float, box))) for label, percent, box in rows)
    assert len(rows) > 5
    assert found(scene(size, *rows), overlap=overlap, slice_only=True) == expected


def test_an_object_larger_than_a_tile_comes_from_the_whole_image():
    image = scene((192, 192), (0, 90, [20, 20, 180, 180]), (1, 80, [2, 2, 10, 10]))
    whole, small = found(image, max_detections=1)[0], found(image)[-1]
    assert whole[:2] == (0, 90.0) and small[:2] == (1, 80.0)
    # The whole image is a third as large there.
    assert whole[2] == pytest.approx([20, 20, 180, 180], abs=4) and small[2] == pytest.approx([2, 2, 10, 10], abs=1.5)
    parts = found(image, slice_only=True)
    assert sum(label == 0 for label, _, _ in parts) > 3
    assert all(box[2] - box[0] <= SIDE for label, _, box in parts if label == 0)


def test_a_whole_object_comes_before_its_part_of_a_higher_score(monkeypatch):
    """Tiles begin at 0, 52 and 104: the first has a part of it."""
    kept = Colours._kept

    def sure_of_parts(self, image, thresholds):
        boxes, scores, labels = kept(self, image, thresholds)
        return Kept(boxes, scores + 0.05 * (boxes[:, 2] == 64), labels)

    monkeypatch.setattr(Colours, '_kept', sure_of_parts)
    image = scene((64, 168), (0, 70, [56, 20, 70, 40]))
    assert found(image, slice_only=True) == [(0, 70.0, [56.0, 20.0, 70.0, 40.0])]
    # At the border of the image it is no part.
    image = scene((64, 168), (0, 70, [154, 20, 168, 40]))
    assert found(image, slice_only=True) == [(0, 75.0, [154.0, 20.0, 168.0, 40.0])]


def test_classes_are_merged_apart_unless_it_is_asked_for():
    image = scene((64, 168), (0, 70, [54, 20, 64, 40]), (1, 60, [56, 22, 62, 38]))
    assert [label for label, _, _ in found(image, slice_only=True)] == [0, 1]
    assert [label for label, _, _ in found(image, slice_only=True, agnostic_nms=True)] == [0]


def test_an_image_that_fits_into_a_tile_is_not_cut():
    # The second lies inside the first, and stays.
    image = scene((60, 64), (0, 60, [5, 5, 60, 50]), (0, 90, [30, 30, 40, 40]))
    cut, engine = found(image), Colours()
    plain = predict(engine, image)
    assert sorted(box for _, _, box in cut) == sorted(plain.boxes.tolist()) and engine.batches == [1]
    assert plain.scores.tolist() == sorted(plain.scores.tolist(), reverse=True)


def test_limits_are_of_the_whole_image():
    rows = [(0, 30 + i, [20 * i, 5, 20 * i + 8, 15]) for i in range(30)]
    result = predict(Colours(), scene((64, 640), *rows), slice=SIDE, max_detections=7, score_thresh=0.4)
    assert (100 * result.scores).round().tolist() == [59, 58, 57, 56, 55, 54, 53]


def test_tiles_go_in_batches():
    engine = Colours()
    predict(engine, scene((64, 640)), slice=SIDE, batch_size=4, slice_only=True, overlap=0)
    assert engine.batches == [4, 4, 2]


def test_nothing_found():
    result = predict(Colours(), scene((200, 200)), slice=SIDE)
    assert len(result) == 0 and result.boxes.shape == (0, 4) and result.image_size == (200, 200)


def test_many_images_and_one_that_is_damaged(tmp_path):
    paths = [tmp_path / f'{i}.png' for i in range(3)]
    for i, path in enumerate(paths):
        Image.fromarray(scene((80, 80 + i), (0, 90, [70, 70, 78, 78]))).save(path)
    paths[1].write_bytes(paths[1].read_bytes()[:50])
    with pytest.warns(UserWarning, match='1.png'):
        results = [*iter_predict(Colours(), paths, slice=SIDE)]
    assert [len(result) for result in results] == [1, 0, 1] and results[1].error
    assert [result.path for result in results] == [str(path) for path in paths]


def test_a_file_that_is_read_by_regions_gives_what_it_gives_whole(tmp_path, monkeypatch):
    pytest.importorskip('rasterio')
    rng, rows = np.random.default_rng(0), []
    for i in range(40):
        x, y = 15 * (i % 10) + 2, 30 * (i // 10) + 3
        rows.append((i % 2, 40 + i, [x, y, x + int(rng.integers(4, 9)), y + int(rng.integers(4, 9))]))
    path = tmp_path / 'large.tif'
    Image.fromarray(scene((140, 160), *rows)).save(path)
    expected = found(path, slice_only=True)
    assert len(expected) == 40
    monkeypatch.setattr(regions, 'MANY_PIXELS', 0)
    monkeypatch.setattr('mbv3zoo.images.reader.read_image', lambda *_, **__: pytest.fail('is read whole'))
    assert found(path, slice_only=True) == expected
    # The whole image too: from means of its pixels, as the letterbox would take from all of them.
    assert [label for label, _, _ in found(path)][:1] == [0]
    # One that fits into a tile is read at once.
    assert len(predict(Colours(), path, slice=256).boxes) <= 40
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with pytest.warns(UserWarning, match=r'large\.tif.*its result is empty'):
        results = [*iter_predict(Colours(), [path, path], slice=SIDE)]
    assert [len(result) for result in results] == [0, 0] and 'large.tif' in results[0].error
    with pytest.raises(ValueError, match='large.tif'):
        predict(Colours(), path, slice=SIDE)


def test_a_detector_gives_tensors():
    detector = mbv3zoo.create_detector('mbv3_yolo_small', num_classes=2, image_size=64)
    image = np.random.default_rng(0).integers(0, 256, (100, 150, 3), np.uint8)
    result = detector.predict(image, slice=(64, 96), score_thresh=0.0, max_detections=2)
    assert isinstance(result.boxes, torch.Tensor) and result.labels.dtype == torch.int64 and 1 <= len(result) <= 2
    assert result.scores.tolist() == sorted(result.scores.tolist(), reverse=True)


def test_segmenters_have_no_tiles():
    segmenter = mbv3zoo.create_segmenter('mbv3_lraspp_small', num_classes=2, image_size=64)
    with pytest.raises(ValueError, match='slice: of detectors only'):
        predict(segmenter, np.zeros((80, 80, 3), np.uint8), slice=64)


@pytest.mark.parametrize('seed', range(3))
def test_parts_are_those_of_a_slow_search(seed):
    rng = np.random.default_rng(seed)
    corners, sides = rng.integers(0, 40, (60, 2)), rng.integers(5, 20, (60, 2))
    boxes = np.concatenate([corners, corners + sides], 1).astype(np.float32)
    rank, labels = rng.permutation(60).astype(np.float32), rng.integers(0, 2, 60)

    def shared(one, other):
        pixels = [
            {(x, y) for x in range(int(b[0]), int(b[2])) for y in range(int(b[1]), int(b[3]))} for b in (one, other)
        ]
        return len(pixels[0] & pixels[1]) / min(map(len, pixels))

    kept = []
    for i in np.argsort(-rank):
        if all(labels[i] != labels[j] or shared(boxes[i], boxes[j]) <= 0.5 for j in kept):
            kept.append(int(i))
    assert sorted(_without_parts(boxes, rank, labels).tolist()) == sorted(kept) and 5 < len(kept) < 55
