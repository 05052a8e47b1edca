import numpy as np
import pytest
from PIL import Image

from mbv3zoo.synth import CLASS_NAMES, SyntheticConfig
from mbv3zoo.synth import scene as scene_module
from mbv3zoo.synth import shifted as shifted_module
from mbv3zoo.synth.backgrounds import DrawnBackgrounds
from mbv3zoo.synth.scene import arrange
from mbv3zoo.synth.shifted import compose_shifted
from mbv3zoo.synth.sprites import DrawnObjects, Sprite

SMALL = SyntheticConfig(image_size=128, min_objects=3, max_objects=8, negatives=0.0)


class ChannelObjects(DrawnObjects):
    """Three drawn shapes with hard edges, each in a channel of its own: pixels say whose they are."""

    def __init__(self):
        self.areas, self.labels = [], []

    def sprite(self, rng, label, size):
        alpha = (super().sprite(rng, label, size).alpha > 0.5).astype(np.float32)
        rgb = np.zeros((*alpha.shape, 3), dtype=np.float32)
        rgb[..., len(self.areas)] = 200
        self.areas.append(int(alpha.sum()))
        self.labels.append(label)
        return Sprite(rgb, alpha)


class BlackBackgrounds:
    def picture(self, rng, height, width):
        return np.zeros((height, width, 3), dtype=np.float32)


def slow_box(owned):
    """Tight bounds, a pixel at a time."""
    x0, y0, x1, y1 = 10**6, 10**6, 0, 0
    for y, row in enumerate(owned.tolist()):
        for x, value in enumerate(row):
            if value:
                x0, y0, x1, y1 = min(x0, x), min(y0, y), max(x1, x + 1), max(y1, y + 1)
    return x0, y0, x1, y1


def test_boxes_are_the_tight_bounds_of_what_the_bent_picture_shows(monkeypatch):
    monkeypatch.setattr(scene_module, '_stand_out', lambda rgb, under, mask: rgb)
    monkeypatch.setattr(shifted_module, 'ShiftedBackgrounds', BlackBackgrounds)
    bent = []

    def plain(rng, canvas):
        bent.append(canvas)
        return Image.fromarray(canvas.astype(np.uint8))

    monkeypatch.setattr(shifted_module, '_photograph', plain)
    config = SyntheticConfig(image_size=128, min_objects=3, max_objects=3, max_scale=0.9, negatives=0.0)
    moved, cut = 0, 0
    for seed in range(20):
        objects = ChannelObjects()
        scene = compose_shifted(np.random.default_rng(seed), config, objects)
        flat = arrange(np.random.default_rng(seed), config, ChannelObjects(), BlackBackgrounds())
        # A pixel belongs to the object that gives it more than half of its light.
        pixels = bent[-1] > 100
        shown = [channel for channel in range(3) if pixels[..., channel].any()]
        # Everything that can be seen has a label, and every label something that can be seen.
        assert len(shown) == len(scene.boxes) == len(scene.masks) == len(scene.labels)
        for index, channel in enumerate(shown):
            assert (pixels[..., channel] == scene.masks[index]).all()
            assert slow_box(pixels[..., channel]) == tuple(scene.boxes[index])
            assert objects.labels[channel] == scene.labels[index]
            width, height = np.subtract(scene.boxes[index][2:], scene.boxes[index][:2])
            assert min(width, height) >= 6 and scene.masks[index].sum() >= 0.25 * objects.areas[channel]
            moved += slow_box(flat.masks[index]) != tuple(scene.boxes[index])
            cut += flat.masks[index].sum() > 1.1 * scene.masks[index].sum()
        assert scene.masks.sum(axis=0).max() <= 1
    assert moved > 30 and cut > 0


def test_what_would_leave_the_picture_keeps_it_from_bending(monkeypatch):
    # A square that needs all of its six rows, at the very border: any narrower view would cut it.
    canvas = np.zeros((64, 64, 3), dtype=np.float32)
    mask = np.zeros((64, 64), dtype=bool)
    mask[:6, 20:26] = True
    layout = scene_module.Layout(canvas, [mask], [36], [0])
    asked = []

    def never(mask, least_area):
        asked.append(least_area)
        return False

    monkeypatch.setattr(shifted_module, 'recognisable', never)
    bent = shifted_module._bend(np.random.default_rng(0), layout)
    assert asked == [9.0] * 4
    np.testing.assert_array_equal(bent.masks[0], mask)


