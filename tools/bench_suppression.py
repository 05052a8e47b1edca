"""Times post-processing, ours and that of the pip package yolov5, in alternation (docs/performance.md).

Needs that package, which is AGPL and no part of this project; run this in an environment of its own that has it:

    PYTHONPATH=CHECKOUT python CHECKOUT/tools/bench_suppression.py

An image of 640 x 640 has 25,200 candidates of 80 classes. The peer decodes all before NMS; ours drops what cannot
pass the threshold and decodes the rest before NMS. Both get the same logits, and what they keep is compared. The last
column is of files that were exported with `nms='none'`, in NumPy: of these logits only the peaks are left.
"""

from __future__ import annotations

import argparse
import logging
import warnings
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from mbv3zoo.benchmark.measure import figures, interleave
from mbv3zoo.config.detector import DEFAULT_ANCHORS, STRIDES
from mbv3zoo.models.peaks import only_peaks
from mbv3zoo.models.postprocess import arrays
from mbv3zoo.models.postprocess.dense import cell_grid
from mbv3zoo.models.postprocess.tensors import postprocess
from mbv3zoo.models.postprocess.thresholds import Thresholds

_CLASSES, _SIDE = 80, 640
# Logits of what is nothing.
_NOTHING = -12.0


class Case(NamedTuple):
    """Input and thresholds of NMS.

    Attributes:
        name: Name in the table.
        objects: Places where boxes are.
        live: Candidates above the threshold, in all.
        labels: Classes above the threshold of each of these.
        score_thresh, iou_thresh, multi_label: As in `Thresholds`.
    """

    name: str
    objects: int
    live: int
    labels: int
    score_thresh: float
    iou_thresh: float
    multi_label: bool


CASES = (
    Case('prediction, no object', 0, 0, 1, 0.25, 0.45, False),
    Case('prediction', 20, 300, 1, 0.25, 0.45, False),
    Case('evaluation, one label a box', 60, 3000, 1, 0.001, 0.6, False),
    Case('evaluation, several labels a box', 60, 3000, 3, 0.001, 0.6, True),
)


