import itertools

import pytest
import torch
import torchvision
from dense_nms import postprocess
from slow_nms import iou, slow_nms

from mbv3zoo.models.postprocess import arrays, tensors
from mbv3zoo.models.postprocess.decoding import Kept
from mbv3zoo.models.postprocess.dense import decode
from mbv3zoo.models.postprocess.thresholds import Thresholds

THRESHOLDS = {'score_thresh': 0.25, 'iou_thresh': 0.4512}


def random_scene(seed, number, num_classes, low=0, high=120, side=60, batch=2):
    """Boxes on whole pixels, so that no IoU lies within rounding of the threshold; scores of which none is twice."""
    generator = torch.Generator().manual_seed(seed)
    corner = torch.randint(low, high, (batch, number, 2), generator=generator)
    sides = torch.randint(1, side, (batch, number, 2), generator=generator)
    count = batch * number * num_classes
    scores = (torch.randperm(count, generator=generator) + 0.5) / max(count, 1)
    return torch.cat([corner, corner + sides], -1).float(), scores.view(batch, number, num_classes)


def check(boxes, scores, **options):
    options = {**THRESHOLDS, **options}
    kept = postprocess(boxes, scores, **options)
    assert len(kept) == len(boxes)
    total = 0
    for image_boxes, image_scores, found in zip(boxes, scores, kept, strict=True):
        expected = slow_nms(image_boxes, image_scores, **options)
        assert isinstance(found, Kept) and found.labels.dtype == torch.int64
        assert found.boxes.shape == (len(expected), 4) and found.boxes.dtype == boxes.dtype
        assert list(zip(*(part.tolist() for part in found), strict=True)) == expected
        total += len(expected)
    return total


@pytest.mark.parametrize('multi_label', [False, True])
@pytest.mark.parametrize('class_agnostic', [False, True])
@pytest.mark.parametrize(('number', 'num_classes'), [(1, 1), (60, 1), (80, 3), (40, 20)])
def test_against_plain_loops(number, num_classes, multi_label, class_agnostic):
    boxes, scores = random_scene(number, number, num_classes)
    total = check(boxes, scores, multi_label=multi_label, class_agnostic=class_agnostic)
    assert total or number == 1


def test_many_boxes():
    """torchvision takes another way from 1,000 boxes on."""
    boxes, scores = random_scene(1, 1100, 2, low=-100, high=600, batch=1)
    assert check(boxes, scores, score_thresh=0, max_detections=10_000) > 300
    all_kept = postprocess(boxes, scores, score_thresh=0, iou_thresh=0.4512, max_detections=10_000)[0]
    best = postprocess(boxes, scores, score_thresh=0, iou_thresh=0.4512)[0]
    assert len(best.scores) == 300 and torch.equal(best.boxes, all_kept.boxes[:300])


@pytest.mark.parametrize('few', [0, 10_000])
@pytest.mark.parametrize('num_classes', [6, 8000])
def test_the_number_of_boxes_decides_how_and_not_what(num_classes, few, monkeypatch):
    monkeypatch.setattr('mbv3zoo.models.postprocess.tensors._FEW', few)
    boxes, scores = random_scene(2, 15 if num_classes > 6 else 150, num_classes)
    assert check(boxes, scores, multi_label=True, score_thresh=0.9 if num_classes == 6 else 0.99) > 100


def scene_of_labels(seed, number, spread=200.0):
    """Boxes of few sizes in one place, best first, that suppress each other: [N, 4] and scores [N]."""
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(number, 2, generator=generator) * spread
    sides = torch.rand(number, 2, generator=generator) * 60 + 20
    return torch.cat([corner, corner + sides], 1), torch.linspace(1, 0.5, number)


