import numpy as np
import pytest
from PIL import Image

from mbv3zoo.synth import CLASS_NAMES, SyntheticConfig, generate_scene, open_sources
from mbv3zoo.synth import scene as scene_module
from mbv3zoo.synth.scene import compose
from mbv3zoo.synth.sprites import DrawnObjects, Sprite

SMALL = SyntheticConfig(image_size=160, min_objects=4, max_objects=10, negatives=0.0)


class NumberedObjects(DrawnObjects):
    """The drawn shapes with hard edges, the n-th in the colour (n, 0, 0): pixels say whose they are."""

    def __init__(self):
        self.areas, self.labels, self.sizes = [], [], []

    def sprite(self, rng, label, size):
        alpha = (super().sprite(rng, label, size).alpha > 0.5).astype(np.float32)
        self.areas.append(int(alpha.sum()))
        self.labels.append(label)
        self.sizes.append(size)
        rgb = np.zeros((*alpha.shape, 3), dtype=np.float32)
        rgb[..., 0] = len(self.areas)
        return Sprite(rgb, alpha)


class BlackBackgrounds:
    def picture(self, rng, height, width):
        return np.zeros((height, width, 3), dtype=np.float32)


@pytest.fixture
def plain_paint(monkeypatch):
    monkeypatch.setattr(scene_module, '_stand_out', lambda rgb, under, mask: rgb)
    monkeypatch.setattr(scene_module, '_photograph', lambda rng, canvas: Image.fromarray(canvas.astype(np.uint8)))


def slow_box(owner, number):
    """Tight bounds, a pixel at a time."""
    x0, y0, x1, y1 = 10**6, 10**6, 0, 0
    for y, row in enumerate(owner.tolist()):
        for x, value in enumerate(row):
            if value == number:
                x0, y0, x1, y1 = min(x0, x), min(y0, y), max(x1, x + 1), max(y1, y + 1)
    return x0, y0, x1, y1


def test_boxes_are_the_tight_bounds_of_what_the_pixels_show(plain_paint):
    cut, hidden, shares = 0, 0, []
    for seed in range(12):
        objects = NumberedObjects()
        scene = compose(np.random.default_rng(seed), SMALL, objects, BlackBackgrounds())
        owner = np.asarray(scene.image)[..., 0]
        numbers = sorted(set(owner.ravel().tolist()) - {0})
        # Everything that can be seen has a label, and every label something that can be seen.
        assert len(numbers) == len(scene.boxes) == len(scene.masks)
        for number, box, label, mask in zip(numbers, scene.boxes, scene.labels, scene.masks, strict=True):
            assert slow_box(owner, number) == tuple(box)
            assert objects.labels[number - 1] == label
            assert ((owner == number) == mask).all()
            share = mask.sum() / objects.areas[number - 1]
            assert share >= 0.25 and min(box[2] - box[0], box[3] - box[1]) >= 6
            shares.append(share)
            touches = box[0] == 0 or box[1] == 0 or box[2] == owner.shape[1] or box[3] == owner.shape[0]
            cut += share < 0.95 and touches
            hidden += share < 0.95 and not touches
    assert cut > 5 and hidden > 5 and min(shares) < 0.5


def test_scale_is_log_uniform_over_more_than_two_octaves(plain_paint):
    objects, config = NumberedObjects(), SyntheticConfig(image_size=100, max_objects=8, negatives=0.0)
    boxes = []
    for seed in range(60):
        scene = compose(np.random.default_rng(seed), config, objects, BlackBackgrounds())
        boxes.append(scene.boxes)
    asked = np.log2(np.array(objects.sizes) / 100)
    low, high = np.log2(0.1), np.log2(0.6)
    assert low <= asked.min() < low + 0.1 and high - 0.1 < asked.max() <= high
    quarters = np.histogram(asked, bins=4, range=(low, high))[0] / len(asked)
    assert (abs(quarters - 0.25) < 0.08).all()
    boxes = np.concatenate(boxes)
    longest = np.maximum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])
    assert longest.max() / longest.min() > 4


def test_generate_scene_returns_boxes_inside_the_image():
    config, shapes, classes = SyntheticConfig(image_size=128), set(), set()
    sources = open_sources(config)
    for seed in range(60):
        image, boxes, labels = generate_scene(np.random.default_rng(seed), config, sources)
        shapes.add(image.size)
        classes |= set(labels.tolist())
        assert image.mode == 'RGB' and max(image.size) == 128
        assert boxes.dtype == np.float32 and labels.dtype == np.int64 and len(boxes) == len(labels) <= 8
        assert boxes.shape[1:] == (4,) and (boxes[:, :2] >= 0).all()
        assert (boxes[:, 2:] <= image.size).all() and (boxes[:, 2:] - boxes[:, :2] >= 6).all()
    assert len(shapes) >= 3 and classes == set(range(len(CLASS_NAMES)))


def test_the_generator_decides_everything():
    def draw(seed):
        image, boxes, labels = generate_scene(np.random.default_rng(seed), SMALL)
        return image.tobytes(), boxes.tobytes(), labels.tobytes()

    assert draw(5) == draw(5) != draw(6)


def test_a_scene_without_objects():
    image, boxes, labels = generate_scene(np.random.default_rng(0), SyntheticConfig(image_size=64, negatives=1.0))
    assert max(image.size) == 64 and boxes.shape == (0, 4) and labels.shape == (0,)
    assert boxes.dtype == np.float32 and labels.dtype == np.int64


def test_objects_that_find_no_place_are_left_out(plain_paint):
    crowd = SyntheticConfig(image_size=64, min_objects=60, max_objects=60, min_scale=0.9, max_scale=1.0, negatives=0.0)
    objects = NumberedObjects()
    scene = compose(np.random.default_rng(0), crowd, objects, BlackBackgrounds())
    assert len(objects.areas) == 60 and 1 <= len(scene.boxes) < 60
    assert len(set(np.asarray(scene.image)[..., 0].ravel().tolist()) - {0}) == len(scene.boxes)


@pytest.mark.parametrize('grey', [0, 110, 140, 255])
@pytest.mark.parametrize('stripe', [0, 90, -90])
def test_an_object_in_the_colours_of_its_background_still_stands_out(monkeypatch, grey, stripe):
    class Camouflaged(DrawnObjects):
        def sprite(self, rng, label, size):
            rgb, alpha = super().sprite(rng, label, size)
            rgb = np.full_like(rgb, grey)
            rgb[:, ::2] = np.clip(grey + stripe, 0, 255)
            return Sprite(rgb, alpha)

    class Flat:
        def picture(self, rng, height, width):
            return np.full((height, width, 3), grey, dtype=np.float32)

    monkeypatch.setattr(scene_module, '_photograph', lambda rng, canvas: canvas)
    config = SyntheticConfig(image_size=160, max_objects=1, negatives=0.0)
    for seed in range(5):
        scene = compose(np.random.default_rng(seed), config, Camouflaged(), Flat())
        distance = np.linalg.norm(scene.image - grey, axis=2)
        assert np.mean(distance[scene.masks[0]] > 20) > 0.6
        assert np.mean(distance[~scene.masks[0]] > 5) < 0.02
