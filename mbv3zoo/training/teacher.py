"""A trained detector that another one learns from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import torch

from mbv3zoo.config.license_record import LicenseRecord
from mbv3zoo.config.model import ModelConfig
from mbv3zoo.loading import load
from mbv3zoo.models.modes import evaluating
from mbv3zoo.models.postprocess.decoding import decode_boxes
from mbv3zoo.models.postprocess.dense import cell_grid
from mbv3zoo.prediction.engine import as_engine, input_size, task_of

# Anchors per image that are learned from: those where the teacher is most certain of an object.
_MOST = 100


class Taught(NamedTuple):
    """What a teacher finds at its M most certain anchors of each image of a batch, the certain ones first.

    Attributes:
        boxes: float32 [B, M, 4] xyxy, in pixels of the input.
        objectness: float32 [B, M], 0..1.
        classes: float32 [B, M, K], 0..1, of the student's classes; 0 where the teacher does not know one.
        certainty: float32 [B, M], 0..1: the score of its best class among the student's.
        level: int64 [B, M], index of the student's level of the same stride.
        row, column: int64 [B, M], the cell.
    """

    boxes: torch.Tensor
    objectness: torch.Tensor
    classes: torch.Tensor
    certainty: torch.Tensor
    level: torch.Tensor
    row: torch.Tensor
    column: torch.Tensor


class Teacher:
    """Runs a trained detector on the images that another one is trained on.

    Args:
        name: What `mbv3zoo.load` takes: a saved detector, or an exported file that gives raw maps.
        student: Config of the detector that learns; classes are matched by their names.
        strides: The student's strides.

    Attributes:
        known: bool [K], which of the student's classes it knows.
        channels: Stride of each level of its neck -> the channels there; none of an exported file.
        licenses: What its weights were made from.

    Raises:
        ValueError: There is no detector there, it has NMS or peaks inside, none of the student's classes or strides
            or other channels, or does not take images of the student's size.
    """

    def __init__(self, name: str, student: ModelConfig, strides: Sequence[int]) -> None:
        try:
            self.model = cast(Any, load(name))
        except ValueError as error:
            raise ValueError(f'teacher: {error}') from error
        if task_of(self.model) != 'detection':
            raise ValueError(f'teacher: {name} is a segmenter; expected a detector')
        info = getattr(self.model, 'info', None)
        if info is None:
            # What it knows of an object's other anchors is taught too.
            self.model.head.nms = True
        elif info.outputs != 'maps':
            raise ValueError(f'teacher: {name} has NMS inside; export it without nms, or give the detector itself')
        elif not info.nms:
            raise ValueError(
                f"teacher: {name} gives one anchor for each object; export it without nms='none', or give the detector "
                'itself'
            )
        stated = self.model.config if info is None else info
        self._in_torch = info is None
        self.strides: tuple[int, ...] = tuple(self.model.strides if info is None else info.strides)
        self._check(name, stated, student, strides)
        self.licenses: LicenseRecord = stated.licenses
        self.anchors = torch.tensor(stated.anchors, dtype=torch.float32)
        own = {class_name: index for index, class_name in enumerate(stated.class_names)}
        indices = torch.tensor([own.get(class_name, -1) for class_name in student.class_names])
        self.known, self._indices = indices >= 0, indices.clamp(min=0)
        self._single = len(own) == 1
        channels = self.model.neck.out_channels if self._in_torch else ()
        self.channels = dict(zip(self.strides, channels, strict=False))
        self._levels = [strides.index(stride) if stride in strides else None for stride in self.strides]

    def to(self, device: torch.device) -> None:
        """Moves it; an exported file goes on running on the CPU."""
        if self._in_torch:
            self.model.to(device).to(memory_format=torch.channels_last).requires_grad_(False)
        self.anchors, self.known, self._indices = (
            tensor.to(device) for tensor in (self.anchors, self.known, self._indices)
        )

    @torch.no_grad()
    def __call__(self, images: torch.Tensor) -> tuple[Taught, dict[int, torch.Tensor]]:
        """Looks at uint8 images [B, C, H, W], on its device.

        Returns what it finds, and the feature maps of its neck, [B, C, H, W] by stride; none of an exported file.
        """
        every_logits, maps = self._run(images)
        found = [
            self._level(logits.float(), anchors, stride, level)
            for logits, anchors, stride, level in zip(
                every_logits, self.anchors, self.strides, self._levels, strict=True
            )
            if level is not None
        ]
        every = Taught(*(torch.cat(parts, 1) for parts in zip(*found, strict=True)))
        best = every.certainty.topk(min(_MOST, every.certainty.shape[1]), 1).indices
        return Taught(*(part.gather(1, _like(best, part)) for part in every)), maps

    def _run(self, images: torch.Tensor) -> tuple[list[torch.Tensor], dict[int, torch.Tensor]]:
        """Logits [B, A, H, W, 5 + K] for each of its levels, and its feature maps."""
        if self._in_torch:
            with evaluating(self.model) as network:
                seen: Any = network
                pixels = images.to(torch.float, memory_format=torch.channels_last) / 255
                maps = seen.neck(seen.backbone(seen._normalise(pixels)))
                return seen.head(maps), dict(zip(self.strides, maps, strict=True))
        outputs = [torch.from_numpy(one).to(images.device) for one in self.model.run(images.cpu().numpy())]
        return [one.unflatten(1, (self.anchors.shape[1], -1)).permute(0, 1, 3, 4, 2) for one in outputs], {}

    def _level(self, logits: torch.Tensor, anchors: torch.Tensor, stride: int, level: int) -> Taught:
        height, width = logits.shape[2:4]
        cells = cell_grid(height, width, logits.device, logits.dtype)
        probability = logits.sigmoid()
        boxes = decode_boxes(probability[..., :4], cells, anchors[:, None, None], stride)
        objectness = probability[..., 4]
        # The loss ignores the logit of a single class, so it says nothing.
        own = torch.ones_like(probability[..., 5:]) if self._single else probability[..., 5:]
        classes = own.index_select(-1, self._indices) * self.known
        certainty = objectness * classes.amax(-1)
        row, column = (cells[..., axis].long().expand(certainty.shape) for axis in (1, 0))
        parts = boxes, objectness, classes, certainty, torch.full_like(row, level), row, column
        return Taught(*(part.flatten(1, 3) for part in parts))

    def _check(self, name: str, stated: Any, student: ModelConfig, strides: Sequence[int]) -> None:
        if not set(stated.class_names) & set(student.class_names):
            few, rest = stated.class_names[:10], len(stated.class_names) - 10
            raise ValueError(
                f'teacher: {name} has none of the classes of the dataset; it knows {", ".join(few)}'
                f'{f" and {rest} more" if rest > 0 else ""}'
            )
        if stated.in_chans != student.in_chans:
            raise ValueError(
                f'teacher: {name} takes images of {stated.in_chans} channels, and the detector of {student.in_chans}'
            )
        if not set(strides) & set(self.strides):
            raise ValueError(
                f'teacher: {name} has the strides {list(self.strides)}, and the detector {list(strides)}; expected one '
                'in common'
            )
        try:
            input_size(as_engine(self.model), student.image_size)
        except ValueError as error:
            raise ValueError(f'teacher: {name}: {error}') from error


def _like(index: torch.Tensor, part: torch.Tensor) -> torch.Tensor:
    """An index [B, M] for `gather` from [B, N] or [B, N, C]."""
    return index if part.dim() == 2 else index.unsqueeze(2).expand(*index.shape, part.shape[2])