@pytest.mark.parametrize('number', [500, 1500])
def test_what_is_kept_does_not_depend_on_the_label(number):
    """The same boxes under any label, alone or beside others, in torch and in NumPy, as IoUs in float64 say."""
    boxes, scores = scene_of_labels(0, number)
    thresholds = Thresholds(iou_thresh=0.45, max_detections=10_000)
    rows = slow_nms(boxes, scores[:, None], 0.1, 0.45, max_detections=10_000)
    found = {score: index for index, score in enumerate(scores.tolist())}
    expected = [found[score] for _, score, _ in rows]
    assert 50 < len(expected) < number
    for label in (0, 1, 79, 1202, 7999, 65535):
        labels = torch.full((number,), label)
        assert tensors.suppress(boxes, scores, labels, thresholds).tolist() == expected
        assert arrays.suppress(boxes.numpy(), labels.numpy(), thresholds).tolist() == expected
    labels = torch.tensor([0, 7999, 65535, 12]).repeat(number)
    several = boxes.repeat_interleave(4, 0), scores.repeat_interleave(4), labels
    expected = [4 * index + k for index in expected for k in range(4)]
    assert tensors.suppress(*several, thresholds).tolist() == expected
    assert arrays.suppress(several[0].numpy(), labels.numpy(), thresholds).tolist() == expected


@pytest.mark.parametrize(
    'boxes',
    [
        [[0.0, 0, 10, 10], [0, 0, 10, 10], [1e30, 1e30, 2e30, 2e30], [1e30, 1e30, 2e30, 2e30]],
        [[-1e7, -1e7, -9e6, -9e6], [-1e7, -1e7, -9e6, -9e6], [0, 0, 1e-15, 1e-15], [0, 0, 1e-15, 1e-15]],
        [[3e38, 0, 3.1e38, 1], [3e38, 0, 3.1e38, 1], [-3e38, 0, 3e38, 1], [-3e38, 0, 3e38, 1]],
        [[8191.0, 8191, 8192, 8192], [8191, 8191, 8192, 8192], [0, 0, 0.001, 0.001], [0, 0, 0.001, 0.001]],
    ],
)  # fmt: skip
@pytest.mark.parametrize('few', [0, 1000])
def test_huge_and_tiny_coordinates(boxes, few, monkeypatch):
    """Of two equal boxes one stays, in each class; those elsewhere stay."""
    monkeypatch.setattr('mbv3zoo.models.postprocess.tensors._FEW', few)
    boxes, scores = torch.tensor(boxes).repeat_interleave(2, 0), torch.linspace(1, 0.5, 8)
    labels = torch.tensor([7999, 65535] * 4)
    for found in (tensors.suppress(boxes, scores, labels, Thresholds()), _suppress_arrays(boxes, labels)):
        assert found.tolist() == [0, 1, 4, 5]


@pytest.mark.parametrize('few', [0, 1000])
def test_infinite_and_flat_boxes_suppress_nothing(few, monkeypatch):
    monkeypatch.setattr('mbv3zoo.models.postprocess.tensors._FEW', few)
    inf = float('inf')
    boxes = torch.tensor(
        [[-inf, -inf, inf, inf], [0, 0, inf, 10], [5, 5, 5, 9], [5, 5, 5, 9], [0, 0, 9, 9], [0, 0, 9, 9]]
    )
    labels, scores = torch.tensor([0, 3, 8000, 8000, 3, 3]), torch.linspace(1, 0.5, 6)
    for found in (tensors.suppress(boxes, scores, labels, Thresholds()), _suppress_arrays(boxes, labels)):
        assert found.tolist() == [0, 1, 2, 3, 4]
    points = torch.full((6, 4), 7.0)
    assert len(tensors.suppress(points, scores, labels, Thresholds())) == len(_suppress_arrays(points, labels)) == 6


def _suppress_arrays(boxes, labels):
    return arrays.suppress(boxes.numpy(), labels.numpy(), Thresholds())


def test_boxes_with_a_gradient_are_suppressed():
    boxes, scores = scene_of_labels(1, 20)
    labels = torch.zeros(20, dtype=torch.int64)
    kept = tensors.suppress(boxes, scores, labels, Thresholds())
    assert torch.equal(tensors.suppress(boxes.requires_grad_(), scores, labels, Thresholds()), kept)


def test_classes_far_apart_and_near():
    boxes = torch.tensor([[[7680.0, 7680, 7800, 7800], [0, 0, 120, 120]]])
    assert len(postprocess(boxes, torch.tensor([[[0.9, 0.0], [0.0, 0.8]]]))[0].boxes) == 2