def crossing(profile, near):
    """Where a profile is half-way between what it is on either side of an edge, in pixels; the edge is at `near`."""
    low, high = np.median(profile[near - 12 : near - 5]), np.median(profile[near + 5 : near + 12])
    share = (profile - low) / (high - low)
    first = next(i for i in range(near - 8, near + 8) if share[i] >= 0.5)
    # Pixel i reaches from i to i + 1: its value stands for i + 0.5.
    return first + 0.5 - (share[first] - 0.5) / (share[first] - share[first - 1])


@pytest.mark.parametrize('dark_object', [False, True])
def test_the_camera_moves_and_grows_nothing(dark_object):
    values = (190, 60) if dark_object else (60, 190)
    canvas = np.full((96, 128, 3), values[0], dtype=np.float32)
    canvas[24:72, 32:96] = values[1]
    for seed in range(25):
        pixels = np.asarray(shifted_module._photograph(np.random.default_rng(seed), canvas.copy())).astype(float).sum(2)
        across, down = pixels[30:66].mean(axis=0), pixels[:, 40:88].mean(axis=1)
        found = [crossing(across, 32), crossing(across, 96), crossing(down, 24), crossing(down, 72)]
        # A curve of exposure moves the half-way point of a blurred edge a little.
        np.testing.assert_allclose(found, [32, 96, 24, 72], atol=1)


def test_pictures_are_worse_than_those_of_training():
    # A fine pattern, photographed: sharpness lost, noise gained, brightness spread.
    stripes = np.zeros((96, 96, 3), dtype=np.float32)
    stripes[:, ::8] = stripes[:, 1::8] = stripes[:, 2::8] = stripes[:, 3::8] = 160
    grey = np.full((96, 96, 3), 110, dtype=np.float32)

    def figures(photograph):
        shots = [np.asarray(photograph(np.random.default_rng(i), stripes.copy())).astype(float) for i in range(40)]
        flat = [np.asarray(photograph(np.random.default_rng(i), grey.copy())).astype(float) for i in range(40)]
        steepest = [abs(np.diff(s.mean(axis=(0, 2)))).max() / np.ptp(s.mean(axis=(0, 2))) for s in shots]
        noise = [abs(np.diff(f, axis=1)).mean() for f in flat]
        casts = [np.ptp(f.mean(axis=(0, 1))) for f in flat]
        return np.mean(steepest), np.mean(noise), np.std([f.mean() for f in flat]), np.mean(casts)

    trained, shifted = figures(scene_module._photograph), figures(shifted_module._photograph)
    assert shifted[0] < 0.9 * trained[0]
    assert shifted[1] > 2 * trained[1]
    assert shifted[2] > 1.3 * trained[2]
    assert shifted[3] > 10 > trained[3]


def test_the_generator_decides_everything():
    def draw(seed):
        scene = compose_shifted(np.random.default_rng(seed), SMALL, DrawnObjects())
        return scene.image.tobytes(), scene.boxes.tobytes(), scene.labels.tobytes()

    assert draw(5) == draw(5) != draw(6)


def test_no_background_of_training_is_asked_for(monkeypatch, tmp_path):
    def refuse(self, rng, height, width):
        raise AssertionError('a background of training')

    monkeypatch.setattr(DrawnBackgrounds, 'picture', refuse)
    # The folder is not even opened.
    config = SMALL.model_copy(update={'backgrounds': tmp_path / 'none'})
    labels, shapes = set(), set()
    for seed in range(25):
        scene = compose_shifted(np.random.default_rng(seed), config, DrawnObjects())
        labels |= set(scene.labels.tolist())
        shapes.add(scene.image.size)
        assert scene.image.mode == 'RGB' and max(scene.image.size) == 128
        assert scene.boxes.dtype == np.float32 and scene.labels.dtype == np.int64
    assert len(shapes) >= 3 and labels == set(range(len(CLASS_NAMES)))


def test_a_scene_without_objects():
    config = SyntheticConfig(image_size=64, negatives=1.0, min_scale=0.1)
    scene = compose_shifted(np.random.default_rng(0), config, DrawnObjects())
    assert scene.boxes.shape == (0, 4) and scene.labels.shape == (0,) and len(scene.masks) == 0
