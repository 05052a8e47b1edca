"""Decoding and NMS as a graph of its own, in float32, which is put behind a network in int8."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.export import Dim

from mbv3zoo.export.graph import keep_detections, map_names
from mbv3zoo.export.parity import SAME_INT8, compare_kept
from mbv3zoo.models.postprocess.thresholds import Thresholds
from mbv3zoo.runtimes.export_info import ExportInfo
from mbv3zoo.runtimes.exported_detector import ExportedDetector
from mbv3zoo.runtimes.session import open_session
from mbv3zoo.runtimes.table import format_of

# Quantised scores are often equal, so that which box comes first may differ: largest share of boxes without a match.
_MOST_APART = 0.1


class SuppressionTail(nn.Module):
    """Raw maps -> detections; it has the methods of `DeployedNetwork` that writing needs.

    Args:
        info: Record of the whole graph, whose outputs are 'detections'.
    """

    anchors: torch.Tensor

    def __init__(self, info: ExportInfo) -> None:
        super().__init__()
        self.info = info
        self.register_buffer('anchors', torch.tensor(info.anchors, dtype=torch.float32))
        self.eval()

    def forward(self, maps: list[torch.Tensor]) -> torch.Tensor:
        """One map per stride, float32 [B, A * (5 + K), H, W] -> [N, 7]: image index, box, score, label."""
        return keep_detections(maps, self.anchors, self.info)

    def example(self) -> list[torch.Tensor]:
        """An example input; of two images where the batch is dynamic."""
        batch = max(2, self.info.batch_size) if self.info.dynamic else self.info.batch_size
        height, width = self.info.image_size
        channels = self.anchors.shape[1] * (5 + len(self.info.class_names))
        return [torch.zeros(batch, channels, height // stride, width // stride) for stride in self.info.strides]

    def dynamic_shapes(self) -> tuple | None:
        """The inputs' dynamic sizes for torch.export; None where all are fixed."""
        sizes = {0: Dim.DYNAMIC, 2: Dim.DYNAMIC, 3: Dim.DYNAMIC}
        return ([sizes] * len(self.info.strides),) if self.info.dynamic else None

    def input_names(self) -> list[str]:
        """Names of the maps, as they are in a graph that gives them."""
        return map_names(self.info)

    def output_names(self) -> list[str]:
        """Name of the output."""
        return ['detections']


def without_suppression(info: ExportInfo) -> ExportInfo:
    """The record of the same graph without NMS inside, which gives its raw maps."""
    none = {'score_thresh': None, 'iou_thresh': None, 'max_detections': None}
    return info.model_copy(update={'outputs': 'maps', **none})


def add_suppression(path: Path, info: ExportInfo, images: Sequence[np.ndarray]) -> None:
    """Lets a file that gives raw maps give detections, in place.

    Args:
        path: The file, .onnx, or .xml with its .bin beside it.
        info: Record of the new file, whose outputs are 'detections'.
        images: uint8 [1, C, H, W] each, on which both must find the same.

    Raises:
        ValueError: They do not.
    """
    before = _found(path, without_suppression(info), info, images)
    import_module(f'mbv3zoo.export.{format_of(path).name}').add_tail(path, SuppressionTail(info))
    after = _found(path, info, info, images)
    parities = [compare_kept(*pair, least=SAME_INT8) for pair in zip(before, after, strict=True)]
    kept, apart = (sum(parity[name] for parity in parities) for name in ('kept', 'kept_apart'))
    if apart > max(1, _MOST_APART * kept):
        raise ValueError(
            f'{path.name}: {apart:.0f} of {kept:.0f} boxes come out otherwise with NMS inside; export it without nms'
        )


def _found(path: Path, info: ExportInfo, whole: ExportInfo, images: Sequence[np.ndarray]) -> list[list[torch.Tensor]]:
    """Boxes, scores and labels that a file keeps of each image, at the thresholds of the whole graph."""
    assert whole.score_thresh is not None and whole.iou_thresh is not None and whole.max_detections is not None
    thresholds = Thresholds(whole.score_thresh, whole.iou_thresh, whole.max_detections)
    exported = ExportedDetector(open_session(path), info)
    return [[torch.from_numpy(part) for part in exported.detect(image, thresholds)[0]] for image in images]
