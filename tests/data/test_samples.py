import dataclasses
import random

import numpy as np
import pytest
import torch
from letterboxing import boxes_to_letterbox
from marker_set import SIZE, check_sample, equal, marked_record, marker_set
from markers import marker_box
from PIL import Image
from tiny_sets import write_mask_set
from torch.utils.data import ConcatDataset, DataLoader

from mbv3zoo.config.presets import AUGMENTATIONS
from mbv3zoo.config.training import TrainConfig
from mbv3zoo.data import augment
from mbv3zoo.data.detection_set import DetectionSet
from mbv3zoo.data.load import load_dataset
from mbv3zoo.data.loader import collate
from mbv3zoo.data.samples import EvalSamples, TrainSamples
from mbv3zoo.images.letterbox import PAD_VALUE, Letterbox
from mbv3zoo.images.masks import IGNORE_INDEX

CACHES = ('no', 'memory', 'disk')
PLAIN = {'epochs': 10, 'augmentation': 'none'}
# All that draws, so that little of it would be missed.
AUGMENTED = {'epochs': 10, 'augmentation': 'heavy', 'mosaic': 0.5, 'mixup': 0.5, 'mosaic_off_epochs': 2}


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    return marker_set(tmp_path_factory.mktemp('pictures'))


@pytest.fixture(autouse=True)
def user_cache(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))


def samples_of(data, **settings):
    return TrainSamples(data, SIZE, TrainConfig(**(PLAIN | settings)))


def test_without_augmentation_a_sample_is_the_letterboxed_picture(data):
    samples, exact = samples_of(data), 0
    assert len(samples) == 12
    for index, known in enumerate(data.records):
        image, boxes, labels = samples[index]
        check_sample((image, boxes, labels))
        letterbox = Letterbox.fit(known.size, SIZE)
        pixels = letterbox.apply(torch.from_numpy(np.array(Image.open(known.path))).permute(2, 0, 1))
        if max(known.size) <= max(SIZE):
            assert torch.equal(image, pixels)
            # Labels go with the pixels; the letterbox maps boxes to within half a pixel of that.
            torch.testing.assert_close(boxes, boxes_to_letterbox(letterbox, known.boxes), atol=0.5, rtol=0)
            exact += 1
        else:
            # Shrunk twice, once to be kept; that rounds its sides twice.
            assert (image.int() - pixels.int()).abs().float().mean() < 4
            torch.testing.assert_close(boxes, boxes_to_letterbox(letterbox, known.boxes), atol=1.25, rtol=0)
        assert torch.equal(labels, known.labels)
    assert 3 <= exact < 12


@pytest.mark.parametrize('suffix', ['.png', '.jpg'])
@pytest.mark.parametrize('size', [(301, 403), (517, 233), (1001, 701)])
def test_boxes_of_large_pictures_are_shrunk_with_them(tmp_path, size, suffix):
    jpeg = {'quality': 95, 'subsampling': 0} if suffix == '.jpg' else {}
    known = marked_record(tmp_path / f'a{suffix}', *size, [1, 3, 7], **jpeg)
    samples = samples_of(DetectionSet([known], tuple('abcdefgh')))
    image, boxes, labels = samples[0]
    check_sample((image, boxes, labels))
    assert labels.tolist() == [1, 3, 7]
    # Both ways of the box: by the sizes that the picture had on the way, and by what is to be seen.
    small = samples.pictures.size(0)
    ratio = known.boxes.new_tensor([small[1] / size[1], small[0] / size[0]] * 2)
    expected = boxes_to_letterbox(Letterbox.fit(small, SIZE), known.boxes * ratio)
    torch.testing.assert_close(boxes, expected, atol=0.5, rtol=0)
    for box, label in zip(boxes.tolist(), labels.tolist(), strict=True):
        np.testing.assert_allclose(marker_box(image, label), box, atol=0.75)


@pytest.mark.parametrize('name', AUGMENTATIONS)
def test_a_sample_depends_on_seed_epoch_and_index_only(data, name):
    settings = AUGMENTED | {'augmentation': name}
    samples = samples_of(data, **settings)
    first = [samples[i] for i in range(12)]
    torch.manual_seed(99)
    random.seed(99)
    np.random.seed(99)
    again = samples_of(data, **settings)
    for i in reversed(range(12)):
        assert equal(again[i], first[i])
    samples.set_epoch(1)
    assert sum(equal(samples[i], first[i]) for i in range(12)) <= 5
    samples.set_epoch(0)
    assert all(equal(samples[i], first[i]) for i in range(12))
    other = samples_of(data, **settings, seed=1)
    assert sum(equal(other[i], first[i]) for i in range(12)) <= 5


