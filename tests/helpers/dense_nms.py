"""Post-processing the slow way: boxes and scores of every cell, instead of raw logits; the reference of the tests."""

from mbv3zoo.models.postprocess.decoding import Kept
from mbv3zoo.models.postprocess.tensors import candidates, suppress
from mbv3zoo.models.postprocess.thresholds import Thresholds


def postprocess(boxes, scores, **options):
    """Thresholds and NMS.

    Args:
        boxes: [B, N, 4] xyxy pixels.
        scores: [B, N, K] in 0..1.
        **options: Fields of `Thresholds`.

    Returns:
        One `Kept` per image.
    """
    thresholds, kept = Thresholds(**options), []
    for image_boxes, image_scores in zip(boxes, scores, strict=True):
        index, best, labels = candidates(image_scores, thresholds)
        stays = suppress(image_boxes[index].float(), best.float(), labels, thresholds)
        kept.append(Kept(image_boxes[index][stays], best[stays], labels[stays]))
    return kept
