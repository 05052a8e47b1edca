import dataclasses
import random

import numpy as np
import pytest
import torch
from markers import COLOURS, GROUND, draw_markers, marker_box, marker_mask
from PIL import Image
from torch.utils.data import DataLoader

from mbv3zoo.config import TrainConfig
from mbv3zoo.data import loader
from mbv3zoo.data.letterbox import PAD_VALUE, Letterbox
from mbv3zoo.data.loader import EvalSamples, Targets, TrainSamples, collate, read_or_none, train_loader
from mbv3zoo.data.records import DetectionSet, Record

SIZE = (96, 128)
PLAIN = {'epochs': 10, 'mosaic': 0, 'flip': 0, 'color': 0, 'scale': 0, 'translate': 0}


def record(path, image, boxes, labels, crowd=None, image_id=1):
    Image.fromarray(image.permute(1, 2, 0).numpy()).save(path)
    crowd = torch.zeros(len(labels), dtype=torch.bool) if crowd is None else torch.tensor(crowd)
    return Record(path, tuple(image.shape[1:]), boxes, labels, torch.ones(len(labels)), crowd, image_id)


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """12 pictures of many sizes with two markers each, one of them without any."""
    folder, rng, records = tmp_path_factory.mktemp('pictures'), np.random.default_rng(0), []
    for i in range(12):
        height, width = rng.integers(40, 180, 2).tolist()
        labels = [] if i == 5 else rng.choice(8, 2, replace=False).tolist()
        records.append(record(folder / f'{i}.png', *draw_markers(rng, height, width, labels), image_id=i))
    return DetectionSet(records, tuple('abcdefgh'))


def samples_of(data, **settings):
    return TrainSamples(data, SIZE, TrainConfig(**(PLAIN | settings)))


def equal(one, other):
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def check_types(sample, channels=3):
    image, boxes, labels = sample
    assert type(image) is type(boxes) is type(labels) is torch.Tensor
    assert image.shape == (channels, *SIZE) and image.dtype == torch.uint8
    assert boxes.shape == (len(labels), 4) and boxes.dtype == torch.float32 and labels.dtype == torch.int64
    limit = torch.tensor([SIZE[1], SIZE[0]] * 2)
    assert (boxes >= 0).all() and (boxes <= limit).all() and (boxes[:, 2:] - boxes[:, :2] >= 2).all()


def test_without_augmentation_a_sample_is_the_letterboxed_picture(data):
    samples = samples_of(data)
    assert len(samples) == 12
    for index, known in enumerate(data.records):
        image, boxes, labels = samples[index]
        check_types((image, boxes, labels))
        letterbox = Letterbox.fit(known.size, SIZE)
        pixels = torch.from_numpy(np.array(Image.open(known.path))).permute(2, 0, 1)
        # The affine transform resamples on the same grid, to a rounding.
        assert (image.int() - letterbox.apply(pixels).int()).abs().max() <= 1
        torch.testing.assert_close(boxes, letterbox.boxes_to_letterbox(known.boxes), atol=1e-3, rtol=1e-5)
        assert torch.equal(labels, known.labels)


@pytest.mark.parametrize(
    'settings',
    [
        {},
        {'flip': 1},
        {'scale': 0.5},
        {'translate': 0.3},
        {'scale': 0.6, 'translate': 0.2, 'flip': 0.5},
    ],
)
def test_boxes_and_pixels_go_through_the_pipeline_together(data, settings):
    samples, shown, off = samples_of(data, **settings), 0, []
    for epoch in range(4):
        samples.set_epoch(epoch)
        for index, known in enumerate(data.records):
            image, boxes, labels = samples[index]
            check_types((image, boxes, labels))
            for box, label in zip(boxes.tolist(), labels.tolist(), strict=True):
                found = marker_box(image, label)
                np.testing.assert_allclose(found, box, atol=1.6)
                off.append(np.subtract(found, box))
                shown += 1
            for label in set(known.labels.tolist()) - set(labels.tolist()):
                found = marker_box(image, label)
                whole = (known.boxes[known.labels == label, 2:] - known.boxes[known.labels == label, :2]).prod()
                scale = Letterbox.fit(known.size, SIZE).scale * 1.6
                assert (
                    found is None
                    or marker_mask(image, label).sum() < 0.15 * whole * scale**2
                    or min(found[2] - found[0], found[3] - found[1]) <= 3
                )
    assert shown > 60
    # No systematic shift between pixels and boxes, not even by half a pixel.
    assert np.abs(np.mean(off, axis=0)).max() < 0.2