@pytest.mark.parametrize('iou_thresh', [0.0, 0.1012, 0.7012, 1.0])
@pytest.mark.parametrize('score_thresh', [0.0, 0.6, 1.0])
def test_thresholds(score_thresh, iou_thresh):
    check(*random_scene(3, 50, 2), score_thresh=score_thresh, iou_thresh=iou_thresh)


def test_thresholds_are_exclusive():
    boxes = torch.tensor([[[0.0, 0, 10, 10], [0, 0, 10, 5]]])
    scores = torch.tensor([[[0.5], [0.25]]])
    # The score is not above 0.25; an IoU of exactly one half does not suppress.
    assert len(postprocess(boxes, scores, score_thresh=0.25, iou_thresh=0.5)[0].scores) == 1
    assert len(postprocess(boxes, scores, score_thresh=0.24, iou_thresh=0.5)[0].scores) == 2
    assert len(postprocess(boxes, scores, score_thresh=0.24, iou_thresh=0.49)[0].scores) == 1


@pytest.mark.parametrize('multi_label', [False, True])
def test_boxes_outside_of_the_picture(multi_label):
    """Decoded boxes reach past every edge; classes must be kept apart there too."""
    for seed in range(4):
        boxes, scores = random_scene(seed, 60, 4, low=-300, high=300, side=250)
        check(boxes, scores, multi_label=multi_label, score_thresh=0.1)
    # Moved by class * (largest coordinate + 1), these two would lie on one another.
    boxes = torch.tensor([[[80.0, 80, 100, 100], [-21.0, -21, -1, -1]]])
    assert len(postprocess(boxes, torch.tensor([[[0.9, 0.0], [0.0, 0.8]]]))[0].boxes) == 2
    # All coordinates below zero.
    check(boxes - 200, torch.tensor([[[0.9, 0.0], [0.0, 0.8]]]))


def test_ties():
    boxes, scores = random_scene(5, 60, 3)
    scores = (scores * 5).round() / 5
    for image_boxes, image_scores, kept in zip(
        boxes, scores, postprocess(boxes, scores, multi_label=True, **THRESHOLDS), strict=True
    ):
        # Which of two equally scored boxes stays is not promised. But one does, and the other goes.
        rows = list(zip(*(part.tolist() for part in kept), strict=True))
        assert [score for _, score, _ in rows] == sorted((score for _, score, _ in rows), reverse=True)
        candidates = [
            (box, score, label)
            for box, row in zip(image_boxes.tolist(), image_scores.tolist(), strict=True)
            for label, score in enumerate(row)
            if score > THRESHOLDS['score_thresh']
        ]
        for box, score, label in candidates:
            rivals = [
                (other, its_score)
                for other, its_score, its_label in rows
                if its_label == label and other != box and iou(box, other) > THRESHOLDS['iou_thresh']
            ]
            if (box, score, label) in rows:
                assert not rivals
            else:
                assert any(its_score >= score for _, its_score in rivals)


def test_equal_boxes_leave_one_a_class():
    boxes = torch.tensor([10.0, 20, 30, 40]).expand(1, 50, 4)
    scores = torch.full((1, 50, 2), 0.5)
    assert [len(kept.scores) for kept in postprocess(boxes, scores)] == [1]
    kept = postprocess(boxes, scores, multi_label=True)[0]
    assert kept.labels.sort().values.tolist() == [0, 1] and kept.boxes.tolist() == [[10, 20, 30, 40]] * 2
    assert len(postprocess(boxes, scores, multi_label=True, class_agnostic=True)[0].scores) == 1


@pytest.mark.parametrize('max_detections', [1, 3, 300])
def test_the_best_are_kept(max_detections):
    check(*random_scene(7, 60, 3), max_detections=max_detections)


@pytest.mark.parametrize('max_candidates', [1, 5, 40])
@pytest.mark.parametrize('multi_label', [False, True])
def test_the_best_candidates_enter(max_candidates, multi_label):
    check(*random_scene(8, 60, 3), max_candidates=max_candidates, multi_label=multi_label)


