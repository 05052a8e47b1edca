import numpy as np
import pytest
import torch
from markers import COLOURS, GROUND, draw_markers, marker_box
from torchvision.ops import box_iou
from torchvision.tv_tensors import Mask

from mbv3zoo.config.training import TrainConfig
from mbv3zoo.data import copy_paste
from mbv3zoo.data.augment import Augmentation
from mbv3zoo.data.copy_paste import paste_objects
from mbv3zoo.data.placing import LabelledImage

NONE = torch.zeros(0, dtype=torch.int64)


@pytest.fixture(autouse=True)
def every_object(monkeypatch):
    monkeypatch.setattr(copy_paste, '_CHOSEN', 1.0)


def empty(height=80, width=120) -> LabelledImage:
    return torch.full((3, height, width), GROUND, dtype=torch.uint8), torch.zeros(0, 4), NONE


def markers(labels, seed=0, height=60, width=90) -> LabelledImage:
    return draw_markers(np.random.default_rng(seed), height, width, labels)


@pytest.mark.parametrize('seed', range(8))
def test_what_is_pasted_is_in_its_box(seed):
    torch.manual_seed(seed)
    image, boxes, labels = paste_objects(empty(), markers([1, 4], seed))
    assert labels.tolist() == [1, 4] and image.shape == (3, 80, 120)
    assert (boxes >= 0).all() and (boxes <= torch.tensor([120.0, 80, 120, 80])).all()
    for box, label in zip(boxes, labels.tolist(), strict=True):
        found = marker_box(image, label)
        # The second may lie over a part of the first.
        if label == 4 or box_iou(boxes[:1], boxes[1:]).item() == 0:
            assert box.tolist() == pytest.approx(found, abs=1.5)


def test_arguments_are_not_changed_and_the_rest_of_the_image_neither():
    image, source = markers([0, 2], 1, 200, 300), markers([3], 2)
    before = [part.clone() for part in (*image, *source)]
    torch.manual_seed(0)
    pasted = paste_objects(image, source)
    assert all(torch.equal(one, other) for one, other in zip(before, (*image, *source), strict=True))
    assert torch.equal(pasted[1][:2], image[1]) and pasted[2].tolist() == [0, 2, 3]
    height, width = (pasted[1][2, 2:] - pasted[1][2, :2]).tolist()
    changed = (pasted[0] != image[0]).any(0).nonzero()
    border = torch.tensor([height, width]).max() * copy_paste._FADING + 2
    assert (changed.amin(0) >= pasted[1][2, :2].flip(0) - border).all()
    assert (changed.amax(0) <= pasted[1][2, 2:].flip(0) + border).all()


def test_no_box_is_covered_by_more_than_three_tenths():
    full = torch.tensor([[0.0, 0, 60, 40], [60, 0, 120, 40], [0, 40, 60, 80], [60, 40, 120, 80]])
    image = empty()[0], full, torch.tensor([0, 1, 2, 3])
    for seed in range(20):
        torch.manual_seed(seed)
        boxes = paste_objects(image, markers([5], seed))[1]
        for pasted in boxes[4:]:
            low, high = torch.maximum(full[:, :2], pasted[:2]), torch.minimum(full[:, 2:], pasted[2:])
            assert ((high - low).clamp(min=0).prod(1) / 2400).max() <= 0.3


def test_an_object_that_another_covers_stays_where_it_is():
    pixels = torch.zeros(3, 50, 50, dtype=torch.uint8)
    source = pixels, torch.tensor([[0.0, 0, 40, 40], [10, 10, 30, 30], [42, 42, 50, 50]]), torch.tensor([0, 1, 2])
    # The first has the second in it, which would have no label where the first is pasted alone.
    assert paste_objects(empty(), source)[2].tolist() == [2]


def test_nothing_to_paste_and_boxes_at_the_edge():
    image = markers([0])
    assert all(torch.equal(one, other) for one, other in zip(paste_objects(image, empty()), image, strict=True))
    edge = torch.tensor([[-0.5, -0.5, 89.5, 60.5], [89.9, 0, 90.4, 60]])
    source = markers([0])[0], edge, torch.tensor([0, 1])
    torch.manual_seed(0)
    boxes = paste_objects(empty(), source)[1]
    assert len(boxes) == 1 and torch.isfinite(boxes).all()
    # On an image smaller than the object it fills it at most.
    small = paste_objects(empty(12, 10), markers([0], height=300, width=300))
    assert (small[1] >= 0).all() and (small[1] <= 12).all()


def test_masks_are_pasted_by_their_pixels():
    pixels = torch.full((3, 60, 60), GROUND, dtype=torch.uint8)
    labels = torch.zeros(60, 60, dtype=torch.uint8)
    y, x = torch.meshgrid(torch.arange(60), torch.arange(60), indexing='ij')
    disc = (y - 20) ** 2 + (x - 20) ** 2 < 144
    labels[disc], pixels[:, disc] = 3, torch.tensor(COLOURS[0], dtype=torch.uint8)[:, None]
    labels[50:] = 255
    image = torch.full((3, 80, 100), GROUND, dtype=torch.uint8), Mask(torch.ones(80, 100, dtype=torch.uint8)), NONE
    for seed in range(6):
        torch.manual_seed(seed)
        canvas, mask, empty_labels = paste_objects(image, (pixels, Mask(labels), NONE))
        assert isinstance(mask, Mask) and len(empty_labels) == 0
        plain = mask.as_subclass(torch.Tensor)
        # The background of the source, most of it, and what has no class, stay behind.
        assert set(plain.unique().tolist()) == {1, 3}
        red = (canvas[0].int() - canvas[1].int()) > 127
        assert ((plain == 3) != red).float().mean() < 0.01 and red.sum() > 50
    assert (image[1] == 1).all()


def test_a_share_of_the_samples_gets_objects_until_the_mosaics_end(monkeypatch):
    monkeypatch.setattr(copy_paste, '_SCALE', (0.5, 0.5))
    pictures = [empty(), markers([6], 3, 40, 40)]
    augment = Augmentation((80, 120), TrainConfig(augmentation='none', copy_paste=0.5), 2, pictures.__getitem__)
    torch.manual_seed(0)
    # Half of them, with the second image half the time.
    share = sum(len(augment(0, True)[2]) for _ in range(200)) / 200
    assert share == pytest.approx(0.25, abs=0.08)
    assert not any(len(augment(0, False)[2]) for _ in range(50))
