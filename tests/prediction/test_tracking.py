import sys

import numpy as np
import pytest

pytest.importorskip('trackers')

from mbv3zoo.detections import Detections  # noqa: E402
from mbv3zoo.prediction.tracking import Tracker  # noqa: E402


class Settings:
    """What a detector says about its thresholds."""

    def __init__(self, score_thresh, inside=None):
        self.thresholds = self
        self.score_thresh = score_thresh
        self.info = type('Info', (), {'score_thresh': inside})()


def frame(*objects):
    """Detections of objects that are (centre x, centre y, score), of 40 pixels."""
    boxes = np.array([[x - 20, y - 20, x + 20, y + 20] for x, y, *_ in objects], np.float32).reshape(-1, 4)
    scores = np.array([score for _, _, score in objects], np.float32)
    return Detections(boxes, scores, np.zeros(len(objects), np.int64), ('thing',), (480, 640))


def places(found):
    """Number -> centre x."""
    return dict(zip(found.track_ids.tolist(), np.asarray(found.boxes)[:, [0, 2]].mean(1).tolist(), strict=True))


def test_objects_that_cross_keep_their_numbers():
    tracker = Tracker(None, 0.25)
    for index in range(100):
        found = tracker.add(frame((100 + 4 * index, 100 + index, 0.9), (500 - 4 * index, 200 - index, 0.8)))
        if index == 0:
            # Whether it is more than a flicker is not known yet.
            assert len(found) == 0 and found.track_ids.shape == (0,)
        else:
            assert places(found) == {1: 100 + 4 * index, 2: 500 - 4 * index}


@pytest.mark.parametrize('score', [None, 0.15])
def test_an_object_that_is_hidden_or_blurred_for_a_while_keeps_its_number(score):
    tracker = Tracker(None, 0.25)
    for index in range(60):
        blurred = 20 <= index < 30
        shown = [(100 + 4 * index, 100, score if blurred else 0.9)] if score or not blurred else []
        found = tracker.add(frame(*shown))
        # With a low score it is found, as it continues a track.
        assert places(found) == ({1: 100 + 4 * index} if index and shown else {})


def test_no_number_is_given_twice_and_none_to_boxes_of_low_scores():
    tracker = Tracker(None, 0.25)
    for start in range(20):
        for _ in range(3):
            found = tracker.add(frame((50 + 25 * start, 100, 0.9), (300, 400, 0.2)))
        assert found.track_ids.tolist() == [start + 1] and found.scores.tolist() == [pytest.approx(0.9)]
        for _ in range(40):
            assert len(tracker.add(frame())) == 0


def test_what_is_lost_is_forgotten():
    tracker, random = Tracker(None, 0.25), np.random.default_rng(0)
    counts = []
    for _ in range(200):
        spots = random.uniform(0, 600, (10, 2))
        tracker.add(frame(*[(x, y, 0.9) for x, y in spots]))
        counts.append(len(tracker._tracker.tracks))
    # At most those of the last 30 frames.
    assert max(counts[100:]) <= 310


@pytest.mark.parametrize(
    ('detector', 'asked', 'expected'),
    [
        (None, None, 0.1),
        (None, 0.5, 0.1),
        (None, 0.05, 0.05),
        (Settings(0.3), None, 0.1),
        # NMS inside the graph: nothing below its threshold is to be had.
        (Settings(0.3, inside=0.3), None, 0.3),
        (Settings(0.3, inside=0.3), 0.5, 0.3),
    ],
)
def test_the_detector_runs_with_a_lower_threshold_where_it_can(detector, asked, expected):
    assert Tracker(detector, asked).score_thresh == expected


def test_tensors_stay_tensors():
    torch = pytest.importorskip('torch')
    tracker = Tracker(None, 0.25)
    for _ in range(2):
        found = tracker.add(frame((100, 100, 0.9), (300, 100, 0.2)).torch())
    assert torch.equal(found.track_ids, torch.tensor([1])) and found.boxes.shape == (1, 4)


def test_without_the_package_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, 'trackers', None)
    with pytest.raises(ImportError, match=r'tracking needs trackers.*pip install'):
        Tracker(None)
