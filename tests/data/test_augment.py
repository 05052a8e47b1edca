import numpy as np
import pytest
import torch
from letterboxing import boxes_to_letterbox
from marker_set import SIZE, check_sample, equal
from markers import draw_markers, marker_box, marker_mask
from torchvision.tv_tensors import Mask

from mbv3zoo.config.presets import AUGMENTATIONS
from mbv3zoo.config.training import TrainConfig
from mbv3zoo.data import augment
from mbv3zoo.data.augment import Augmentation, mixup
from mbv3zoo.images.letterbox import PAD_VALUE, Letterbox


@pytest.fixture(scope='module')
def pictures():
    """12 pictures of many sizes, two markers each but for one without any."""
    rng, found = np.random.default_rng(0), []
    for i in range(12):
        height, width = rng.integers(40, 180, 2).tolist()
        labels = [] if i == 5 else rng.choice(8, 2, replace=False).tolist()
        found.append(draw_markers(rng, height, width, labels))
    return found


def augmentation(pictures, size=SIZE, **settings):
    """Nothing happens but for the settings."""
    config = TrainConfig(**({'augmentation': 'none'} | settings))
    return Augmentation(size, config, len(pictures), pictures.__getitem__)


def samples_of(pictures, seeds=1, mix=True, size=SIZE, **settings):
    """`seeds` samples of each picture, in turn."""
    made = augmentation(pictures, size, **settings)
    for seed in range(seeds):
        for index in range(len(pictures)):
            torch.manual_seed(1000 * seed + index)
            sample = made(index, mix)
            check_sample(sample, size)
            yield sample


def plain(height=60, width=90, value=90):
    return (
        torch.full((3, height, width), value, dtype=torch.uint8),
        torch.zeros(0, 4),
        torch.zeros(0, dtype=torch.int64),
    )


@pytest.fixture
def calls(monkeypatch):
    """What mosaic and mixup are called with."""
    found = {'mosaic': [], 'mixup': []}
    for name, seen in found.items():
        real = getattr(augment, name)
        monkeypatch.setattr(augment, name, lambda *args, seen=seen, real=real: seen.append(args) or real(*args))
    return found


def letterboxed(sample, size=SIZE):
    letterbox = Letterbox.fit(tuple(sample[0].shape[1:]), size)
    return letterbox.apply(sample[0]), boxes_to_letterbox(letterbox, sample[1]), sample[2]


def test_none_is_the_letterboxed_picture(pictures):
    for known, (image, boxes, labels) in zip(pictures, samples_of(pictures), strict=True):
        expected = letterboxed(known)
        assert torch.equal(image, expected[0]) and torch.equal(labels, expected[2])
        # Labels go with the pixels; the letterbox maps boxes to within half a pixel of that.
        torch.testing.assert_close(boxes, expected[1], atol=0.5, rtol=0)


@pytest.mark.parametrize(
    'settings',
    [{}, {'flip': 1}, {'scale': 0.5}, {'translate': 0.3}, {'scale': 0.6, 'translate': 0.2, 'flip': 0.5}],
)
def test_boxes_and_pixels_go_together(pictures, settings):
    shown, off = 0, []
    for i, (image, boxes, labels) in enumerate(samples_of(pictures, seeds=4, **settings)):
        known, known_boxes, known_labels = pictures[i % len(pictures)]
        for box, label in zip(boxes.tolist(), labels.tolist(), strict=True):
            found = marker_box(image, label)
            np.testing.assert_allclose(found, box, atol=1.6)
            off.append(np.subtract(found, box))
            shown += 1
        for label in set(known_labels.tolist()) - set(labels.tolist()):
            # What has lost its box shows next to nothing.
            found = marker_box(image, label)
            whole = (known_boxes[known_labels == label, 2:] - known_boxes[known_labels == label, :2]).prod()
            scale = Letterbox.fit(tuple(known.shape[1:]), SIZE).scale * 1.6
            assert (
                found is None
                or marker_mask(image, label).sum() < 0.15 * whole * scale**2
                or min(found[2] - found[0], found[3] - found[1]) <= 3
            )
    assert shown > 60
    # No systematic shift between pixels and boxes, not even by half a pixel.
    assert np.abs(np.mean(off, axis=0)).max() < 0.2


def test_rotated_boxes_go_around_the_rotated_pixels(pictures):
    shown = turned = 0
    for known, (image, boxes, labels) in zip(pictures, samples_of(pictures, degrees=40), strict=True):
        turned += not torch.equal(image, letterboxed(known)[0])
        for box, label in zip(boxes.tolist(), labels.tolist(), strict=True):
            # Where the edge cuts a turned object, its box may be larger than what is left.
            if box[0] > 0 and box[1] > 0 and box[2] < SIZE[1] and box[3] < SIZE[0]:
                np.testing.assert_allclose(marker_box(image, label), box, atol=3)
                shown += 1
    assert shown > 8 and turned > 8