def test_seed_epoch_and_index_do_not_stand_for_one_another(data):
    same = DetectionSet([data.records[0]] * 3, data.class_names)
    seen = []
    for seed in range(3):
        samples = samples_of(same, scale=0.5, translate=0.3, seed=seed)
        for epoch in range(3):
            samples.set_epoch(epoch)
            seen += [samples[i][0] for i in range(3)]
    assert not any(torch.equal(a, b) for i, a in enumerate(seen) for b in seen[:i])


def test_any_seed_will_do(data):
    seeds = [0, -1, 20240131, 2**32 - 2, 10**18 + 7]
    found = [samples_of(data, seed=seed, scale=0.5)[0][0] for seed in seeds]
    assert not any(torch.equal(a, b) for i, a in enumerate(found) for b in found[:i])


def test_generators_of_the_caller_are_left_alone(data, monkeypatch):
    # GPUs' too, whose state is not put back.
    monkeypatch.setattr(torch.cuda, 'manual_seed_all', lambda seed: pytest.fail('seeds the GPUs'))
    states = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    samples = samples_of(data, **AUGMENTED)
    for i in range(12):
        samples[i]
    assert torch.equal(states[0], torch.get_rng_state())
    assert np.array_equal(states[1], np.random.get_state()[1])
    assert states[2] == random.getstate()


def batches_of(samples, **settings):
    return list(DataLoader(samples, 4, collate_fn=collate, **settings))


def check_equal(batches, expected):
    assert len(batches) == len(expected)
    for (images, targets), (other_images, other_targets) in zip(batches, expected, strict=True):
        assert torch.equal(images, other_images) and equal(targets, other_targets)


@pytest.mark.parametrize('cache', CACHES)
def test_images_with_masks_may_be_kept_too(tmp_path, cache):
    data = load_dataset(write_mask_set(tmp_path / 'set', {'train': 4}, (48, 64)), 'train', task='segmentation')
    samples = samples_of(data, cache=cache)
    for _ in range(2):
        for i, record in enumerate(data.records):
            letterbox = Letterbox.fit(record.size, SIZE)
            image, mask = samples[i][:2]
            assert torch.equal(
                image, letterbox.apply(torch.from_numpy(np.array(Image.open(record.path))).permute(2, 0, 1))
            )
            assert torch.equal(mask[mask != IGNORE_INDEX].unique(), torch.tensor(sorted(record.classes)))


@pytest.mark.parametrize('cache', CACHES)
def test_neither_caches_nor_loader_processes_change_a_sample(data, cache):
    plain, cached = samples_of(data, **AUGMENTED), samples_of(data, **AUGMENTED, cache=cache)
    # The later epochs see what the first have kept.
    for epoch, workers in ((0, 2), (3, 0), (9, 2)):
        plain.set_epoch(epoch)
        cached.set_epoch(epoch)
        check_equal(batches_of(cached, num_workers=workers), batches_of(plain))


def test_what_a_loader_process_decodes_the_others_find(data, monkeypatch):
    for cache in ('memory', 'disk'):
        samples = samples_of(data, cache=cache)
        batches = batches_of(samples, num_workers=2)
        with monkeypatch.context() as patch:
            patch.setattr(samples.pictures, '_read', lambda index: pytest.fail('decoded again'))
            check_equal(batches_of(samples), batches)


def test_loader_processes_that_are_no_forks(data, monkeypatch):
    # The rule on macOS and Windows. One process for all, since it takes seconds to start.
    samples = [samples_of(data, **AUGMENTED, cache=cache) for cache in CACHES]
    batches = batches_of(ConcatDataset(samples), num_workers=1, multiprocessing_context='spawn')
    check_equal(batches, batches_of(samples[0]) * 3)
    for kept in samples[1:]:
        monkeypatch.setattr(kept.pictures, '_read', lambda index: pytest.fail('decoded again'))
        assert kept.pictures.ready.all() and equal(kept[0], samples[0][0])


