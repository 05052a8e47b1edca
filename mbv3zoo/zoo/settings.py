"""What a user says of a detector beside its name: fields of its config, arguments of timm's, options of the Hub."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

import torch

from mbv3zoo.config.detector import DetectorConfig, HeadName, NeckName
from mbv3zoo.config.fit_record import FitRecord
from mbv3zoo.config.layer_rows import LayerRows
from mbv3zoo.config.license_record import LicenseRecord
from mbv3zoo.config.model import ModelConfig
from mbv3zoo.hub import PullOptions
from mbv3zoo.layer_lists.parse import SCALING
from mbv3zoo.models.dtypes import parse_dtype
from mbv3zoo.utils.text import shown

# Arguments of timm.create_model that say where weights come from or where the model is put: true of one build only.
_BUILD_ARGS = {'cache_dir', 'pretrained_cfg', 'pretrained_cfg_overlay', 'checkpoint_path', 'device', 'dtype'}


class ModelSettings(PullOptions, total=False):
    """Keyword arguments that `mbv3zoo.create_detector` and `mbv3zoo.create_segmenter` have in common, all optional.

    First fields of the config, which says what each is; None leaves a field as it is. Then arguments of
    `timm.create_model`. It takes its others too: as keywords, or, as type checkers want it, in `backbone_args`.
    """

    backbone: str | None
    backbone_args: Mapping[str, Any] | None
    num_classes: int | None
    class_names: Sequence[str] | None
    in_chans: int | None
    image_size: int | tuple[int, int] | None
    mean: Sequence[float] | None
    std: Sequence[float] | None
    widths: Mapping[str, int] | None
    fit: FitRecord | Mapping[str, Any] | None
    licenses: LicenseRecord | Mapping[str, Any] | None

    img_size: int | tuple[int, int]
    """Image size that the backbone is built for, in pixels, where its family is built for one."""
    drop_rate: float
    """Dropout rate of the backbone, 0..1."""
    drop_path_rate: float
    """Stochastic depth rate of the backbone, 0..1."""
    output_stride: int
    """Coarsest stride of the backbone's feature maps: later strides are replaced by dilation."""
    pretrained_cfg: str | Mapping[str, Any]
    """timm's record of the weights, or a tag of one."""
    pretrained_cfg_overlay: Mapping[str, Any]
    """Fields that override those of timm's record."""
    checkpoint_path: str
    """A file of weights for the backbone: of timm's model, a classifier too, or of its features alone."""
    device: str | torch.device
    """Device that the detector is put on; 'meta' gives it no storage."""
    dtype: torch.dtype | str
    """Type of the detector's weights, one of `mbv3zoo.models.dtypes.DTYPES`, or its name such as 'float16'."""


class DetectorSettings(ModelSettings, total=False):
    """Keyword arguments of `mbv3zoo.create_detector`: those of all models, fields of `DetectorConfig`."""

    anchors: int | Sequence[Sequence[Sequence[float]]] | None
    neck: NeckName | LayerRows | None
    depth_multiple: float | None
    width_multiple: float | None
    activation: str | None
    head: HeadName | None
    nms: bool | None


class SegmenterSettings(ModelSettings, total=False):
    """Keyword arguments of `mbv3zoo.create_segmenter`: those of all models, fields of `SegmenterConfig`."""

    low_stride: int | None
    high_stride: int | None
    head_channels: int | None


class Given(NamedTuple):
    """Settings, by what they are about.

    Attributes:
        fields: Fields of the config.
        backbone_args: Arguments of `timm.create_model` that the config keeps.
        build_args: Arguments of `timm.create_model` for this one build.
        options: Options of the Hub.
    """

    fields: dict[str, Any]
    backbone_args: dict[str, Any]
    build_args: dict[str, Any]
    options: PullOptions

    @classmethod
    def of(cls, settings: Mapping[str, Any], kind: type[ModelConfig] = DetectorConfig) -> Given:
        """Sorts settings; what is nothing else is an argument of `timm.create_model`.

        Args:
            settings: Name -> value.
            kind: The class of the config.

        Raises:
            ValueError: `device` or `dtype` is none that a detector can have.
        """
        fields = kind.model_fields.keys() - {'task'}
        if isinstance(args := settings.get('backbone_args'), Mapping):
            # They may be given there too.
            built = {key: args[key] for key in _BUILD_ARGS & args.keys()}
            settings = {**built, **settings, 'backbone_args': {k: v for k, v in args.items() if k not in built}}
        options = PullOptions.__optional_keys__
        return cls(
            # None, the way callers pass on what was not given, leaves a field as it is.
            {key: value for key, value in settings.items() if key in fields and value is not None},
            {key: value for key, value in settings.items() if key not in fields | options | _BUILD_ARGS},
            _build_args({key: value for key, value in settings.items() if key in _BUILD_ARGS}),
            cast(PullOptions, {key: value for key, value in settings.items() if key in options}),
        )

    @property
    def scaling(self) -> dict[str, Any]:
        """The fields that a YOLOv5 layer list is scaled by when it is read."""
        return {key: value for key, value in self.fields.items() if key in SCALING}

    def override(self, base: ModelConfig) -> ModelConfig:
        """A config with these settings in place of its own.

        Args:
            base: The config.

        Raises:
            ValueError: A setting is not valid.
        """
        if not self.fields and not self.backbone_args:
            return base
        data = base.model_dump()
        if 'class_names' in self.fields or self.fields.get('num_classes', base.num_classes) != base.num_classes:
            del data['num_classes'], data['class_names']
        if 'in_chans' in self.fields and self.fields['in_chans'] != base.in_chans:
            data['mean'] = data['std'] = None
        data.update(self.fields)
        if self.backbone_args and isinstance(data['backbone_args'], Mapping):
            data['backbone_args'] = {**data['backbone_args'], **self.backbone_args}
        return type(base).parse(data)


def _build_args(given: dict[str, Any]) -> dict[str, Any]:
    """Arguments for one build, checked as far as timm does not; None for device or type is as if left out."""
    given = {key: value for key, value in given.items() if value is not None or key not in ('device', 'dtype')}
    if 'dtype' in given:
        given['dtype'] = parse_dtype(given['dtype'])
    if 'device' in given:
        try:
            # 'meta:0' is the same device.
            given['device'] = 'meta' if torch.device(given['device']).type == 'meta' else given['device']
        except (RuntimeError, TypeError) as error:
            raise ValueError(
                f"device must be one of torch's, such as 'cpu', 'cuda:0' or 'meta'; given {shown(given['device'])}"
            ) from error
    return given