def test_rotated_boxes_go_around_the_rotated_pixels(data):
    samples, shown = samples_of(data, degrees=40), 0
    plain = samples_of(data)
    turned = 0
    for index in range(len(data)):
        image, boxes, labels = samples[index]
        turned += not torch.equal(image, plain[index][0])
        for box, label in zip(boxes.tolist(), labels.tolist(), strict=True):
            # Where the edge cuts a turned object, its box may be larger than what is left.
            if box[0] > 0 and box[1] > 0 and box[2] < SIZE[1] and box[3] < SIZE[0]:
                np.testing.assert_allclose(marker_box(image, label), box, atol=3)
                shown += 1
    assert shown > 8 and turned > 8


def test_flip_is_left_to_right(data):
    plain, flipped = samples_of(data), samples_of(data, flip=1)
    for index in range(len(data)):
        (image, boxes, labels), (other, other_boxes, other_labels) = plain[index], flipped[index]
        assert torch.equal(image.flip(2), other) and torch.equal(labels, other_labels)
        mirrored = torch.stack([SIZE[1] - boxes[:, 2], boxes[:, 1], SIZE[1] - boxes[:, 0], boxes[:, 3]], 1)
        torch.testing.assert_close(other_boxes, mirrored)


def test_mosaics_show_their_markers_in_their_boxes(data):
    samples, count, uncovered, shown = samples_of(data, mosaic=1, scale=0.5, flip=0.5), 0, 0, 0
    for index in range(len(data)):
        image, boxes, labels = samples[index]
        check_types((image, boxes, labels))
        covered = torch.zeros(8, *SIZE, dtype=torch.bool)
        for (x1, y1, x2, y2), label in zip(boxes.tolist(), labels.tolist(), strict=True):
            inside = image[:, round(y1) + 1 : round(y2) - 1, round(x1) + 1 : round(x2) - 1]
            assert marker_mask(inside, label).all()
            covered[label, max(round(y1) - 1, 0) : round(y2) + 1, max(round(x1) - 1, 0) : round(x2) + 1] = True
            count += 1
        for label in range(8):
            mask = marker_mask(image, label)
            uncovered, shown = uncovered + (mask & ~covered[label]).sum(), shown + mask.sum()
    # Hardly a marker without a box: only what clip_boxes drops, slivers at the edges.
    assert count > 40 and uncovered < 0.08 * shown


def test_colours_change_by_their_share_and_boxes_do_not(data):
    plain = samples_of(data)
    never, always, half = (
        samples_of(data, color=share, hue=0.1, saturation=0.9, brightness=0.9) for share in (0, 1, 0.5)
    )
    changed = []
    for samples in (never, always, half):
        changed.append(0)
        for epoch in range(2):
            samples.set_epoch(epoch)
            for index in range(len(data)):
                sample = samples[index]
                check_types(sample)
                assert equal(sample[1:], plain[index][1:])
                changed[-1] += not torch.equal(sample[0], plain[index][0])
    assert changed[0] == 0 and changed[1] == 24 and 3 < changed[2] < 21


AUGMENTED = {
    'mosaic': 0.5, 'flip': 0.5, 'color': 0.5, 'scale': 0.5, 'translate': 0.1, 'degrees': 5, 'mosaic_off_epochs': 2,
}  # fmt: skip


def test_a_sample_depends_on_seed_epoch_and_index_only(data):
    samples = samples_of(data, **AUGMENTED)
    first = [samples[i] for i in range(12)]
    torch.manual_seed(99)
    random.seed(99)
    np.random.seed(99)
    again = samples_of(data, **AUGMENTED)
    for i in reversed(range(12)):
        assert equal(again[i], first[i])
    samples.set_epoch(1)
    assert sum(equal(samples[i], first[i]) for i in range(12)) <= 1
    samples.set_epoch(0)
    assert all(equal(samples[i], first[i]) for i in range(12))
    other = samples_of(data, **AUGMENTED, seed=1)
    assert sum(equal(other[i], first[i]) for i in range(12)) <= 1