@pytest.mark.parametrize('name', ['mosaic', 'mixup'])
def test_neither_mosaic_nor_mixup_in_the_last_epochs(data, monkeypatch, name):
    calls, real = [], getattr(augment, name)
    monkeypatch.setattr(augment, name, lambda *args: calls.append(1) or real(*args))
    samples = samples_of(data, **{name: 1}, mosaic_off_epochs=3)
    for epoch, expected in ((0, 12), (6, 12), (7, 0), (9, 0), (10, 0)):
        calls.clear()
        samples.set_epoch(epoch)
        for i in range(12):
            samples[i]
        assert len(calls) == expected
    for off, expected in ((0, 12), (10, 0), (30, 0)):
        calls.clear()
        samples = samples_of(data, **{name: 1}, mosaic_off_epochs=off)
        samples.set_epoch(9 if off == 0 else 0)
        for i in range(12):
            samples[i]
        assert len(calls) == expected


@pytest.mark.parametrize('mosaic', [0, 1])
def test_pictures_without_boxes(data, mosaic):
    empty = DetectionSet([data.records[5]], data.class_names)
    sample = samples_of(empty, augmentation='heavy', mosaic=mosaic)[0]
    check_sample(sample)
    assert len(sample[1]) == 0


@pytest.mark.parametrize('mosaic', [0, 1])
def test_crowds_are_no_training_targets(data, mosaic):
    known = dataclasses.replace(data.records[0], iscrowd=torch.tensor([True, False]))
    samples = samples_of(DetectionSet([known], data.class_names), mosaic=mosaic)
    assert set(samples[0][2].tolist()) == {known.labels[1].item()}


@pytest.mark.parametrize('mosaic', [0, 1])
@pytest.mark.parametrize('cache', CACHES)
def test_a_damaged_file_is_named_each_time_and_taken_as_empty(tmp_path, mosaic, cache):
    # Larger than the input: nothing of that size is made.
    cut = marked_record(tmp_path / 'cut.png', 500, 700, [0, 1])
    content = cut.path.read_bytes()
    cut.path.write_bytes(content[: len(content) // 2])
    samples = samples_of(DetectionSet([cut], ('a', 'b')), mosaic=mosaic, cache=cache)
    for _ in range(2):
        with pytest.warns(UserWarning, match=r'cut\.png.*taken as an empty picture'):
            sample = samples[0]
        check_sample(sample)
        assert len(sample[1]) == 0 and (sample[0] == PAD_VALUE).all()
    assert samples._read(0)[0].shape == (3, 91, 128)


@pytest.mark.parametrize('workers', [0, 1])
def test_a_vanished_file_ends_the_training(tmp_path, workers):
    records = [marked_record(tmp_path / f'{i}.png', 50, 60, [0]) for i in range(2)]
    samples = samples_of(DetectionSet(records, ('a',)))
    records[1].path.unlink()
    with pytest.raises(FileNotFoundError, match=r'1\.png was there'):
        batches_of(samples, num_workers=workers)


@pytest.mark.parametrize('name', AUGMENTATIONS)
def test_grey_input(data, name):
    colour = samples_of(data, augmentation=name)
    grey = TrainSamples(data, SIZE, colour.config, channels=1)
    for i in range(4):
        check_sample(grey[i], channels=1)
        red, green, blue = colour[i][0].float()
        assert (grey[i][0][0].float() - (0.299 * red + 0.587 * green + 0.114 * blue)).abs().max() < 1.05
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
                for box, label in zip(boxes_to_letterbox(letterbox, known.boxes), known.labels.tolist(), strict=True):
                    np.testing.assert_allclose(marker_box(image, label), box, atol=1.01)


def test_eval_samples_of_damaged_and_vanished_files(data, tmp_path):
    content = data.records[0].path.read_bytes()
    (tmp_path / 'cut.png').write_bytes(content[: len(content) // 2])
    records = [
        data.records[0],
        *(dataclasses.replace(data.records[0], path=tmp_path / n) for n in ('cut.png', 'gone.png')),
    ]
    samples = EvalSamples(DetectionSet(records, data.class_names), SIZE)
    with pytest.warns(UserWarning, match=r'cut\.png.*taken as an empty picture'):
        image, index = samples[1]
    assert image.shape == (3, *SIZE) and (image == PAD_VALUE).all() and index == 1
    with pytest.raises(FileNotFoundError, match=r'gone\.png'):
        samples[2]