def test_the_corners_of_a_turned_picture_are_padding():
    image = next(samples_of([plain(96, 128, 255)], degrees=45))[0]
    assert (image[:, [0, 0, -1, -1], [0, -1, 0, -1]] == PAD_VALUE).all() and (image[:, 48, 64] == 255).all()


def test_flip_is_left_to_right(pictures):
    both = zip(samples_of(pictures), samples_of(pictures, flip=1), strict=True)
    for (image, boxes, labels), (other, other_boxes, other_labels) in both:
        # What is left over of the padding for an odd number of columns lies on the other side.
        assert torch.equal(image.flip(2), other) and torch.equal(labels, other_labels)
        mirrored = torch.stack([SIZE[1] - boxes[:, 2], boxes[:, 1], SIZE[1] - boxes[:, 0], boxes[:, 3]], 1)
        torch.testing.assert_close(other_boxes, mirrored)


@pytest.fixture
def places(monkeypatch):
    """(size of the picture, its corner) of each picture that is placed."""
    found, real = [], augment.place

    def seen(canvas, sample, top, left):
        found.append((tuple(sample[0].shape[1:]), (top, left)))
        return real(canvas, sample, top, left)

    monkeypatch.setattr(augment, 'place', seen)
    return found


def test_a_scaled_picture_lies_anywhere_where_no_part_is_lost_in_vain(places):
    list(samples_of([plain(32, 32)], seeds=1200, size=(32, 36), scale=0.08))
    sizes, shares = {size for size, _ in places}, []
    # 30 .. 34 pixels of a square, smaller and larger than the canvas.
    assert {size[0] for size in sizes} >= set(range(30, 35)) and all(h == w for h, w in sizes)
    for axis, side in enumerate((32, 36)):
        for new in range(30, 35):
            found = [corner[axis] for size, corner in places if size[axis] == new]
            free = side - new
            # Every position, the first and the last too, and each as often as the others.
            assert set(found) == set(range(min(free, 0), max(free, 0) + 1))
            counts = np.bincount(np.array(found) - min(free, 0))
            assert (np.abs(counts - counts.mean()) < 5 * counts.mean() ** 0.5).all()
            shares += [corner / free for corner in found] if free else []
    assert abs(np.mean(shares) - 0.5) < 0.03


def test_without_scale_a_picture_is_centred_as_for_prediction(places):
    sizes = [(60, 90), (33, 128), (96, 45), (31, 77), (5, 200)]
    list(samples_of([plain(*size) for size in sizes]))
    for size, (placed, corner) in zip(sizes, places, strict=True):
        letterbox = Letterbox.fit(size, SIZE)
        assert placed == letterbox.resized and corner == (letterbox.pad_top, letterbox.pad_left)


def test_translate_shifts_by_up_to_its_share_of_the_canvas(places):
    list(samples_of([plain(48, 128)], seeds=500, translate=0.25))
    shifts = np.array([corner for _, corner in places]) - (24, 0)
    assert shifts.min(0).tolist() == [-24, -32] and shifts.max(0).tolist() == [24, 32]
    assert np.abs(shifts.mean(0)).max() < 2


def test_scale_draws_evenly(places):
    list(samples_of([plain(96, 128)], seeds=700, scale=0.5))
    factors = np.array([size[0] / 96 for size, _ in places])
    assert 0.49 < factors.min() < 0.51 and 1.49 < factors.max() < 1.51
    assert np.abs(np.quantile(factors, [0.25, 0.5, 0.75]) - [0.75, 1, 1.25]).max() < 0.05


def test_mosaics_show_their_markers_in_their_boxes(pictures):
    count, uncovered, shown = 0, 0, 0
    for image, boxes, labels in samples_of(pictures, mosaic=1, scale=0.5, flip=0.5):
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


def test_the_first_picture_of_a_mosaic_is_the_samples_own(pictures, calls):
    list(samples_of(pictures, mosaic=1))
    mosaics = [images for images, *_ in calls['mosaic']]
    assert all(images[0] is known for images, known in zip(mosaics, pictures, strict=True))
    assert len({id(image) for images in mosaics for image in images[1:]}) > 6


@pytest.mark.parametrize('name', ['mosaic', 'mixup'])
def test_mosaic_and_mixup_have_their_share(pictures, calls, name):
    for share, low, high in ((0, 0, 0), (0.2, 6, 28), (0.5, 23, 49), (1, 72, 72)):
        calls[name].clear()
        list(samples_of(pictures, seeds=6, **{name: share}))
        assert low <= len(calls[name]) <= high


