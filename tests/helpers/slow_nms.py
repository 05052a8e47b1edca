"""NMS without any of the library's code: the independent reference of its tests."""


def iou(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
    return shared / union if union else 0.0


def slow_nms(
    boxes, scores, score_thresh, iou_thresh, max_detections=300, max_candidates=30_000, multi_label=False,
    class_agnostic=False,
):  # fmt: skip
    """Greedy NMS of each class of one image, in Python loops and so in float64.

    Args:
        boxes: float [N, 4] xyxy.
        scores: float [N, K].
        score_thresh, ...: As in `Thresholds`.

    Returns:
        Rows of (box, score, label), best first; of equal scores the earlier first.
    """
    candidates = []
    for box, row in zip(boxes.tolist(), scores.tolist(), strict=True):
        labels = range(len(row)) if multi_label else [row.index(max(row))]
        candidates += [(box, row[label], label) for label in labels if row[label] > score_thresh]
    candidates = sorted(candidates, key=lambda candidate: -candidate[1])[:max_candidates]
    kept = []
    for box, score, label in candidates:
        rivals = [other for other, _, other_label in kept if class_agnostic or other_label == label]
        if all(iou(box, other) <= iou_thresh for other in rivals):
            kept.append((box, score, label))
    return kept[:max_detections]
