"""What an exported file says about itself: all that is needed to predict with it, and where it came from."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from mbv3zoo.config.base import Config
from mbv3zoo.config.detector import MOST_CLASSES, DetectorConfig
from mbv3zoo.config.license_record import LicenseRecord
from mbv3zoo.config.types import ClassNames, ImageSize, LevelAnchors
from mbv3zoo.images.letterbox import PAD_VALUE

# Under this key a format that can hold text has it, as JSON.
METADATA_KEY = 'mbv3zoo'

# What the graph gives. 'maps': a tensor a level, [B, A * (5 + K), H / stride, W / stride], the raw logits tx, ty, tw,
# th, objectness, K classes of each anchor. 'detections': one tensor [N, 7] of what is kept: index of the picture in the
# batch, x1, y1, x2, y2 in pixels of the letterbox, score, label; the best of each picture first.
Outputs = Literal['maps', 'detections']
Precision = Literal['float32', 'float16', 'int8']


class LetterboxRule(Config):
    """How a picture is fitted into the input (`mbv3zoo.images.letterbox`): scaled to fit, centred, the rest filled.

    Attributes:
        resize: Kind of interpolation.
        align: Where the picture lies.
        pad_value: Grey level around it, 0..255.
    """

    resize: Literal['bilinear-antialias'] = 'bilinear-antialias'
    align: Literal['center'] = 'center'
    pad_value: Literal[114] = PAD_VALUE


class ExportInfo(Config):
    """The record in an exported file.

    The graph takes RGB pixels as they are, [B, C, H, W] uint8 or float in 0..255; it normalises them itself.

    Attributes:
        version: Of this record.
        library_version: Of mbv3zoo, which wrote it.
        backbone: The detector's backbone, as timm calls it.
        class_names: Name of each class.
        in_chans: Channels of the picture.
        image_size: (height, width) in pixels that pictures are letterboxed to.
        dynamic: Whether the graph takes other sizes (multiples of the largest stride, at least 32) and any batch.
        batch_size: Pictures a call where the graph is not dynamic.
        strides: Pixels a cell of each level.
        anchors: For each stride a list of (width, height) in pixels.
        input_dtype: Type of the pixels.
        outputs: What the graph gives.
        precision: Of its weights.
        score_thresh, iou_thresh, max_detections: The thresholds inside the graph, where it gives detections.
        letterbox: How pictures are fitted in.
        licenses: What the weights were made from.
    """

    version: Literal[1] = 1
    library_version: str
    backbone: str
    class_names: Annotated[ClassNames, Field(min_length=1, max_length=MOST_CLASSES)]
    in_chans: Annotated[int, Field(ge=1, le=1024)]
    image_size: ImageSize
    dynamic: bool = False
    batch_size: Annotated[int, Field(ge=1)] = 1
    strides: tuple[Annotated[int, Field(ge=2, le=1024)], ...]
    anchors: LevelAnchors
    input_dtype: Literal['uint8', 'float32'] = 'uint8'
    outputs: Outputs = 'maps'
    precision: Precision = 'float32'
    score_thresh: float | None = None
    iou_thresh: float | None = None
    max_detections: int | None = None
    letterbox: LetterboxRule = LetterboxRule()
    licenses: LicenseRecord = LicenseRecord()

    @model_validator(mode='after')
    def _check(self) -> Self:
        if len(self.strides) != len(self.anchors):
            raise ValueError(f'{len(self.strides)} strides need as many lists of anchors, given {len(self.anchors)}')
        return self

    @classmethod
    def of(cls, config: DetectorConfig, strides: tuple[int, ...], library_version: str, **settings: Any) -> Self:
        """The record of a detector.

        Args:
            config: Its config, with anchors.
            strides: Pixels a cell of each level.
            library_version: Of mbv3zoo.
            **settings: Other fields.
        """
        taken = ('backbone', 'class_names', 'in_chans', 'image_size', 'anchors', 'licenses')
        fields = {name: getattr(config, name) for name in taken}
        return cls(strides=strides, library_version=library_version, **fields | settings)

    @property
    def unit(self) -> int:
        """Sides of the input are multiples of this."""
        return max(*self.strides, 32)

    def check_sides(self, image_size: tuple[int, int]) -> None:
        """Raises ValueError where a side of (height, width) is no multiple of `unit`."""
        if any(side < self.unit or side % self.unit for side in image_size):
            raise ValueError(f'image_size must be multiples of {self.unit}, given {image_size}')