def test_neither_mosaic_nor_mixup_where_not_asked(pictures, calls):
    found = list(samples_of(pictures, mix=False, mosaic=1, mixup=1))
    assert calls == {'mosaic': [], 'mixup': []}
    for sample, known in zip(found, samples_of(pictures), strict=True):
        assert equal(sample, known)


def test_both_halves_of_a_mixup_may_be_mosaics(pictures, calls):
    list(samples_of(pictures, mosaic=1, mixup=1))
    assert len(calls['mosaic']) == 24 and len(calls['mixup']) == 12


def test_mixup_is_the_mean_of_two_pictures_with_the_boxes_of_both(pictures):
    whole, others = [letterboxed(picture) for picture in pictures], []
    for first, (image, boxes, labels) in zip(whole, samples_of(pictures, mixup=1), strict=True):
        means = [(first[0].double() + second[0].double()) / 2 for second in whole]
        fits = [i for i, mean in enumerate(means) if (image.double() - mean).abs().max() <= 0.5]
        assert len(fits) == 1
        second = whole[fits[0]]
        others.append(fits[0])
        torch.testing.assert_close(boxes, torch.cat([first[1], second[1]]), atol=0.5, rtol=0)
        assert labels.tolist() == first[2].tolist() + second[2].tolist()
    assert len(set(others)) > 4 and sum(i == other for i, other in enumerate(others)) < 5


def test_mixup_at_the_ends_of_the_range():
    for one, other, mean in ((0, 0, 0), (255, 255, 255), (0, 255, 127), (255, 254, 254), (200, 100, 150)):
        image, boxes, labels = mixup(plain(value=one), plain(value=other))
        assert image.dtype == torch.uint8 and (image == mean).all()
        assert boxes.shape == (0, 4) and labels.dtype == torch.int64


# Settings under which a share of the pictures changes, each for sure where the share is 1.
CAMERA = {
    'color': {'brightness': 0.9, 'contrast': 0.9, 'saturation': 0.9, 'hue': 0.1},
    'gray': {},
    'blur': {},
    'noise': {},
}


@pytest.mark.parametrize('name', CAMERA)
def test_the_camera_changes_its_share_of_pictures_and_no_boxes(pictures, name):
    known, changed = list(samples_of(pictures)), []
    for share in (0, 0.5, 1):
        found = list(samples_of(pictures, seeds=3, **CAMERA[name], **{name: share}))
        assert all(equal(sample[1:], known[i % 12][1:]) for i, sample in enumerate(found))
        changed.append(sum(not torch.equal(sample[0], known[i % 12][0]) for i, sample in enumerate(found)))
    # The picture without markers has little to blur.
    assert changed[0] == 0 and 8 < changed[1] < 28 and changed[2] >= (33 if name == 'blur' else 36)


@pytest.mark.parametrize('name', ['brightness', 'contrast', 'saturation', 'hue'])
def test_each_change_of_colour_takes_part(pictures, name):
    known = samples_of(pictures)
    changes = [
        (image.int() - before[0].int()).abs().float().mean().item()
        for (image, *_), before in zip(samples_of(pictures, color=1, **{name: 0.5}), known, strict=True)
    ]
    # Only the markers have a hue or a saturation, and black and white ones have neither.
    assert sum(change > 0 for change in changes) >= 10 and np.mean(changes) > 0.5
    assert all(
        torch.equal(image, before[0])
        for (image, *_), before in zip(samples_of(pictures, color=1, **{name: 0}), samples_of(pictures), strict=True)
    )


def test_brightness_multiplies():
    values = [image[0, 48, 64].item() for image, *_ in samples_of([plain(96, 128, 100)], 300, color=1, brightness=0.4)]
    assert 59 <= min(values) < 64 and 136 < max(values) <= 140


def test_contrast_is_about_the_mean():
    image = torch.cat([torch.full((3, 96, 64), 80), torch.full((3, 96, 64), 160)], 2).to(torch.uint8)
    spreads = []
    for changed, *_ in samples_of([(image, *plain()[1:])], 200, color=1, contrast=0.5):
        dark, light = changed[0, 0, 0].item(), changed[0, 0, -1].item()
        assert abs((dark + light) / 2 - 120) <= 1.5
        spreads.append(light - dark)
    assert 38 <= min(spreads) < 45 and 115 < max(spreads) <= 122


def test_gray_pictures_keep_their_luminance(pictures):
    for (image, *_), (before, *_) in zip(samples_of(pictures, gray=1), samples_of(pictures), strict=True):
        assert torch.equal(image[0], image[1]) and torch.equal(image[0], image[2])
        red, green, blue = before.double()
        assert (image[0].double() - (0.299 * red + 0.587 * green + 0.114 * blue)).abs().max() <= 1.01


