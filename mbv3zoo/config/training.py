"""How a detector is trained, and on what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from mbv3zoo.config.base import Config
from mbv3zoo.config.license_record import LicenseId
from mbv3zoo.config.presets import ASSIGNERS, AUGMENTATIONS, OPTIMIZERS
from mbv3zoo.config.types import Fraction, ImageSize, Positive


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