def test_seed_epoch_and_index_do_not_stand_for_one_another(data):
    same = DetectionSet([data.records[0]] * 3, data.class_names)
    seen = []
    for seed in range(3):
        samples = samples_of(same, scale=0.5, translate=0.3, seed=seed)
        for epoch in range(3):
            samples.set_epoch(epoch)
            seen += [samples[i][0] for i in range(3)]
    assert not any(torch.equal(a, b) for i, a in enumerate(seen) for b in seen[:i])


def test_worker_processes_change_nothing(data):
    samples = samples_of(data, **AUGMENTED)
    for epoch in (0, 3):
        samples.set_epoch(epoch)
        alone, shared = (list(DataLoader(samples, 4, num_workers=n, collate_fn=collate)) for n in (0, 2))
        assert len(alone) == len(shared) == 3
        for (images, targets), (other_images, other_targets) in zip(alone, shared, strict=True):
            assert torch.equal(images, other_images) and equal(targets, other_targets)


def test_generators_of_the_caller_are_left_alone(data):
    states = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    samples = samples_of(data, **AUGMENTED)
    for i in range(12):
        samples[i]
    assert torch.equal(states[0], torch.get_rng_state())
    assert np.array_equal(states[1], np.random.get_state()[1])
    assert states[2] == random.getstate()


def test_no_mosaic_in_the_last_epochs(data, monkeypatch):
    calls, real = [], loader.mosaic
    monkeypatch.setattr(loader, 'mosaic', lambda *args: calls.append(1) or real(*args))
    samples = samples_of(data, mosaic=1, mosaic_off_epochs=3)
    for epoch, expected in ((0, 12), (6, 12), (7, 0), (9, 0), (10, 0)):
        calls.clear()
        samples.set_epoch(epoch)
        for i in range(12):
            samples[i]
        assert len(calls) == expected


def test_mosaic_has_its_share(data, monkeypatch):
    calls, real = [], loader.mosaic
    monkeypatch.setattr(loader, 'mosaic', lambda *args: calls.append(1) or real(*args))
    for share, low, high in ((0, 0, 0), (0.5, 6, 30), (1, 36, 36)):
        calls.clear()
        samples = samples_of(data, mosaic=share, mosaic_off_epochs=0)
        for epoch in range(3):
            samples.set_epoch(epoch)
            for i in range(12):
                samples[i]
        assert low <= len(calls) <= high


def test_the_first_picture_of_a_mosaic_is_the_samples_own(data, monkeypatch):
    seen, real = [], loader.mosaic
    monkeypatch.setattr(loader, 'mosaic', lambda images, *rest: seen.append(images) or real(images, *rest))
    samples = samples_of(data, mosaic=1)
    for i in range(12):
        samples[i]
    assert all(torch.equal(images[0][1], known.boxes) for images, known in zip(seen, data.records, strict=True))
    assert len({images[j][0].shape for images in seen for j in (1, 2, 3)}) > 6


@pytest.mark.parametrize('mosaic', [0, 1])
def test_pictures_without_boxes(data, mosaic):
    empty = DetectionSet([data.records[5]], data.class_names)
    check_types(sample := samples_of(empty, mosaic=mosaic, flip=1, color=1, scale=0.5)[0])
    assert len(sample[1]) == 0


@pytest.mark.parametrize('mosaic', [0, 1])
def test_crowds_are_no_training_targets(data, mosaic):
    known = dataclasses.replace(data.records[0], iscrowd=torch.tensor([True, False]))
    samples = samples_of(DetectionSet([known], data.class_names), mosaic=mosaic)
    assert set(samples[0][2].tolist()) == {known.labels[1].item()}


