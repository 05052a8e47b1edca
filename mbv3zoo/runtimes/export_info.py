"""What an exported file says about itself: all that is needed to predict with it, and where it came from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypedDict, Unpack

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from mbv3zoo.config.base import Config
from mbv3zoo.config.license_record import LicenseRecord
from mbv3zoo.config.model import MOST_CLASSES, ModelConfig, Task
from mbv3zoo.config.types import ClassNames, Fraction, ImageSize, LevelAnchors
from mbv3zoo.images.letterbox import PAD_VALUE
from mbv3zoo.runtimes.certificate_data import certificate_path, read_certificate_data
from mbv3zoo.utils.json import parse_settings
from mbv3zoo.utils.sizes import MOST_BOXES

# The key under which formats that can hold text have the record, as JSON.
METADATA_KEY = 'mbv3zoo'

# What the graph gives. 'maps': one tensor per level, [B, A * (5 + K), H / stride, W / stride], the raw logits tx, ty,
# tw, th, objectness, K classes of each anchor; of a segmenter one, [B, K, H / stride, W / stride]. 'detections': one
# tensor [N, 7] of what is kept: index of the image in the batch, x1, y1, x2, y2 in pixels of the letterbox, score,
# label; sorted by score within each image.
Outputs = Literal['maps', 'detections']
Precision = Literal['float32', 'float16', 'int8']
InputType = Literal['uint8', 'float32']


class LetterboxRule(Config):
    """How an image is fitted into the input (`mbv3zoo.images.letterbox`): scaled to fit, centred, the rest padded.

    Attributes:
        resize: Kind of interpolation.
        align: Where the image lies.
        pad_value: Grey level of the padding, 0..255.
    """

    resize: Literal['bilinear-antialias'] = 'bilinear-antialias'
    align: Literal['center'] = 'center'
    pad_value: Literal[114] = PAD_VALUE


class ExportSettings(TypedDict, total=False):
    """The fields of `ExportInfo` that an export chooses, with its defaults."""

    dynamic: bool
    batch_size: int
    input_dtype: InputType
    outputs: Outputs
    precision: Precision
    score_thresh: float
    iou_thresh: float
    max_detections: int


class ExportInfo(Config):
    """The record in an exported file.

    The graph takes RGB pixels as they are, [B, C, H, W] uint8 or float in 0..255; it normalises them itself.

    Attributes:
        version: Version of this record's format.
        library_version: Version of mbv3zoo that wrote the file.
        task: What the model finds; files from before there were segmenters do not say, and are detectors'.
        backbone: The model's backbone, by its name in timm.
        class_names: Name of each class.
        in_chans: Channels of the image.
        image_size: (height, width) in pixels that images are letterboxed to.
        dynamic: Whether the graph takes other sizes (multiples of the largest stride, at least 32) and any batch size.
        batch_size: Images per call where the graph is not dynamic.
        strides: Stride of each level, in input pixels per cell.
        anchors: Per level a list of (width, height) in pixels; empty for a segmenter.
        input_dtype: Type of the pixels.
        outputs: What the graph gives.
        nms: Whether what it gives needs NMS; maps of a detector without NMS do not.
        precision: Precision of the weights.
        score_thresh, iou_thresh, max_detections: The thresholds inside the graph, where it gives detections.
        letterbox: How images are fitted into the input.
        licenses: What the weights were made from.
    """

    version: Literal[1] = 1
    library_version: str
    task: Task = 'detection'
    backbone: str
    class_names: Annotated[ClassNames, Field(min_length=1, max_length=MOST_CLASSES)]
    in_chans: Annotated[int, Field(ge=1, le=1024)]
    image_size: ImageSize
    dynamic: bool = False
    batch_size: Annotated[int, Field(ge=1)] = 1
    strides: tuple[Annotated[int, Field(ge=2, le=1024)], ...]
    anchors: LevelAnchors = ()
    input_dtype: InputType = 'uint8'
    outputs: Outputs = 'maps'
    nms: bool = True
    precision: Precision = 'float32'
    score_thresh: Fraction | None = None
    iou_thresh: Fraction | None = None
    max_detections: Annotated[int, Field(ge=1, le=MOST_BOXES)] | None = None
    letterbox: LetterboxRule = LetterboxRule()
    licenses: LicenseRecord = LicenseRecord()

    @model_validator(mode='after')
    def _check(self) -> Self:
        kept = (self.score_thresh, self.iou_thresh, self.max_detections)
        if self.outputs == 'detections' and None in kept:
            raise ValueError('a graph that gives detections needs score_thresh, iou_thresh and max_detections')
        if self.task == 'segmentation' and (self.anchors or self.outputs != 'maps' or len(self.strides) != 1):
            raise ValueError("a segmenter's graph gives one map, of one stride, and has no anchors")
        if self.task == 'detection' and len(self.strides) != len(self.anchors):
            raise ValueError(f'{len(self.strides)} strides need as many lists of anchors, given {len(self.anchors)}')
        return self

    @model_serializer(mode='wrap')
    def _as_before(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Files that need NMS are those of earlier versions, which would refuse the key."""
        return {key: value for key, value in write(self).items() if (key, value) != ('nms', True)}

    @classmethod
    def of(
        cls, config: ModelConfig, strides: tuple[int, ...], library_version: str, **settings: Unpack[ExportSettings]
    ) -> Self:
        """The record of a model.

        Args:
            config: Its config, a detector's with anchors.
            strides: Stride of each level, in input pixels per cell.
            library_version: Version of mbv3zoo.
            **settings: Other fields.
        """
        taken = ('task', 'backbone', 'class_names', 'in_chans', 'image_size', 'anchors', 'nms', 'licenses')
        fields = {name: getattr(config, name) for name in taken if hasattr(config, name)}
        return cls(strides=strides, library_version=library_version, **fields, **settings)

    @property
    def unit(self) -> int:
        """The sides of the input are multiples of this number of pixels."""
        return max(*self.strides, 32)

    def check_sides(self, image_size: tuple[int, int]) -> None:
        """Raises ValueError where a side of (height, width) is no multiple of `unit`."""
        if any(side < self.unit or side % self.unit for side in image_size):
            raise ValueError(f'image_size must be multiples of {self.unit}, given {image_size}')


def read_info(path: Path, metadata: str | None) -> ExportInfo | None:
    """Reads the record of an exported file.

    Args:
        path: The file.
        metadata: The record inside the file, as JSON text. Formats that hold no text have it in the certificate beside
            the file.

    Returns:
        The record; None where there is none, as in other programs' files.

    Raises:
        ValueError: It is damaged.
    """
    if metadata is None:
        data = read_certificate_data(path)
        place = certificate_path(path)
        return ExportInfo.parse(data['info'], place) if isinstance(data, dict) and 'info' in data else None
    try:
        data = parse_settings(metadata)
    except ValueError as error:
        raise ValueError(f'{path}: its metadata is not JSON: {error}') from error
    return ExportInfo.parse(data, path)