def make_logits(case: Case) -> list[torch.Tensor]:
    """Raw logits, [1, 3, H, W, 85] a level, in which boxes crowd around some places and the rest is empty."""
    generator = torch.Generator().manual_seed(0)
    sides = [_SIDE // stride for stride in STRIDES]
    counts = [3 * side**2 for side in sides]
    flat = torch.full((sum(counts), 5 + _CLASSES), _NOTHING) + torch.randn(
        sum(counts), 5 + _CLASSES, generator=generator
    )
    if case.live:
        places = torch.rand(case.objects, 2, generator=generator) * _SIDE
        classes = torch.randint(_CLASSES, (case.objects,), generator=generator)
        centres = torch.cat([_centres(side, stride) for side, stride in zip(sides, STRIDES, strict=True)])
        steps = torch.cat([torch.full((n,), float(s)) for n, s in zip(counts, STRIDES, strict=True)])
        distance, nearest = (torch.cdist(centres, places) / steps.unsqueeze(1)).min(1)
        live = distance.argsort()[: case.live]
        # As near to the place as a box of this cell can be.
        reach = ((places[nearest[live]] - centres[live]) / steps[live].unsqueeze(1) + 1).clamp(0.02, 1.98) / 2
        spread = torch.randn(len(live), 4, generator=generator) * 0.2
        flat[live, :2] = reach.logit() + spread[:, :2]
        flat[live, 2:4] = spread[:, 2:]
        low = max(2 * case.score_thresh, 0.01)
        flat[live, 4] = (low + (0.95 - low) * torch.rand(len(live), generator=generator)).logit()
        for k in range(case.labels):
            flat[live, 5 + (classes[nearest[live]] + 7 * k) % _CLASSES] = 4.0 if k == 0 else 0.0
    return [part.view(1, 3, side, side, 5 + _CLASSES) for part, side in zip(flat.split(counts), sides, strict=True)]


def _centres(side: int, stride: int) -> torch.Tensor:
    """Middles of a level's cells in pixels, for each of three anchors: [3 * side * side, 2]."""
    cells = cell_grid(side, side, torch.device('cpu'), torch.float32)
    return ((cells + 0.5) * stride).view(1, -1, 2).repeat(3, 1, 1).flatten(0, 1)


def ours(logits: list[torch.Tensor], case: Case) -> torch.Tensor:
    thresholds = Thresholds(case.score_thresh, case.iou_thresh, multi_label=case.multi_label)
    (kept,) = postprocess(logits, torch.tensor(DEFAULT_ANCHORS), STRIDES, thresholds)
    return torch.cat([kept.boxes, kept.scores.unsqueeze(1), kept.labels.unsqueeze(1)], 1)


def without_nms(maps: list[np.ndarray], case: Case) -> None:
    arrays.postprocess(maps, DEFAULT_ANCHORS, STRIDES, Thresholds(case.score_thresh, nms=False))


def yolov5() -> Callable[[list[torch.Tensor], Case], torch.Tensor]:
    """The peer's detection layer, without its convolutions, and its NMS."""
    from yolov5.models.yolo import Detect
    from yolov5.utils.general import LOGGER, non_max_suppression

    LOGGER.setLevel(logging.ERROR)
    anchors = [[side for pair in level for side in pair] for level in DEFAULT_ANCHORS]
    layer = Detect(_CLASSES, anchors, ch=(1, 1, 1)).eval()
    layer.stride = torch.tensor([float(stride) for stride in STRIDES])
    layer.anchors /= layer.stride.view(-1, 1, 1)
    layer.m = nn.ModuleList(nn.Identity() for _ in STRIDES)

    def run(logits: list[torch.Tensor], case: Case) -> torch.Tensor:
        # What its convolutions give: a view of the same numbers.
        maps = [x.permute(0, 1, 4, 2, 3).flatten(1, 2) for x in logits]
        decoded = layer(maps)[0]
        return non_max_suppression(decoded, case.score_thresh, case.iou_thresh, multi_label=case.multi_label)[0]

    return run


def same_boxes(first: torch.Tensor, second: torch.Tensor) -> bool:
    """Whether two results [N, 6] hold the same boxes, scores and labels, in whatever order of equal scores."""
    if first.shape != second.shape:
        return False

    def ordered(x: torch.Tensor) -> torch.Tensor:
        return x[sorted(range(len(x)), key=lambda i: (round(x[i, 4].item(), 4), x[i, 5].item(), x[i, 0].item()))]

    return torch.allclose(ordered(first), ordered(second), atol=1e-2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--rounds', type=int, default=15)
    parser.add_argument('--seconds', type=float, default=0.15)
    parser.add_argument('--threads', type=int, default=2)
    options = parser.parse_args()
    warnings.filterwarnings('ignore')
    torch.set_num_threads(options.threads)
    peer = yolov5()
    columns = 'case', 'candidates', 'kept', 'same boxes', 'yolov5, ms', 'mbv3zoo, ms', 'ratio', 'without NMS, ms'
    print(f'| {" | ".join(columns)} |', '|---' * len(columns) + '|', sep='\n')
    with torch.inference_mode():
        for case in CASES:
            maps = make_logits(case)
            # The memory layout that a network gives: channels first.
            logits = [x.permute(0, 1, 4, 2, 3).contiguous().permute(0, 1, 3, 4, 2) for x in maps]
            found, expected = ours(logits, case), peer(logits, case)
            peaks = only_peaks([x.permute(0, 1, 4, 2, 3).flatten(1, 2) for x in maps], 3, STRIDES, shared_classes=False)
            calls: list[Callable[[], object]] = [partial(function, logits, case) for function in (peer, ours)]
            calls.append(partial(without_nms, [level.numpy() for level in peaks], case))
            first, *others = interleave(calls, options.rounds, options.seconds)
            theirs, own, none = (figures(blocks, first, batch=1) for blocks in (first, *others))
            print(
                f'| {case.name} | {case.live} | {len(expected)} | {"yes" if same_boxes(found, expected) else "NO"} '
                f'| {theirs["ms"]:.2f} | {own["ms"]:.2f} | {own["relative"]:.2f} | {none["ms"]:.2f} |',
                flush=True,
            )


if __name__ == '__main__':
    main()