@pytest.mark.parametrize('mosaic', [0, 1])
def test_a_damaged_file_is_named_and_taken_as_empty(data, tmp_path, mosaic):
    whole = data.records[0]
    content = whole.path.read_bytes()
    (tmp_path / 'cut.png').write_bytes(content[: len(content) // 2])
    cut = dataclasses.replace(whole, path=tmp_path / 'cut.png')
    with pytest.warns(UserWarning, match=r'cut\.png.*taken as an empty picture'):
        sample = samples_of(DetectionSet([cut], data.class_names), mosaic=mosaic)[0]
    check_types(sample)
    assert len(sample[1]) == 0 and (sample[0] == PAD_VALUE).all()
    with pytest.warns(UserWarning, match=r'cut\.png'):
        image, index = EvalSamples(DetectionSet([whole, cut], data.class_names), SIZE)[1]
    assert image.shape == (3, *SIZE) and (image == PAD_VALUE).all() and index == 1


def test_read_or_none(data, tmp_path):
    known = data.records[0]
    assert read_or_none(known.path).shape == (3, *known.size)
    assert read_or_none(known.path, 1).shape == (1, *known.size)
    with pytest.warns(UserWarning, match=r'gone\.png'):
        assert read_or_none(tmp_path / 'gone.png') is None


@pytest.mark.parametrize('mosaic', [0, 1])
def test_grey_input(data, mosaic):
    colour = samples_of(data, mosaic=mosaic)
    grey = TrainSamples(data, SIZE, colour.config, channels=1)
    for i in range(4):
        check_types(grey[i], channels=1)
        red, green, blue = colour[i][0].float()
        assert (grey[i][0][0].float() - (0.299 * red + 0.587 * green + 0.114 * blue)).abs().max() <= 1.01
        assert equal(grey[i][1:], colour[i][1:])


def test_eval_samples_are_letterboxed_pictures(data):
    for channels in (1, 3):
        samples = EvalSamples(data, SIZE, channels)
        assert len(samples) == 12
        for i, known in enumerate(data.records):
            image, index = samples[i]
            assert index == i and image.shape == (channels, *SIZE) and image.dtype == torch.uint8
            letterbox = Letterbox.fit(known.size, SIZE)
            assert (image[:, : letterbox.pad_top] == PAD_VALUE).all()
            if channels == 3:
                for box, label in zip(letterbox.boxes_to_letterbox(known.boxes), known.labels.tolist(), strict=True):
                    np.testing.assert_allclose(marker_box(image, label), box, atol=1.01)


def sample(count, value):
    image = torch.full((3, 4, 4), value, dtype=torch.uint8)
    return image, torch.full((count, 4), float(value)), torch.full((count,), value, dtype=torch.int64)


def test_collate_counts_boxes_by_picture():
    images, targets = collate([sample(2, 0), sample(0, 1), sample(3, 2), sample(0, 3)])
    assert isinstance(targets, Targets) and images.shape == (4, 3, 4, 4) and images.dtype == torch.uint8
    assert targets.image_index.tolist() == [0, 0, 2, 2, 2] and targets.image_index.dtype == torch.int64
    assert targets.labels.tolist() == [0, 0, 2, 2, 2] and targets.boxes[:, 0].tolist() == [0, 0, 2, 2, 2]


def test_collate_of_pictures_without_boxes():
    images, targets = collate([sample(0, 1), sample(0, 2)])
    assert len(images) == 2
    assert [tuple(part.shape) for part in targets] == [(0,), (0,), (0, 4)]
    assert targets.image_index.dtype == targets.labels.dtype == torch.int64


def test_train_loader_shuffles_and_keeps_the_rest(data):
    config = TrainConfig(**PLAIN, batch_size=5, workers=0)
    numbered = [dataclasses.replace(data.records[0], labels=torch.tensor([i, i])) for i in range(12)]
    batches = train_loader(TrainSamples(DetectionSet(numbered, ()), SIZE, config), config)
    assert len(batches) == 3
    torch.manual_seed(0)
    orders = []
    for _ in range(2):
        found = [targets.labels[::2].tolist() for _, targets in batches]
        assert [len(part) for part in found] == [5, 5, 2]
        orders.append(sum(found, []))
    assert all(sorted(order) == list(range(12)) for order in orders)
    assert orders[0] != orders[1] and orders[0] != list(range(12))


def test_helpers_see_markers():
    image, boxes, labels = draw_markers(np.random.default_rng(1), 50, 60, [0, 7])
    assert [marker_box(image, label) for label in labels.tolist()] == boxes.tolist()
    assert marker_box(image, 1) is None and GROUND != PAD_VALUE and len(set(COLOURS)) == 8
