"""The typed, immutable settings: what a detector is, what it trains on, and how.

Each default is written here once. Everything below reads them from a config object; nothing reads a dict.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, model_validator

from mbv3zoo.config.base import Config
from mbv3zoo.config.layer_rows import LayerRows
from mbv3zoo.config.presets import ASSIGNERS, AUGMENTATIONS, OPTIMIZERS

# YOLOv5's anchors: (width, height) in pixels of the network's input, for strides 8, 16 and 32.
DEFAULT_ANCHORS = (
    ((10.0, 13.0), (16.0, 30.0), (33.0, 23.0)),
    ((30.0, 61.0), (62.0, 45.0), (59.0, 119.0)),
    ((116.0, 90.0), (156.0, 198.0), (373.0, 326.0)),
)
STRIDES = (8, 16, 32)
MOST_CLASSES = 65536


def _pair(value: Any) -> Any:
    return (value, value) if isinstance(value, int) and not isinstance(value, bool) else value


# (height, width) in pixels; one number means a square.
Side = Annotated[int, Field(ge=32, le=16384)]
ImageSize = Annotated[tuple[Side, Side], BeforeValidator(_pair)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Multiple = Annotated[float, Field(gt=0, le=4)]
LevelAnchors = tuple[Annotated[tuple[tuple[Positive, Positive], ...], Field(max_length=64)], ...]


def _license_id(value: Any) -> Any:
    return '-'.join(value.lower().split()) if isinstance(value, str) else value


def _one_or_many(value: Any) -> Any:
    return (value,) if isinstance(value, (str, Mapping, LicensedPart)) else value


def _one_line(value: str) -> str:
    # It comes from other people's repositories, and is shown in terminals and cards.
    if not value.isprintable():
        raise ValueError('must be one line of printable characters')
    return value


ClassNames = tuple[Annotated[str, AfterValidator(_one_line)], ...]
# A licence as the Hub spells it, such as 'apache-2.0'. Two words of our own: 'none' where there is nothing that could
# have a licence, and 'unknown' where nobody said.
LicenseId = Annotated[str, BeforeValidator(_license_id), Field(pattern=r'^[a-z0-9][a-z0-9.+_-]*$', max_length=100)]


class LicensedPart(Config):
    """One thing that a detector's weights were made from. A licence alone may be given for it, as text.

    Attributes:
        license: Its licence, 'none' or 'unknown'.
        source: Where it comes from: an id on the Hub ('timm/resnet18.a1_in1k'), an address, a data set's name.
    """

    license: LicenseId = 'unknown'
    source: Annotated[str, Field(max_length=500), AfterValidator(_one_line)] = ''

    @model_validator(mode='before')
    @classmethod
    def _from_license(cls, data: Any) -> Any:
        return {'license': data} if isinstance(data, str) else data


class LicenseRecord(Config):
    """What a detector was made from, and under which licences; travels with its weights (`mbv3zoo.licenses`).

    Attributes:
        code: Licence of this library.
        backbone: The backbone's weights before the first training; 'none' where it began from scratch.
        imported: Weights that were converted from another library, such as 'agpl-3.0' for YOLOv5's; 'none' where
            there are none.
        data: The data sets it was trained on, in their order; empty where none was recorded.
    """

    code: Literal['apache-2.0'] = 'apache-2.0'
    backbone: LicensedPart = LicensedPart()
    imported: LicensedPart = LicensedPart()
    data: Annotated[tuple[LicensedPart, ...], BeforeValidator(_one_or_many), Field(max_length=100)] = ()


class DetectorConfig(Config):
    """All that is needed to build a detector's network again: what is saved beside the weights.

    Attributes:
        backbone: A timm model name, with or without a pretrained tag.
        backbone_args: Further arguments of `timm.create_model`, plain JSON values.
        num_classes: Number of classes K. Taken from `class_names` where those are given.
        class_names: One unique name a class; `('0', '1', ...)` where only the number is known.
        in_chans: Channels of the input picture.
        image_size: (height, width) in pixels that pictures are letterboxed to; multiples of 32.
        anchors: For each stride a list of (width, height) in pixels of the network's input; a number alone asks for so
            many a stride, of usual sides.
        neck: What stands in place of YOLOv5's PAN: 'light', one of depthwise separable convolutions
            (`mbv3zoo.models.light_pan`), or rows of a YOLOv5 layer list (`mbv3zoo.layer_lists.parse` reads them). None
            is the PAN. Strides are 8, 16, 32 but for rows.
        depth_multiple: Scales how often the neck's blocks repeat (YOLOv5's compound scaling).
        width_multiple: Scales the neck's channels.
        activation: Activation of the neck, by its name in timm.layers.
        mean: Per-channel mean the backbone was trained with, for pictures in 0..1; None takes the backbone's.
        std: Per-channel standard deviation, likewise.
        licenses: What the weights were made from, and under which licences.
    """

    backbone: str
    backbone_args: dict[str, Any] = {}
    # Upper bounds, here and below, are far beyond any use: a config may come from anywhere, and is built before its
    # weights are looked at.
    num_classes: Annotated[int, Field(ge=1, le=MOST_CLASSES, strict=True)] = 80
    class_names: ClassNames = ()
    in_chans: Annotated[int, Field(ge=1, le=1024)] = 3
    image_size: ImageSize = (640, 640)
    anchors: Annotated[
        Annotated[int, Field(ge=1, le=64, strict=True), Tag('number')] | Annotated[LevelAnchors, Tag('levels')],
        Discriminator(lambda value: 'number' if isinstance(value, (int, float)) else 'levels'),
    ] = DEFAULT_ANCHORS
    neck: (
        Annotated[
            Annotated[LayerRows, Tag('rows')] | Annotated[Literal['light'], Tag('name')],
            Discriminator(lambda value: 'name' if isinstance(value, str) else 'rows'),
        ]
        | None
    ) = None
    depth_multiple: Multiple = 0.33
    width_multiple: Multiple = 0.25
    activation: str = 'silu'
    mean: tuple[float, ...] | None = None
    std: tuple[Positive, ...] | None = None
    licenses: LicenseRecord = LicenseRecord()

    @model_validator(mode='before')
    @classmethod
    def _classes(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        data = dict(data)
        names = data.get('class_names') or ()
        if not isinstance(names, (list, tuple)):
            raise ValueError(f'class_names must be a list of names, given {names!r}')
        if names:
            data.setdefault('num_classes', len(names))
            if data['num_classes'] != len(names):
                raise ValueError(f'num_classes is {data["num_classes"]!r}, but class_names has {len(names)} names')
        elif isinstance(count := data.get('num_classes', 80), int) and count <= MOST_CLASSES:
            data['class_names'] = tuple(str(i) for i in range(count))
        return data

    @model_validator(mode='after')
    def _check(self) -> Self:
        twice = {name for name, count in Counter(self.class_names).items() if count > 1}
        if twice:
            raise ValueError(f'class_names must be unique; given more than once: {sorted(twice)}')
        if any(side % STRIDES[-1] for side in self.image_size):
            raise ValueError(f'image_size must be multiples of {STRIDES[-1]}, given {self.image_size}')
        levels = len(self.neck.outputs) if isinstance(self.neck, LayerRows) else len(STRIDES)
        counts = [self.anchors] * levels if isinstance(self.anchors, int) else [len(level) for level in self.anchors]
        if len(counts) != levels or len(set(counts)) != 1 or not counts[0]:
            raise ValueError(f'anchors must hold {levels} lists of equal length, given lengths {counts}')
        for name in ('mean', 'std'):
            value = getattr(self, name)
            if value is not None and len(value) != self.in_chans:
                raise ValueError(f'{name} must have in_chans={self.in_chans} values, given {len(value)}')
        return self


class TrainConfig(Config):
    """How a detector is trained.

    What `optimizer`, `assigner` and `augmentation` name sets those of the fields below each that are not given
    (`mbv3zoo.config.presets`).

    Attributes:
        epochs: Passes over the training set.
        batch_size: Pictures a step, on each process.
        accumulate: Steps whose gradients are added up before the weights change.
        optimizer: A name of timm.optim; 'nmuon', 'sgd' and 'adamw' have recipes of their own, others take AdamW's.
        lr: Peak learning rate.
        momentum: Momentum of Muon or SGD (both Nesterov), or Adam's first beta.
        weight_decay: Decoupled for Muon and AdamW; never on norms and biases.
        lr_end: Last learning rate as a share of `lr`.
        lr_backbone: The backbone's learning rate as a share of `lr`.
        layer_decay: Each layer of the backbone, counted from the output, learns at this share of the rate of the layer
            after it (BEiT, https://arxiv.org/abs/2106.08254); neck and head come last, at the whole rate.
        freeze_backbone: Stages of the backbone, after the stem, that do not learn; the stem neither, unless 0.
        freeze_norm: The backbone's BatchNorms keep their statistics, weights and biases.
        grad_checkpointing: Compute the backbone's activations anew for the gradients: less memory, more time.
        schedule: Course of the learning rate after the warm-up.
        warmup_epochs: Epochs of linear warm-up (a fraction is fine).
        ema_decay: Final decay of the weights' moving average, the weights that are kept; 0 turns it off.
        clip_grad: Largest norm of the gradient; None for no limit.
        patience: Stop after this many epochs without a better AP; None never stops early.
        assigner: Which anchors learn a box, and the loss: 'shape' is YOLOv5's, 'simota' YOLOX's.
        box_gain, class_gain, objectness_gain: Weights of the three parts of the loss; 'shape' scales them further by
            classes, levels and picture size (../docs/training.md).
        anchors: 'auto' fits anchors to the training set where the detector's recall too few of its boxes, 'fit' always,
            'keep' never.
        anchor_ratio: Largest ratio of sides at which an anchor takes a box.
        augmentation: How much training pictures change.
        mosaic: Share of training pictures that are mosaics of four.
        mixup: Share of training pictures that are mixed with a second one.
        mosaic_off_epochs: Last epochs that see neither mosaic nor mixup.
        scale: Pictures are scaled by a factor drawn from 1 - scale .. 1 + scale.
        translate: Largest further shift, as a share of the picture's side.
        degrees: Largest rotation.
        flip: Share of pictures mirrored left to right.
        color: Share of pictures whose colours change.
        brightness, contrast, saturation, hue: Largest change of colour, as in torchvision's ColorJitter.
        gray, blur, noise: Shares of pictures without colour, out of focus, with sensor noise.
        mixed_precision: Autocast type.
        sync_norm: With several processes, BatchNorm takes its statistics from all of them.
        seed: Seed of everything that is drawn.
        workers: Loader processes, of each process.
        cache: Keep decoded pictures: 'memory', or 'disk' (in the user's cache folder), or 'no'.
        eval_every: Epochs between two evaluations.
        tracker: A tracker of accelerate's that is logged to as well, such as 'tensorboard'.
    """

    epochs: Annotated[int, Field(ge=1)] = 100
    batch_size: Annotated[int, Field(ge=1)] = 16
    accumulate: Annotated[int, Field(ge=1)] = 1
    optimizer: str = 'nmuon'
    lr: Positive
    momentum: Fraction
    weight_decay: Annotated[float, Field(ge=0)]
    lr_end: Fraction = 0.01
    lr_backbone: Positive = 1.0
    layer_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    freeze_backbone: Annotated[int, Field(ge=0)] = 0
    freeze_norm: bool = False
    grad_checkpointing: bool = False
    schedule: Literal['cosine', 'linear'] = 'cosine'
    warmup_epochs: Annotated[float, Field(ge=0)] = 1.0
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = 0.9998
    clip_grad: Positive | None = 10.0
    patience: Annotated[int, Field(ge=1)] | None = None
    assigner: Literal['shape', 'simota'] = 'simota'
    box_gain: Annotated[float, Field(ge=0)]
    class_gain: Annotated[float, Field(ge=0)]
    objectness_gain: Annotated[float, Field(ge=0)]
    anchors: Literal['auto', 'fit', 'keep'] = 'auto'
    anchor_ratio: Annotated[float, Field(gt=1)] = 4.0
    augmentation: Literal['none', 'light', 'medium', 'heavy'] = 'light'
    mosaic: Fraction
    mixup: Fraction
    mosaic_off_epochs: Annotated[int, Field(ge=0)] = 5
    scale: Annotated[float, Field(ge=0, lt=1)]
    translate: Fraction
    degrees: Annotated[float, Field(ge=0, le=180)]
    flip: Fraction
    color: Fraction
    brightness: Fraction
    contrast: Fraction
    saturation: Fraction
    hue: Annotated[float, Field(ge=0, le=0.5)]
    gray: Fraction
    blur: Fraction
    noise: Fraction
    mixed_precision: Literal['no', 'bf16', 'fp16'] = 'no'
    sync_norm: bool = True
    seed: int = 0
    workers: Annotated[int, Field(ge=0)] = 2
    cache: Literal['no', 'memory', 'disk'] = 'no'
    eval_every: Annotated[int, Field(ge=1)] = 1
    tracker: str | None = None

    @model_validator(mode='before')
    @classmethod
    def _fill_presets(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        filled = {}
        for field, presets in (('optimizer', OPTIMIZERS), ('assigner', ASSIGNERS), ('augmentation', AUGMENTATIONS)):
            # timm takes its names in any case. Of what has no preset, the fields refuse all but optimizers.
            name = str(data.get(field, cls.model_fields[field].default)).lower()
            filled |= presets.get(name, next(iter(presets.values())))
        return {**filled, **data}


class DataConfig(Config):
    """Where the pictures are.

    Attributes:
        data: A YOLO data.yaml, a COCO .json of the training split, a folder (YOLO, Pascal VOC, COCO per split), or
            hub:organisation/name, a data set of the Hugging Face Hub.
        val_data: The same for the validation split; by default `data`'s own. A COCO .json needs one.
        images: Folder of a COCO file's pictures, where they do not stand in one of the usual places.
        license: Licence of the pictures and labels, as the Hub spells it; kept in the detector's licence record.
    """

    data: str
    val_data: str | None = None
    images: str | None = None
    license: LicenseId | None = None


class RunConfig(Config):
    """A training run: what, on what, how. Saved in the run's folder, so that it can be resumed.

    Attributes:
        model: What `create_detector` takes: a name, a YAML file, a saved folder, a Hub repository.
        pretrained: Start from the model's weights (the detector's or the backbone's).
        image_size: (height, width) in pixels; None takes the model's.
        data: Where the pictures are.
        train: How to train.
    """

    model: str = 'mbv3_yolo_small'
    pretrained: bool = False
    image_size: ImageSize | None = None
    data: DataConfig
    train: TrainConfig = TrainConfig()