@pytest.mark.parametrize('multi_label', [False, True])
@pytest.mark.parametrize(('batch', 'number', 'num_classes'), [(2, 0, 3), (0, 5, 3), (0, 0, 1), (1, 0, 1)])
def test_nothing(batch, number, num_classes, multi_label):
    kept = postprocess(torch.zeros(batch, number, 4), torch.zeros(batch, number, num_classes), multi_label=multi_label)
    assert [[tuple(part.shape) for part in parts] for parts in kept] == [[(0, 4), (0,), (0,)]] * batch
    assert all(parts.labels.dtype == torch.int64 for parts in kept)


def test_nothing_above_the_threshold():
    boxes, scores = random_scene(9, 20, 3)
    assert check(boxes, scores * 0.2) == 0


def test_defaults_are_those_for_use():
    boxes, scores = random_scene(10, 80, 3)
    assert all(
        torch.equal(x, y)
        for a, b in zip(
            postprocess(boxes, scores),
            postprocess(boxes, scores, score_thresh=0.25, iou_thresh=0.45, max_detections=300, multi_label=False),
            strict=True,
        )
        for x, y in zip(a, b, strict=True)
    )


def test_arguments_are_not_changed_and_half_is_taken():
    boxes, scores = random_scene(11, 30, 3)
    copies = boxes.clone(), scores.clone()
    postprocess(boxes, scores)
    assert torch.equal(boxes, copies[0]) and torch.equal(scores, copies[1])
    kept = postprocess(boxes.half(), scores.half())[0]
    assert kept.boxes.dtype == kept.scores.dtype == torch.float16
    with pytest.raises(ValueError):
        postprocess(boxes, scores[:1])


def test_degenerate_boxes_do_not_suppress():
    """Boxes without an area have no overlap with anything."""
    boxes = torch.tensor([[[5.0, 5, 5, 5], [5, 5, 5, 5], [0, 0, 10, 10]]])
    scores = torch.tensor([[[0.9], [0.8], [0.7]]])
    assert len(postprocess(boxes, scores)[0].scores) == 3


# From logits

STRIDES = (8, 16, 32)
ANCHORS = torch.tensor([[[4.0, 3], [8, 6], [9, 15]]]) * torch.tensor(STRIDES).view(3, 1, 1)


def postprocess_logits(logits, anchors, strides, **options):
    return tensors.postprocess(logits, anchors, strides, Thresholds(**options))


