"""Which objects of a frame are those of the frames before: ByteTrack, by the package trackers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from mbv3zoo.detections import Detections
from mbv3zoo.models.postprocess.thresholds import PREDICTION
from mbv3zoo.utils.packages import import_package

# Boxes with a lower score continue no track.
LEAST_SCORE = 0.1


class Tracker:
    """Gives objects numbers that stay the same from frame to frame, from 1 on; each number is given once.

    ByteTrack matches boxes by their overlap with where a constant speed takes those of the frame before: first those
    with good scores, then, to go through blur and partial occlusion, also those with low ones. An object gets its
    number when it is found in two frames in a row. One that is lost for 30 frames is forgotten. Classes do not matter,
    so that an object whose class flickers keeps its number.

    Args:
        detector: Its detections are tracked.
        score_thresh: Score that a new object needs, 0..1, by default the detector's.

    Attributes:
        score_thresh: Score that the detector is to be run with: lower than what is asked for, as a track may go on with
            `LEAST_SCORE`. Where NMS is inside an exported graph, it is not lower than the threshold in there.

    Raises:
        ImportError: The package trackers is not installed.
    """

    def __init__(self, detector: Any, score_thresh: float | None = None) -> None:
        trackers = import_package('tracking', 'trackers')
        self._supervision = import_package('tracking', 'supervision')
        if score_thresh is None:
            score_thresh = float(getattr(detector, 'thresholds', PREDICTION).score_thresh)
        inside = getattr(getattr(detector, 'info', None), 'score_thresh', None) or 0.0
        self.score_thresh = min(score_thresh, max(LEAST_SCORE, inside))
        # Each frame is a step: one second where the frame rate is 30.
        self._tracker = trackers.ByteTrackTracker(
            lost_track_buffer=30, track_activation_threshold=score_thresh, high_conf_det_threshold=score_thresh
        )

    def add(self, found: Detections) -> Detections:
        """The next frame: those of its detections that have a number, with it as `track_ids`."""
        boxes = self._supervision.Detections(
            xyxy=np.asarray(found.boxes, np.float32).reshape(-1, 4),
            confidence=np.asarray(found.scores, np.float32),
            data={'index': np.arange(len(found))},
        )
        tracked = self._tracker.update(boxes)
        numbers = np.full(len(found), -1)
        if len(tracked):
            numbers[tracked.data['index']] = tracked.tracker_id
        kept = np.flatnonzero(numbers >= 0)
        return replace(found[kept], track_ids=numbers[kept] + 1)
