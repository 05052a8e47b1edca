import copy

import numpy as np
import pytest
import torch

import mbv3zoo
from mbv3zoo.models.one_to_one import OneToOneBranch, with_objectness

CLASSES = ('a', 'b', 'c')


def detector_of(**settings):
    torch.manual_seed(0)
    settings = {'class_names': CLASSES, 'image_size': 64, 'one_to_one': True} | settings
    detector = mbv3zoo.create_detector('mbv3_yolo_small_050', **settings).eval()
    with torch.no_grad():
        for norm in detector.modules():
            if isinstance(norm, torch.nn.BatchNorm2d):
                norm.running_mean.normal_(0, 0.1)
                norm.running_var.uniform_(0.5, 2)
        # So that something is found.
        for part in (detector.head, *([detector.head.one_to_one] if detector.config.one_to_one else [])):
            for layer in part.convs:
                layer.bias.zero_()
    return detector


@pytest.fixture(scope='module')
def detector():
    return detector_of()


@pytest.fixture
def images():
    return torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(1))


def near_cells(levels, level, row, column):
    """What the next finer and the next coarser level have at the place of a cell: [C] each."""
    if level:
        yield levels[level - 1][:, :, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2].amax((2, 3))
    if level + 1 < len(levels):
        yield levels[level + 1][:, :, row // 2, column // 2]


def slow_branch(branch, features):
    """Level after level, cell after cell."""
    narrow = [layer(x) for layer, x in zip(branch.narrow, features, strict=True)]
    logits, found = [], []
    for level, own in enumerate(narrow):
        x = own.clone()
        for row in range(x.shape[2]):
            for column in range(x.shape[3]):
                for other in near_cells(narrow, level, row, column):
                    x[:, :, row, column] += other
        logits.append(branch.convs[level](branch.compare[level](x)))
    for level, x in enumerate(logits):
        found.append(x.clone())
        for row in range(x.shape[2]):
            for column in range(x.shape[3]):
                around = x[:, :, max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2].amax((1, 2, 3))
                for other in near_cells(logits, level, row, column):
                    around = torch.maximum(around, other.amax(1))
                own = x[:, :, row, column]
                found[level][:, :, row, column] = own - 4 * (around[:, None] - own)
    return found


def test_levels_are_compared_with_their_neighbours():
    torch.manual_seed(0)
    branch = OneToOneBranch([8, 16, 24], 2, (8, 16, 32), 'silu').eval()
    features = [torch.randn(2, c, 64 // s, 96 // s) for c, s in ((8, 8), (16, 16), (24, 32))]
    with torch.no_grad():
        for one, other in zip(branch(features), slow_branch(branch, features), strict=True):
            assert one.shape[1] == 2
            torch.testing.assert_close(one, other)


def test_only_objectness_is_another(detector, images):
    with torch.inference_mode():
        usual, alone = detector(images), detector.without_nms()(images)
        features = detector.neck(detector.backbone(detector._normalise(images)))
        objectness = detector.head.one_to_one(features)
    for one, other, own in zip(usual, alone, objectness, strict=True):
        assert torch.equal(one[..., :4], other[..., :4]) and torch.equal(one[..., 5:], other[..., 5:])
        torch.testing.assert_close(other[..., 4], own)
        assert not torch.allclose(one[..., 4], other[..., 4])


def test_in_training_both_are_given_and_the_branch_changes_nothing_of_the_rest(images):
    detector, plain = detector_of().train(), detector_of(one_to_one=False).train()
    plain.load_state_dict(detector.state_dict(), strict=False)
    both, usual = detector(images), plain(images)
    assert len(both) == 6
    assert all(torch.equal(one, other) for one, other in zip(both[:3], usual, strict=True))
    sum(level[..., 4].square().sum() for level in both[3:]).backward()
    learning = [name for name, p in detector.named_parameters() if p.grad is not None]
    with_gradient = {name.rpartition('.one_to_one.')[0] for name in learning}
    assert with_gradient == {'head'}


def test_without_nms_it_is_the_same_detector_and_follows_its_training(images):
    detector = detector_of()
    alone = detector.without_nms()
    assert alone is detector.without_nms() is alone.without_nms() and alone.config.nms is False and detector.config.nms
    assert all(one is other for one, other in zip(alone.parameters(), detector.parameters(), strict=True))
    with torch.no_grad():
        before = alone(images)
        for layer in detector.head.one_to_one.convs:
            layer.bias += 1
        torch.testing.assert_close(alone(images)[0][..., 4], before[0][..., 4] + 1)
    again = copy.deepcopy(detector)
    assert again.without_nms() is not alone


def test_every_box_above_the_threshold_is_kept(detector):
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    found = detector.predict(image, nms=False, score_thresh=0.2, max_detections=1000)
    with torch.inference_mode():
        logits = detector.without_nms()(torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255)
    scores = torch.cat([(x[..., 4:5].sigmoid() * x[..., 5:].sigmoid()).amax(-1).flatten() for x in logits])
    assert len(found) == (scores > 0.2).sum() > 20
    torch.testing.assert_close(found.scores, scores[scores > 0.2].sort(descending=True).values)
    assert len(detector.predict(image, score_thresh=0.2, max_detections=1000)) < len(found)
    best = detector.predict(image, nms=False, score_thresh=0.2, max_detections=5)
    assert torch.equal(best.scores, found.scores[:5])


def test_it_is_saved_and_loaded_either_way(detector, images, tmp_path):
    for name, own in (('both', detector), ('alone', detector.without_nms())):
        again = mbv3zoo.load(own.save_pretrained(tmp_path / name))
        assert (again.config.one_to_one, again.config.nms) == (True, name == 'both')
        with torch.inference_mode():
            for one, other in zip(again(images), own(images), strict=True):
                assert torch.equal(one, other)
    assert mbv3zoo.load(tmp_path / 'both', nms=False).config.nms is False


def test_folded_it_gives_the_same(images):
    detector = detector_of()
    with torch.inference_mode():
        expected = [detector(images), detector.without_nms()(images)]
        detector.fuse()
        for own, logits in zip((detector, detector.without_nms()), expected, strict=True):
            for one, other in zip(own(images), logits, strict=True):
                torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


def test_a_trained_detector_gets_a_branch_and_loses_it(detector, images, tmp_path, caplog):
    plain = detector_of(one_to_one=False)
    saved = plain.save_pretrained(tmp_path / 'plain')
    both = mbv3zoo.create_detector(saved, pretrained=True, one_to_one=True).eval()
    assert 'has no weights of head.one_to_one, which start anew' in caplog.text
    again = mbv3zoo.create_detector(
        detector.save_pretrained(tmp_path / 'both'), pretrained=True, one_to_one=False
    ).eval()
    with torch.inference_mode():
        for one, other in ((both, plain), (again, detector)):
            assert all(torch.equal(*pair) for pair in zip(one(images), other(images), strict=True))
        assert both.without_nms()(images)[0].isfinite().all()
    with pytest.raises(ValueError, match='has no one-to-one branch'):
        again.without_nms()


def test_a_detector_without_the_branch_says_so(tmp_path):
    detector = detector_of(one_to_one=False)
    for ask in (detector.without_nms, lambda: detector.predict(np.zeros((64, 64, 3), np.uint8), nms=False)):
        with pytest.raises(ValueError, match='has no one-to-one branch, .* train it with one_to_one=True'):
            ask()
    path = detector_of().export(tmp_path / 'needs.onnx')
    with pytest.raises(ValueError, match="needs NMS; export the detector with nms='none'"):
        mbv3zoo.load(path, nms=False)
    with pytest.raises(ValueError, match='nms is false, which needs one_to_one'):
        detector_of(one_to_one=False, nms=False)


def test_objectness_is_put_in_place():
    logits = [torch.randn(1, 2, 3, 4, 7), torch.randn(1, 2, 1, 2, 7)]
    own = [torch.randn(1, 2, 3, 4), torch.randn(1, 2, 1, 2)]
    for level, given, found in zip(logits, own, with_objectness(logits, own), strict=True):
        expected = level.clone()
        expected[..., 4] = given
        assert torch.equal(found, expected)


def test_configs_without_it_are_written_as_before(detector):
    plain = detector_of(one_to_one=False).config
    assert not {'one_to_one', 'nms'} & plain.model_dump(mode='json').keys()
    assert detector.config.model_dump(mode='json')['one_to_one'] is True
    assert type(plain).parse(plain.model_dump(mode='json')) == plain


def test_repr_and_card_say_so(detector, tmp_path):
    assert 'one-to-one branch' in repr(detector) and 'no NMS' not in repr(detector)
    assert 'one-to-one branch, no NMS' in repr(detector.without_nms())
    card = (detector.save_pretrained(tmp_path) / 'README.md').read_text()
    assert 'one-to-one branch for predictions without NMS' in card