def random_logits(seed, num_classes=4, batch=2, size=(64, 96), spread=3.0, shift=-1.0):
    """As a head gives them: views of NCHW maps."""
    generator = torch.Generator().manual_seed(seed)
    maps = [
        torch.randn(batch, 3, 5 + num_classes, size[0] // stride, size[1] // stride, generator=generator)
        for stride in STRIDES
    ]
    return [(x * spread + shift).permute(0, 1, 3, 4, 2) for x in maps]


def check_logits(logits, anchors=ANCHORS, strides=STRIDES, **options):
    """Decoding everything first keeps the same; returns how many."""
    boxes, scores = decode([level.float() for level in logits], anchors, strides)
    expected = postprocess(boxes, scores, **options)
    found = postprocess_logits(logits, anchors, strides, **options)
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        assert isinstance(ours, Kept)
        assert torch.equal(ours.labels, theirs.labels)
        # A sigmoid may differ in its last digit by the place of a number in its tensor.
        torch.testing.assert_close(ours.boxes, theirs.boxes, rtol=1e-6, atol=1e-4)
        torch.testing.assert_close(ours.scores, theirs.scores, rtol=1e-6, atol=0)
    return sum(len(ours.scores) for ours in found)


@pytest.mark.parametrize('multi_label', [False, True])
@pytest.mark.parametrize('class_agnostic', [False, True])
@pytest.mark.parametrize('score_thresh', [0, 0.001, 0.25, 0.5])
@pytest.mark.parametrize('num_classes', [1, 20])
def test_logits_as_everything_decoded(num_classes, score_thresh, class_agnostic, multi_label):
    options = {'score_thresh': score_thresh, 'class_agnostic': class_agnostic, 'multi_label': multi_label}
    # With an iou_thresh of 1 all that passes is kept.
    counts = [
        check_logits(random_logits(1, num_classes), iou_thresh=iou_thresh, max_detections=100_000, **options)
        for iou_thresh in (0.45, 1)
    ]
    assert 0 < counts[0] < counts[1]
    if score_thresh == 0:
        assert counts[1] == 2 * 3 * (8 * 12 + 4 * 6 + 2 * 3) * (num_classes if multi_label else 1)


@pytest.mark.parametrize('options', [{'max_detections': 3}, {'max_candidates': 7}, {'iou_thresh': 0}, {}])
@pytest.mark.parametrize('size', [(32, 32), (32, 160), (96, 32)])
def test_logits_of_other_sizes_and_limits(size, options):
    assert check_logits(random_logits(2, size=size), **options)
    assert check_logits([level.contiguous() for level in random_logits(2, size=size)], **options)


@pytest.mark.parametrize('multi_label', [False, True])
def test_logits_of_nothing(multi_label):
    options = {'multi_label': multi_label}
    assert check_logits(random_logits(3), score_thresh=1, **options) == 0
    assert check_logits(random_logits(3, shift=-100.0), **options) == 0
    assert check_logits(random_logits(3, shift=-100.0), score_thresh=1, **options) == 0
    assert postprocess_logits(random_logits(3, batch=0), ANCHORS, STRIDES, **options) == []
    (kept,) = postprocess_logits(random_logits(3, batch=1, shift=-100.0), ANCHORS, STRIDES, **options)
    assert [tuple(part.shape) for part in kept] == [(0, 4), (0,), (0,)] and kept.labels.dtype == torch.int64


@pytest.mark.parametrize('multi_label', [False, True])
@pytest.mark.parametrize('score_thresh', [0, 0.25, 1])
def test_extreme_logits(score_thresh, multi_label):
    """Infinite and large logits, probabilities of exactly 0 and 1, in every combination."""
    values = torch.tensor([-torch.inf, -1e30, -200, -100, -1, 0, 2, 100, 1e30, torch.inf])
    # A row of cells: their objectness and two classes; each in another place, so that no ties are suppressed.
    trios = torch.tensor(list(itertools.product(values.tolist(), repeat=3)))
    level = torch.cat([torch.zeros(len(trios), 4), trios], 1).view(1, 1, 1, -1, 7)
    options = {'score_thresh': score_thresh, 'multi_label': multi_label, 'max_detections': 10_000}
    boxes, scores = decode([level], torch.tensor([[[8.0, 8]]]), [8])
    (expected,) = postprocess(boxes, scores, **options)
    (found,) = postprocess_logits([level], torch.tensor([[[8.0, 8]]]), [8], **options)
    rows = [
        sorted(zip(k.boxes.tolist(), k.labels.tolist(), [round(s, 6) for s in k.scores.tolist()], strict=True))
        for k in (expected, found)
    ]
    assert rows[0] == rows[1] and bool(rows[0]) == (score_thresh < 1)
    assert torch.isfinite(found.boxes).all()
    check_logits(random_logits(4, spread=80.0), score_thresh=score_thresh, iou_thresh=1, multi_label=multi_label)


@pytest.mark.parametrize('score_thresh', [1e-6, 0.001, 0.25, 0.5, 0.999, 1 - 1.78e-7, 1 - 6e-8])
@pytest.mark.parametrize('dtype', [torch.float32, torch.float16, torch.bfloat16])
def test_what_lies_just_above_the_threshold_is_not_lost(score_thresh, dtype):
    """The threshold's logit is rounded: what passes by the last digit still passes, in coarse types as well."""
    number = torch.tensor(score_thresh, dtype=torch.float64).logit().to(dtype)
    around = max(0.02, 3 * abs(number.item()) * torch.finfo(dtype).eps)
    objectness = (number.double() + torch.linspace(-around, around, 6001)).to(dtype).unique()
    level = torch.full((1, 1, 1, len(objectness), 6), 60.0, dtype=dtype)
    level[..., 4] = objectness
    anchors = torch.tensor([[[8.0, 8]]])
    _, scores = decode([level.float()], anchors, [8])
    expected = (scores > score_thresh).sum().item()
    (kept,) = postprocess_logits([level], anchors, [8], score_thresh=score_thresh, iou_thresh=1, max_detections=9999)
    assert abs(len(kept.scores) - expected) <= (1 if dtype == torch.float32 else 0)
    assert 0 < expected < len(objectness)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float64])
