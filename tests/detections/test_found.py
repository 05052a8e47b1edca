"""What the results of all tasks share."""

from mbv3zoo.detections import Detections
from mbv3zoo.detections.found import Found
from mbv3zoo.detections.segmentation import Segmentation


def test_results_of_every_task_are_saved_and_shown_by_the_same_code():
    for kind in (Detections, Segmentation):
        for name in ('save', 'to_json', '_repr_png_', '_image', '__getstate__'):
            assert getattr(kind, name) is getattr(Found, name)


def test_a_summary_counts_objects():
    one = Detections([[0, 0, 1, 1]] * 3, [0.5] * 3, [1, 0, 1], ('cat', 'dog'), (9, 9))
    assert one.summary == '2 dog, 1 cat' and Detections.empty().summary == 'nothing found'