def test_blur_smooths_and_keeps_what_is_even(pictures):
    assert torch.equal(next(samples_of([plain(96, 128)], blur=1))[0], plain(96, 128)[0])
    marked, shares = [picture for picture in pictures if len(picture[1])], []
    for (image, *_), (before, *_) in zip(samples_of(marked, blur=1), samples_of(marked), strict=True):
        image, before = image.float(), before.float()
        assert abs(image.mean() - before.mean()) < 1
        shares.append((image.diff(dim=2).square().sum() / before.diff(dim=2).square().sum()).item())
    assert max(shares) <= 1 and np.median(shares) < 0.7 and min(shares) > 0.1


def test_noise_is_a_sensors():
    image = next(samples_of([plain(96, 128, 128)], noise=1))[0].double() - 128
    assert abs(image.mean()) < 0.6 and abs(image.std() - 0.04 * 255) < 0.6
    # Nor does it wrap around at the ends of the range.
    assert next(samples_of([plain(96, 128, 0)], noise=1))[0].max() < 80
    assert next(samples_of([plain(96, 128, 255)], noise=1))[0].min() > 170


@pytest.mark.parametrize('name', AUGMENTATIONS)
def test_presets(pictures, name):
    found = list(samples_of(pictures, seeds=2, augmentation=name))
    again = list(samples_of(pictures, seeds=2, augmentation=name))
    assert all(equal(one, other) for one, other in zip(found, again, strict=True))
    changed = sum(not equal(one, other) for one, other in zip(found[:12], found[12:], strict=True))
    assert changed == 0 if name == 'none' else changed >= 11
    assert sum(len(labels) for _, _, labels in found) > 20


@pytest.mark.parametrize('name', AUGMENTATIONS)
def test_pictures_without_boxes(name):
    for _, boxes, labels in samples_of([plain()], seeds=10, augmentation=name):
        assert boxes.shape == (0, 4) and labels.shape == (0,)


@pytest.mark.parametrize('size', [(1, 1), (1, 500), (500, 1), (3, 2), (700, 900)])
def test_extreme_sizes(size):
    picture = (*plain(*size)[:1], torch.tensor([[0.0, 0, size[1], size[0]]]), torch.tensor([0]))
    assert len(list(samples_of([picture], seeds=10, augmentation='heavy'))) == 10
    assert len(list(samples_of([picture], seeds=10, size=(32, 64), scale=0.8, translate=1.0))) == 10


def test_what_is_read_is_not_changed(pictures):
    before = [[part.clone() for part in picture] for picture in pictures]
    list(samples_of(pictures, augmentation='heavy'))
    list(samples_of(pictures, mixup=1, color=1, brightness=0.5, gray=0.5, blur=0.5, noise=0.5))
    assert all(equal(picture, old) for picture, old in zip(pictures, before, strict=True))


def test_pictures_of_the_canvas_size_are_not_shared(pictures):
    # No resize, no rotation, no change: still a copy.
    picture = plain(*SIZE)
    image = next(samples_of([picture]))[0]
    image.zero_()
    assert (picture[0] == 90).all()


@pytest.mark.parametrize('settings', [{}, {'mosaic': 1}, {'degrees': 40}, {'scale': 0.5, 'translate': 0.3, 'flip': 1}])
def test_a_mask_moves_with_its_picture(settings):
    """Each class has its grey level: after any augmentation of geometry the mask still says which."""
    levels = torch.tensor([0, 80, 160, 240], dtype=torch.uint8)
    classes = torch.arange(4, dtype=torch.uint8).reshape(2, 2).repeat_interleave(40, 0).repeat_interleave(60, 1)
    picture = levels[classes.long()].expand(3, -1, -1).contiguous()
    config = TrainConfig(**{'mosaic': 0, 'color': 0, 'gray': 0, 'blur': 0, 'noise': 0, 'mixup': 1, **settings})
    augment = Augmentation((96, 96), config, 4, lambda _: (picture, Mask(classes), torch.zeros(0, dtype=torch.int64)))
    torch.manual_seed(0)
    for _ in range(4):
        image, mask, _ = augment(0, mix=True)
        assert isinstance(mask, Mask) and mask.shape == image.shape[1:] and mask.dtype == torch.uint8
        known = mask != 255
        assert known.any() and (image[:, ~known] == 114).float().mean() > 0.9 if (~known).any() else True
        # Grey levels are mixed where classes meet.
        same = (image[0][known].int() - levels[mask[known].long()].int()).abs() < 20
        assert same.float().mean() > 0.9