def test_logits_of_other_types_are_computed_in_float32(dtype):
    logits = [level.to(dtype) for level in random_logits(5)]
    assert check_logits(logits, score_thresh=0.1) > 10
    (kept, _) = postprocess_logits(logits, ANCHORS, STRIDES, score_thresh=0.1)
    assert kept.boxes.dtype == kept.scores.dtype == torch.float32


def test_logits_are_not_changed_and_levels_must_match():
    logits = random_logits(6)
    copies = [level.clone() for level in logits]
    postprocess_logits(logits, ANCHORS, STRIDES)
    assert all(torch.equal(a, b) for a, b in zip(logits, copies, strict=True))
    for parts in [(logits[:2], ANCHORS, STRIDES), (logits, ANCHORS[:2], STRIDES), (logits, ANCHORS, STRIDES[:2])]:
        with pytest.raises(ValueError):
            postprocess_logits(*parts)


def test_only_what_may_pass_is_decoded(monkeypatch):
    decoded = []

    def count(probability, *args):
        decoded.append(len(probability))
        return probability

    monkeypatch.setattr('mbv3zoo.models.postprocess.tensors.decode_boxes', count)
    logits = random_logits(7, shift=-100.0, batch=1)
    logits[1][0, 2, 1, 3, 4:] = 5
    postprocess_logits(logits, ANCHORS, STRIDES)
    assert decoded == [1]


@pytest.mark.parametrize('multi_label', [False, True])
@pytest.mark.parametrize('options', [{}, {'max_candidates': 50}, {'classes': tuple(range(0, 8000, 2))}])
def test_the_scores_of_thousands_of_classes_are_computed_some_at_a_time(options, multi_label, monkeypatch):
    logits = random_logits(8, num_classes=8000, batch=1, size=(32, 32), shift=-2.0)
    maps = [level.permute(0, 1, 4, 2, 3).flatten(1, 2).numpy() for level in logits]
    thresholds = Thresholds(score_thresh=0.3, multi_label=multi_label, max_detections=10_000, **options)
    found = []
    for most in (2**24, 40_000):
        monkeypatch.setattr(tensors, 'MOST_SCORES', most)
        monkeypatch.setattr(arrays, 'MOST_SCORES', most)
        found += tensors.postprocess(logits, ANCHORS, STRIDES, thresholds)
        found += arrays.postprocess(maps, ANCHORS.tolist(), STRIDES, thresholds)
    assert 5 < len(found[0].labels) == len(found[1].labels)
    for kept, other in zip(found[:2], found[2:], strict=True):
        assert kept.labels.tolist() == other.labels.tolist()
        torch.testing.assert_close(torch.as_tensor(kept.boxes), torch.as_tensor(other.boxes), rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize('most', [1, 2, 5, 40, 100])
def test_of_equal_scores_the_earlier_enters(most):
    scores = torch.tensor([0.5, 0.9, 0.5, 0.5, 0.25] * 20)
    expected = sorted(range(100), key=lambda i: -scores[i])[:most]
    assert tensors._best_first(scores, most).tolist() == expected
    assert arrays._best_first(scores.numpy(), most).tolist() == expected


@pytest.mark.parametrize('number', [0, 1, 50, 1500])
def test_class_agnostic_suppression_is_torchvisions_nms(number):
    """Both ways, that of few boxes and that of many, and NumPy's."""
    boxes, scores = random_scene(number, number, 1, high=600, batch=1)
    order = scores[0, :, 0].argsort(descending=True)
    boxes, scores = boxes[0][order], scores[0, :, 0][order]
    labels = torch.arange(number) % 7
    thresholds = Thresholds(iou_thresh=0.4512, max_detections=10_000, class_agnostic=True)
    expected = torchvision.ops.nms(boxes, scores, 0.4512)
    assert torch.equal(tensors.suppress(boxes, scores, labels, thresholds), expected)
    assert arrays.suppress(boxes.numpy(), labels.numpy(), thresholds).tolist() == expected.tolist()
