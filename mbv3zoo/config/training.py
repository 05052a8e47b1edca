"""How a model is trained, and on what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    Field,
    ModelWrapValidatorHandler,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from mbv3zoo.config.base import Config
from mbv3zoo.config.license_record import LicenseId
from mbv3zoo.config.presets import PRESETS
from mbv3zoo.config.types import Fraction, ImageSize
from mbv3zoo.utils.sizes import TILE_OVERLAP

# The values of `assigner`, as `loss` was called before, and what they are now.
_ASSIGNERS = {'shape': 'yolov5', 'simota': 'simota'}
# Of a run whose number of epochs follows from its time.
_MOST_EPOCHS = 100_000
# For fields that a preset fills unless they are given. Any, so that type checkers do not ask for them.
_PRESET: Any = Field()


class TrainConfig(Config):
    """How a detector or segmenter is trained.

    `optimizer`, `loss` and `augmentation` name presets (`mbv3zoo.config.presets`): each sets those of its fields
    that are not given.

    Example:
        >>> train = mbv3zoo.TrainConfig(epochs=50, optimizer='sgd')
        >>> train.epochs, train.lr, train.momentum
        (50, 0.1, 0.9)
    """

    # Length and batches

    epochs: PositiveInt = 100
    """Passes over the training set; with minutes at most so many, and as many as fit where it is not given."""
    minutes: PositiveFloat | None = None
    """Wall-clock time of the run, in minutes, which epochs and schedule are fitted to; None trains all epochs."""
    batch_size: PositiveInt = 16
    """Images per step and process."""
    accumulate: PositiveInt = 1
    """Gradient accumulation steps."""

    # Optimizer

    optimizer: str = 'nmuon'
    """Name of an optimizer in timm.optim, and preset of lr, momentum, weight_decay: its own, or else that of AdamW."""
    lr: PositiveFloat = _PRESET
    """Peak learning rate."""
    momentum: Fraction = _PRESET
    """Nesterov momentum of Muon and SGD; the first beta of Adam and its variants."""
    weight_decay: NonNegativeFloat = _PRESET
    """Weight decay, decoupled in Muon and AdamW. Norms and biases have none."""
    lr_end: Fraction = 0.01
    """Final learning rate, as a fraction of lr."""
    lr_backbone: PositiveFloat = 1.0
    """Learning rate of the backbone, relative to lr."""
    layer_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Factor on the learning rate per layer of the backbone, counted from the output (BEiT, arXiv 2106.08254)."""

    # Freezing and memory

    freeze_backbone: NonNegativeInt = 0
    """Number of backbone stages to freeze; any above 0 freezes the stem too."""
    freeze_norm: bool = False
    """Freeze the BatchNorms of the backbone: weights, biases and running statistics."""
    grad_checkpointing: bool = False
    """Recompute the activations of the backbone in the backward pass: less memory, more time."""

    # Schedule, averaging and stopping

    schedule: Literal['cosine', 'linear'] = 'cosine'
    """Decay of the learning rate after the warm-up."""
    warmup_epochs: NonNegativeFloat = 1.0
    """Epochs of linear warm-up; may be a fraction."""
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = 0.9998
    """Final decay of the moving average of the weights (EMA), which is evaluated and saved; 0 turns it off."""
    clip_grad: PositiveFloat | None = 10.0
    """Maximum norm of the gradient; None for no clipping."""
    patience: PositiveInt | None = None
    """Stop after this many epochs without a better AP (segmenters: mIoU); None never stops early."""

    # Loss

    loss: Literal['simota', 'yolov5'] = 'simota'
    """Loss, with its assignment of boxes to anchors: YOLOX's 'simota' or 'yolov5'. Preset of the gains."""
    box_gain: NonNegativeFloat = _PRESET
    """Weight of the box loss."""
    class_gain: NonNegativeFloat = _PRESET
    """Weight of the class loss; 'yolov5' scales it by the number of classes too."""
    objectness_gain: NonNegativeFloat = _PRESET
    """Weight of the objectness loss; 'yolov5' scales it by the image size too."""
    auxiliary_gain: NonNegativeFloat = 0.0
    """Weight of the loss of an auxiliary head on the backbone's feature maps, dropped after training; 0 has none."""

    # Distillation

    teacher: str | None = None
    """Also learn what this detector finds (distillation): a saved one or an exported file; classes by their names."""
    teacher_gain: NonNegativeFloat = 1.0
    """Weight of the loss against the teacher."""
    imitation_gain: NonNegativeFloat = 3.0
    """Weight of the loss against the feature maps of the teacher's neck, of which exported files give none."""

    # Loss of segmenters

    dice_gain: NonNegativeFloat = 1.0
    """Weight of the Dice loss beside the cross-entropy of segmenters, which use none of the other loss settings."""

    # Anchors

    anchors: Literal['auto', 'fit', 'keep'] = 'auto'
    """'auto' fits anchors to the data if the detector's match under 98 % of the boxes, 'fit' always, 'keep' never."""
    anchor_ratio: Annotated[float, Field(gt=1)] = 4.0
    """An anchor matches a box if widths and heights differ by less than this factor."""

    # Tiles

    slice: ImageSize | None = None
    """Side, or (height, width), in pixels of tiles that images are cut into, for small objects; None does not cut."""
    overlap: Annotated[float, Field(ge=0, lt=1)] = TILE_OVERLAP
    """Fraction of a tile that the next one has too."""
    slice_only: bool = False
    """Train on and evaluate with tiles alone, not with the whole images too."""

    # Sampling

    balance: Literal['no', 'classes'] = 'no'
    """'classes' shows images of rare classes more often: repeat-factor sampling (LVIS, arXiv 1908.03195)."""
    background_weight: NonNegativeFloat = 1.0
    """How often images without objects are shown, relative to others; 0 leaves them out."""

    # Augmentation

    augmentation: Literal['none', 'light', 'medium', 'heavy'] = 'light'
    """Strength of the augmentation. Preset of mosaic, mixup, and the fields from scale to noise."""
    mosaic: Fraction = _PRESET
    """Fraction of training images that are mosaics of four."""
    mixup: Fraction = _PRESET
    """Fraction of training images that are mixed with a second one; not with masks."""
    copy_paste: Fraction = 0.0
    """Fraction of training images that get objects of a second one pasted in (arXiv 2012.07177)."""
    mosaic_off_epochs: NonNegativeInt = 5
    """Number of last epochs without mosaic, mixup and copy_paste."""
    scale: Annotated[float, Field(ge=0, lt=1)] = _PRESET
    """Images are scaled by a random factor from 1 - scale to 1 + scale."""
    translate: Fraction = _PRESET
    """Maximum extra shift, as a fraction of the image's side."""
    degrees: Annotated[float, Field(ge=0, le=180)] = _PRESET
    """Maximum rotation, in degrees."""
    flip: Fraction = _PRESET
    """Probability of a horizontal flip."""
    color: Fraction = _PRESET
    """Probability of a change of brightness, contrast, saturation and hue."""
    brightness: Fraction = _PRESET
    """Maximum change of brightness, as in torchvision's ColorJitter."""
    contrast: Fraction = _PRESET
    """Maximum change of contrast, as in torchvision's ColorJitter."""
    saturation: Fraction = _PRESET
    """Maximum change of saturation, as in torchvision's ColorJitter."""
    hue: Annotated[float, Field(ge=0, le=0.5)] = _PRESET
    """Maximum change of hue, as in torchvision's ColorJitter."""
    gray: Fraction = _PRESET
    """Probability of conversion to grey."""
    blur: Fraction = _PRESET
    """Probability of a Gaussian blur."""
    noise: Fraction = _PRESET
    """Probability of Gaussian noise."""

    # Precision, processes and reproducibility

    mixed_precision: Literal['auto', 'no', 'bf16', 'fp16'] = 'auto'
    """Autocast type; 'auto' is bf16 on a GPU that computes in it, and else 'no'."""
    compile: bool = False
    """Compile the network with torch.compile: the first steps take minutes, the others less time on a GPU."""
    sync_norm: bool = True
    """Compute BatchNorm statistics over all processes."""
    seed: int = 0
    """Seed of all random numbers."""

    # Data loading

    workers: NonNegativeInt | None = None
    """Data loader processes per training process; None takes one a core that may be used, at most 8."""
    threads: Annotated[int, Field(ge=1, le=1024)] | None = None
    """Threads of torch on a CPU; None times the first steps with all cores and with fewer, and takes the fastest."""
    cache: Literal['no', 'memory', 'disk'] = 'no'
    """Keep decoded images: in 'memory', or on 'disk' in the user's cache folder."""

    # Evaluation and logging

    eval_every: PositiveInt = 1
    """Epochs between evaluations."""
    tracker: str | None = None
    """Also log to these, with commas between: tensorboard, wandb, mlflow, trackio, or others of accelerate."""

    @model_validator(mode='after')
    def _check_slice(self) -> Self:
        if self.slice is None and (self.slice_only or self.overlap != TILE_OVERLAP):
            raise ValueError(
                'overlap and slice_only are for slice, the side of tiles in pixels; give it too, such as 640'
            )
        return self

    @model_validator(mode='wrap')
    @classmethod
    def _remember_given(cls, data: Any, parse: ModelWrapValidatorHandler[Self]) -> Self:
        """Leaves what presets filled out of `model_fields_set`."""
        config = parse(data)
        if isinstance(data, Mapping):
            object.__setattr__(config, '__pydantic_fields_set__', set(_with_loss(data)))
        return config

    def with_defaults(self, defaults: Mapping[str, Any]) -> Self:
        """The same with other defaults: those of its settings that were not given.

        Args:
            defaults: Field -> value. A learning rate is that of their optimizer; where another one was given, it
                becomes the same share of that one's usual rate.

        Example:
            >>> mbv3zoo.TrainConfig(batch_size=4).with_defaults({'batch_size': 8, 'epochs': 30}).epochs
            30
        """
        given = {name: getattr(self, name) for name in self.model_fields_set}
        if 'lr' in defaults and 'optimizer' in given:
            usual = self.parse({name: value for name, value in defaults.items() if name == 'optimizer'})
            defaults = {**defaults, 'lr': defaults['lr'] / usual.lr * self.parse({'optimizer': self.optimizer}).lr}
        return self.parse({**defaults, **given})

    @model_validator(mode='before')
    @classmethod
    def _fill_presets(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        data = _with_loss(data)
        if data.get('minutes') is not None and 'epochs' not in data:
            data = {**data, 'epochs': _MOST_EPOCHS}
        filled: dict[str, object] = {}
        for field, presets in PRESETS.items():
            # timm takes its names in any case. Of what has no preset, the fields refuse all but optimizers.
            name = str(data.get(field, cls.model_fields[field].default)).lower()
            filled |= presets.get(name, next(iter(presets.values())))
        return {**filled, **data}


def _with_loss(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """Settings that may say `assigner`, as runs and scripts did before -> settings that say `loss`."""
    if 'assigner' not in data:
        return data
    assigner = data['assigner']
    loss = _ASSIGNERS.get(str(assigner))
    if loss is None:
        raise ValueError(f"assigner is called loss now, and is 'simota' or 'yolov5', given {assigner!r}")
    if data.get('loss', loss) != loss:
        raise ValueError(f'assigner={assigner!r} contradicts loss={data["loss"]!r}; give loss only')
    return {'loss': loss} | {key: value for key, value in data.items() if key != 'assigner'}


class DataConfig(Config):
    """Where the images are."""

    data: str
    """A YOLO data.yaml, a COCO .json, a folder (YOLO, Pascal VOC, COCO) or hub:organisation/name."""
    val_data: str | None = None
    """Likewise, for the validation split; None takes it from data. A COCO .json needs one."""
    images: str | None = None
    """Image folder of data where that is a COCO file; None looks in the usual places."""
    val_images: str | None = None
    """Likewise, of the validation split: images is never used for both."""
    val_share: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Fraction of the images to validate on, for data of one split; drawn by the seed, stratified by class."""
    max_pixels: PositiveInt | None = None
    """Most pixels (width x height) of an image; those with more are left out. None allows 100 million."""
    license: LicenseId | None = None
    """Licence of images and labels, by its id on the Hub; kept in the detector's licence record."""

    @model_validator(mode='after')
    def _check_one_validation(self) -> Self:
        if self.val_share is not None and (self.val_data or self.val_images):
            raise ValueError('val_share takes the validation images from data; leave val_data and val_images out')
        return self


class RunConfig(Config):
    """A training run, saved in the run's folder so that it can be resumed."""

    model: str = 'mbv3_yolo_small'
    """What to train, as for create_detector: a name, a YAML file, a saved folder, a Hub repository."""
    pretrained: bool | None = None
    """Start from the model's weights: a saved detector's own, else the backbone's; None does so for saved ones only."""
    image_size: ImageSize | None = None
    """(height, width) in pixels; None uses the model's."""
    recipe: str = 'auto'
    """Defaults of the training settings: 'auto' by the steps and the start, 'none', a packaged name, or a YAML file."""
    data: DataConfig
    """Where the images are."""
    train: TrainConfig = TrainConfig()
    """How to train."""
