"""How far an exported file agrees with the detector that it was made from, stage by stage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torchvision.ops import box_iou

from mbv3zoo.export.certificate import PictureParity
from mbv3zoo.images.letterbox import Letterbox
from mbv3zoo.images.read import read_image
from mbv3zoo.models.base_network import ModelNetwork
from mbv3zoo.models.modes import evaluating
from mbv3zoo.models.network import DetectorNetwork
from mbv3zoo.models.plain_weights import check_logits
from mbv3zoo.models.postprocess.dense import decode
from mbv3zoo.models.postprocess.label_map import label_map
from mbv3zoo.models.postprocess.thresholds import Thresholds
from mbv3zoo.prediction.engine import as_engine
from mbv3zoo.runtimes.export_info import ExportInfo
from mbv3zoo.runtimes.exported_detector import ExportedDetector

# Boxes of cells that are surer than this of an object are compared: others are in nobody's results.
_LIVE = 0.01
# Two detections are the same one where they have one label and overlap more than this; or, as boxes thinner than a
# pixel hardly overlap, where no side is further apart than `_CLOSE`, in pixels.
_SAME, SAME_INT8, _CLOSE = 0.9, 0.5, 0.05
# So many boxes of the highest scores are compared too, whatever the scores are.
_BEST = 100
# A map whose logits differ by less from cell to cell is the same everywhere.
_CONSTANT = 1e-5


def compare(detector: Any, exported: Any, image: Any, thresholds: Thresholds) -> PictureParity:
    """Compares both on one image.

    Args:
        detector: The detector or segmenter, not folded.
        exported: The file, open in its runtime.
        image: What `mbv3zoo.images.read.read_image` takes.
        thresholds: Those at which kept detections are compared; where NMS is inside the graph, its own.

    Raises:
        ValueError: The image cannot be read, or the detector's own logits are not finite.
    """
    info = exported.info
    pixels = read_image(image, info.in_chans)
    letterbox = Letterbox.fit(pixels.shape[:2], info.image_size)
    ours = letterbox.apply(torch.from_numpy(pixels).permute(2, 0, 1))
    theirs = letterbox.apply_without_torch(pixels)
    logits = _logits(detector, ours)
    parity = PictureParity(size=pixels.shape[:2], letterbox=int(np.abs(ours.numpy().astype(int) - theirs).max()))
    # The same pixels for both, so that each stage is compared by itself; kept detections are those of the whole way.
    if info.task == 'segmentation':
        (own_map,) = exported.run(ours[None].numpy())
        labels, own_labels = label_map(logits[0][0].numpy(), letterbox), label_map(own_map[0], letterbox)
        varies = bool((logits[0].amax((2, 3)) - logits[0].amin((2, 3)) > _CONSTANT).any())
        found = _logits_apart(logits[0].flatten(), torch.from_numpy(own_map).flatten())
        found |= {'labels_compared': varies * labels.size, 'labels_apart': float((labels != own_labels).mean())}
        return parity.model_copy(update=found)
    found = {} if info.outputs == 'detections' else _compare_maps(detector, logits, exported, ours.numpy())
    (kept,) = as_engine(detector).detect(ours[None].numpy(), thresholds)
    (own,) = exported.detect(theirs[None], thresholds)
    least = SAME_INT8 if info.precision == 'int8' else _SAME
    found |= compare_kept(kept, tuple(map(torch.from_numpy, own)), least)
    return parity.model_copy(update={'score_thresh': thresholds.score_thresh, **found})


def threshold_below(detector: DetectorNetwork, info: ExportInfo, images: Sequence[Any]) -> float | None:
    """A score that the best 20 to 100 boxes of some images are above, in the widest gap; None where all scores are 0.

    Args:
        detector: The detector.
        info: The record of the file: the size of the input.
        images: What `mbv3zoo.images.read.read_image` takes.
    """
    best = []
    for image in images:
        pixels = read_image(image, info.in_chans)
        ours = Letterbox.fit(pixels.shape[:2], info.image_size).apply(torch.from_numpy(pixels).permute(2, 0, 1))
        _, scores = decode(_logits(detector, ours), detector.anchors, detector.strides)
        best.append(_best(scores[0]).values)
    return _widest_gap(torch.cat(best).double().sort(descending=True).values)


def _widest_gap(scores: torch.Tensor) -> float | None:
    """A threshold below 20 to 100 of some scores, the highest first, and below fewer where there are fewer."""
    top = scores[: _BEST + 1]
    if not len(top) or top[0] <= 0:
        return None
    # The last one has nothing below it.
    ratios = top / torch.cat([top[1:], top[-1:] / 2]).clamp(min=1e-30)
    first = min(_BEST // 5, len(top)) - 1
    place = first + int(ratios[first:_BEST].argmax())
    return float(top[place] / ratios[place].sqrt())


def _logits(detector: ModelNetwork, ours: torch.Tensor) -> list[torch.Tensor]:
    with evaluating(detector) as module, torch.inference_mode():
        network: Any = module
        logits = [x.float().cpu() for x in network.maps(ours[None].to(detector.mean) / 255)]
    check_logits(logits)
    return logits


def _best(scores: torch.Tensor) -> Any:
    """The best boxes by scores [N, K]: values and indices."""
    return scores.amax(1).topk(min(_BEST, len(scores)))


def to_logits(maps: list[np.ndarray], num_anchors: int) -> list[torch.Tensor]:
    """Maps [B, A * (5 + K), H, W] as raw logits [B, A, H, W, 5 + K]."""
    tensors = [torch.from_numpy(np.asarray(x, np.float32)) for x in maps]
    return [
        x.view(x.shape[0], num_anchors, x.shape[1] // num_anchors, *x.shape[2:]).permute(0, 1, 3, 4, 2) for x in tensors
    ]


def _compare_maps(
    detector: DetectorNetwork, logits: Sequence[torch.Tensor], exported: ExportedDetector, pixels: np.ndarray
) -> dict[str, float]:
    own = to_logits(exported.run(pixels[None]), detector.anchors.shape[1])
    flat, own_flat = (torch.cat([x.flatten() for x in levels]) for levels in (logits, own))
    (boxes, scores), (own_boxes, own_scores) = (
        [part[0] for part in decode(levels, detector.anchors, detector.strides)] for levels in (logits, own)
    )
    best = _best(scores)
    # Without NMS, of two cells with nearly the same score either may be the one that is left.
    places = best.indices if exported.info.nms else slice(None)
    score, least = own_scores[places].amax(1), best.values[:, None]
    same = _overlap(boxes[best.indices], own_boxes[places]) >= SAME_INT8
    same &= (score >= least / 2) & (score <= least * 2)
    again = same.diagonal() if exported.info.nms else same.any(1)
    live = torch.cat([x[..., 4].flatten() for x in logits]).sigmoid() > _LIVE
    compared = live if live.any() else best.indices
    apart = (boxes - own_boxes)[compared].abs()
    return {
        **_logits_apart(flat, own_flat),
        'boxes_max': float(apart.max()),
        'boxes_compared': len(apart),
        'best': len(again),
        'best_again': int(again.sum()),
    }


def _logits_apart(flat: torch.Tensor, own: torch.Tensor) -> dict[str, float]:
    difference = (flat - own).abs()
    return {
        'logits_max': float(difference.max()),
        'logits_mean': float(difference.mean()),
        'logits_relative': float(difference.mean() / flat.std().clamp(min=1e-6)),
    }


def _overlap(boxes: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
    """IoU of each of N boxes with each of M, [N, M]; above 1, the nearest highest, where they are nearly the same."""
    distance = torch.cdist(boxes, own, p=torch.inf)
    # A box without an area overlaps nothing, in torchvision by NaN.
    return torch.where(distance < _CLOSE, 2 - distance, box_iou(boxes, own).nan_to_num(0))


def compare_kept(kept: Sequence[torch.Tensor], own: Sequence[torch.Tensor], least: float) -> dict[str, float]:
    """Compares the kept detections of two sides; see `PictureParity`.

    Args:
        kept, own: Boxes, scores and labels of each side.
        least: Smallest IoU of a match.
    """
    (boxes, scores, labels), (own_boxes, own_scores, own_labels) = kept, own
    same = _overlap(boxes, own_boxes) * (labels[:, None] == own_labels[None, :])
    apart, box_apart, score_apart = 0, 0.0, 0.0
    taken = torch.zeros(len(own_boxes), dtype=torch.bool)
    for index in range(len(boxes)):
        row = torch.where(taken, -1.0, same[index]) if len(own_boxes) else torch.zeros(0)
        if not len(row) or row.max() < least:
            apart += 1
            continue
        match = int(row.argmax())
        taken[match] = True
        box_apart = max(box_apart, float((boxes[index] - own_boxes[match]).abs().max()))
        score_apart = max(score_apart, float((scores[index] - own_scores[match]).abs()))
    return {
        'kept': len(boxes),
        'kept_compared': int(taken.sum()),
        'kept_apart': apart + int((~taken).sum()),
        'kept_boxes_max': box_apart,
        'kept_scores_max': score_apart,
    }
