"""The network as it is deployed: pixels in, raw maps or detections out, fused as far as possible."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.export import Dim

from mbv3zoo.export.deployed_head import DeployedLRASPP
from mbv3zoo.export.deployed_neck import deployed_neck
from mbv3zoo.export.fixed_padding import fix_same_padding
from mbv3zoo.export.suppression import keep
from mbv3zoo.models.base_network import ModelNetwork
from mbv3zoo.models.fuse import first_convolution
from mbv3zoo.models.head import Head
from mbv3zoo.models.modes import running
from mbv3zoo.models.network import DetectorNetwork
from mbv3zoo.models.plain_weights import check_logits, make_plain, whole_copy
from mbv3zoo.models.postprocess.dense import decode
from mbv3zoo.models.segmenter_network import SegmenterNetwork
from mbv3zoo.models.weights import check_finite
from mbv3zoo.runtimes.export_info import ExportInfo

# Mean difference of the logits between the graph and the detector, as a share of their standard deviation. Folding
# makes some 1e-6.
_TOLERANCE = 1e-3
_NOT_TAKEN_OVER = (
    'the graph would not give what the detector itself gives: a graph takes over its backbone, neck and head, not '
    'hooks or a forward of the detector, its neck or its head; remove them, or leave runtime and export out'
)


class DeployedNetwork(nn.Module):
    """A detector's or segmenter's network, fused, on pixels in 0..255.

    The weights are a copy: the model is not changed.

    Args:
        detector: The model.
        info: What the graph takes and gives; see `ExportInfo`.

    Raises:
        ValueError: It does not give what the detector gives, as that has hooks or a `forward` of its own.
    """

    anchors: torch.Tensor
    mean: torch.Tensor
    scale: torch.Tensor

    # It runs the network, to see which layer feeds which.
    @running.using()
    def __init__(self, detector: ModelNetwork, info: ExportInfo) -> None:
        super().__init__()
        self.info = info
        if any('forward' in vars(part) for part in (detector, *detector.children())):
            raise ValueError(_NOT_TAKEN_OVER)
        # In float32, which numbers of float64 may be too large for.
        detector = whole_copy(detector).cpu().float().eval().requires_grad_(False)
        check_finite(detector, 'no graph can be made of the detector')
        noise = torch.rand(1, info.in_chans, *info.image_size, generator=torch.Generator().manual_seed(0))
        expected = detector.maps(noise)
        check_logits(expected)
        make_plain(detector)
        if not detector.fused:
            detector.fuse()
        if info.dynamic:
            fix_same_padding(detector.backbone, detector.mean.new_zeros(1, info.in_chans, info.unit, info.unit))
        self.backbone = detector.backbone
        self.neck, self.head = _behind(detector)
        # Not the buffer, which is rounded where the detector is in half precision.
        self.register_buffer('anchors', torch.tensor(info.anchors, dtype=torch.float32))
        # Normalises 0..255 in one step: the difference first, so that zero padding inside the network means the mean.
        self.register_buffer('mean', detector.mean * 255)
        self.register_buffer('scale', 1 / (detector.std * 255))
        stem = None
        # In float16 the product would be too small for its normal numbers, which ncnn then takes for 0.
        if info.precision != 'float16':
            stem = first_convolution(self.backbone, detector.mean.new_zeros(1, info.in_chans, *info.image_size))
        self.scale_in_stem = stem is not None
        if stem is not None:
            with torch.no_grad():
                stem.weight.mul_(self.scale)
        self.half_precision = False
        self.eval()
        _check_same(self._maps(noise * 255), expected)

    def to_half(self) -> DeployedNetwork:
        """The network in float16, in place: pixels, their normalisation, logits, decoding and NMS stay in float32.

        Raises:
            ValueError: A weight is too large for float16.
        """
        largest = torch.finfo(torch.float16).max
        for name, weight in self.named_parameters():
            if weight.abs().max() > largest:
                raise ValueError(
                    f'{name} has weights up to {weight.abs().max():.3g}, and the largest number of float16 is '
                    f'{largest:g}; export in float32'
                )
        for part in (self.backbone, self.neck, self.head):
            part.half()
        self.half_precision = True
        return self

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...] | torch.Tensor:
        """uint8 or float [B, C, H, W] in 0..255 -> raw maps or detections, see `info.outputs`."""
        maps = self._maps(images)
        return maps if self.info.outputs == 'maps' else keep_detections(maps, self.anchors, self.info)

    def example(self) -> torch.Tensor:
        """An example input; of two images where the batch is dynamic, as exporters take 1 for a constant."""
        batch = max(2, self.info.batch_size) if self.info.dynamic else self.info.batch_size
        dtype = getattr(torch, self.info.input_dtype)
        return torch.full((batch, self.info.in_chans, *self.info.image_size), 114, dtype=dtype)

    def dynamic_shapes(self) -> tuple | None:
        """The input's dynamic sizes for torch.export; None where all are fixed."""
        return ({0: Dim.DYNAMIC, 2: Dim.DYNAMIC, 3: Dim.DYNAMIC},) if self.info.dynamic else None

    def input_names(self) -> list[str]:
        """Name of the input."""
        return ['images']

    def output_names(self) -> list[str]:
        """Names of the outputs."""
        return ['detections'] if self.info.outputs == 'detections' else map_names(self.info)

    def _maps(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        x = images.to(self.mean.dtype) - self.mean
        if not self.scale_in_stem:
            x = x * self.scale
        if self.half_precision:
            x = x.half()
        head = self.head
        maps = (head.layers if isinstance(head, Head) else head)(self.neck(self.backbone(x)))
        if self.half_precision:
            maps = [x.float() for x in maps]
        return tuple(head.peaks(maps) if isinstance(head, Head) else maps)


def _behind(network: ModelNetwork) -> tuple[nn.Module, nn.Module]:
    """Neck and head; of a segmenter, which has no neck, one that changes nothing."""
    if isinstance(network, SegmenterNetwork):
        return nn.Identity(), DeployedLRASPP(network.head)
    assert isinstance(network, DetectorNetwork)
    return deployed_neck(network.neck), network.head


def map_names(info: ExportInfo) -> list[str]:
    """Names of the raw maps of a graph, finest first."""
    return [f'map{stride}' for stride in info.strides]


def keep_detections(maps: Sequence[torch.Tensor], anchors: torch.Tensor, info: ExportInfo) -> torch.Tensor:
    """Decoding and NMS inside a graph, as in `postprocess`: [N, 7] image index, box, score, label.

    Args:
        maps: One per stride, [B, A * (5 + K), H, W].
        anchors: [levels, A, 2], (width, height) in pixels of the network's input.
        info: Strides and thresholds.
    """
    assert info.score_thresh is not None and info.iou_thresh is not None and info.max_detections is not None
    num_anchors, num_outputs = anchors.shape[1], 5 + len(info.class_names)
    logits = [x.view(x.shape[0], num_anchors, num_outputs, *x.shape[2:]).permute(0, 1, 3, 4, 2) for x in maps]
    boxes, scores = decode(logits, anchors, info.strides)
    best, labels = scores.max(2)
    return keep(boxes, best, labels, info.score_thresh, info.iou_thresh, info.max_detections)


def _check_same(maps: Sequence[torch.Tensor], expected: Sequence[torch.Tensor]) -> None:
    """Refuses maps that are not the model's logits: what a graph takes over is its weights and layers alone."""
    for found, level in zip(maps, expected, strict=True):
        wanted = (level.permute(0, 1, 4, 2, 3) if level.dim() == 5 else level).reshape(found.shape)
        if not (found - wanted).abs().mean() <= _TOLERANCE * wanted.std().clamp(min=1e-3):
            raise ValueError(_NOT_TAKEN_OVER)
