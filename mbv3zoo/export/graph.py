"""The network as it runs where it is used: pixels in, raw maps or detections out, everything folded that can be."""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import nn
from torch.export import Dim
from torchvision.ops import nms

from mbv3zoo.export.deployed_neck import deployed_neck
from mbv3zoo.export.fixed_padding import fix_same_padding
from mbv3zoo.models.fuse import first_convolution
from mbv3zoo.models.network import DetectorNetwork
from mbv3zoo.models.postprocess.decoding import CLASS_OFFSET
from mbv3zoo.models.postprocess.dense import decode
from mbv3zoo.runtimes.export_info import ExportInfo


class DeployedNetwork(nn.Module):
    """A detector's network, folded, on pixels of 0..255.

    The weights are a copy: the detector stays as it is.

    Args:
        detector: The detector.
        info: What the graph takes and gives; see `ExportInfo`.
    """

    def __init__(self, detector: DetectorNetwork, info: ExportInfo) -> None:
        super().__init__()
        self.info = info
        detector = deepcopy(detector).cpu().float().eval().requires_grad_(False)
        if not detector.fused:
            detector.fuse()
        if info.dynamic:
            fix_same_padding(detector.backbone, detector.mean.new_zeros(1, info.in_chans, info.unit, info.unit))
        self.backbone, self.convs = detector.backbone, detector.head.convs
        self.neck = deployed_neck(detector.neck)
        self.num_outputs = detector.head.num_outputs
        self.register_buffer('anchors', detector.anchors)
        # In one step from 0..255: the difference first, so that cells of padding stay 0.
        self.register_buffer('mean', detector.mean * 255)
        self.register_buffer('scale', 1 / (detector.std * 255))
        stem = first_convolution(self.backbone, detector.mean.new_zeros(1, info.in_chans, *info.image_size))
        self.scale_in_stem = stem is not None
        if stem is not None:
            with torch.no_grad():
                stem.weight.mul_(self.scale)
        self.eval()

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...] | torch.Tensor:
        """uint8 or float [B, C, H, W] in 0..255 -> what `info.outputs` says."""
        x = images.to(self.mean.dtype) - self.mean
        if not self.scale_in_stem:
            x = x * self.scale
        maps = tuple(conv(level) for conv, level in zip(self.convs, self.neck(self.backbone(x)), strict=True))
        return maps if self.info.outputs == 'maps' else self._keep(maps)

    def example(self) -> torch.Tensor:
        """An input that it takes; where the batch is dynamic of two pictures, since exporters take 1 for a constant."""
        batch = max(2, self.info.batch_size) if self.info.dynamic else self.info.batch_size
        dtype = getattr(torch, self.info.input_dtype)
        return torch.full((batch, self.info.in_chans, *self.info.image_size), 114, dtype=dtype)

    def dynamic_shapes(self) -> tuple | None:
        """What torch.export is told of the input's sizes; None where they are fixed."""
        return ({0: Dim.DYNAMIC, 2: Dim.DYNAMIC, 3: Dim.DYNAMIC},) if self.info.dynamic else None

    def output_names(self) -> list[str]:
        """Names for its outputs."""
        return ['detections'] if self.info.outputs == 'detections' else [f'map{stride}' for stride in self.info.strides]

    def _keep(self, maps: tuple[torch.Tensor, ...]) -> torch.Tensor:
        """Decodes and suppresses inside the graph: [N, 7], picture, box, score, label; as `postprocess` does."""
        info, num_anchors = self.info, self.anchors.shape[1]
        logits = [x.view(x.shape[0], num_anchors, self.num_outputs, *x.shape[2:]).permute(0, 1, 3, 4, 2) for x in maps]
        boxes, scores = decode(logits, self.anchors, info.strides)
        best, labels = scores.max(2)
        picture, cell = (best > info.score_thresh).nonzero(as_tuple=True)
        boxes, best, labels = boxes[picture, cell], best[picture, cell], labels[picture, cell]
        # Boxes of another class lie far to the right and those of another picture far below, so that one suppression
        # does for all.
        shift = torch.stack([labels, picture, labels, picture], 1).to(boxes.dtype) * CLASS_OFFSET
        keep = nms(boxes + shift, best, info.iou_thresh)
        rows = torch.cat([picture.unsqueeze(1), boxes, best.unsqueeze(1), labels.unsqueeze(1)], 1)[keep]
        # Best first from the suppression: each row's place among those of its picture.
        own = (rows[:, 0] == torch.arange(maps[0].shape[0], device=rows.device).unsqueeze(1)).int()
        rows = rows[(own.cumsum(1) * own).sum(0) <= info.max_detections]
        return rows[(2 * rows[:, 0] - rows[:, 5]).argsort()]
