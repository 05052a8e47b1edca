"""The fields of `TrainConfig` as keyword arguments."""

from __future__ import annotations

from typing import Literal, TypedDict


class TrainSettings(TypedDict, total=False):
    """Keyword arguments of `mbv3zoo.train`; `mbv3zoo.TrainConfig` says what each does, its range and its default."""

    epochs: int
    minutes: float | None
    batch_size: int
    accumulate: int
    optimizer: str
    lr: float
    momentum: float
    weight_decay: float
    lr_end: float
    lr_backbone: float
    layer_decay: float
    freeze_backbone: int
    freeze_norm: bool
    grad_checkpointing: bool
    schedule: Literal['cosine', 'linear']
    warmup_epochs: float
    ema_decay: float
    clip_grad: float | None
    patience: int | None
    loss: Literal['simota', 'yolov5']
    box_gain: float
    class_gain: float
    objectness_gain: float
    auxiliary_gain: float
    teacher: str | None
    teacher_gain: float
    imitation_gain: float
    dice_gain: float
    anchors: Literal['auto', 'fit', 'keep']
    anchor_ratio: float
    slice: int | tuple[int, int] | None
    overlap: float
    slice_only: bool
    balance: Literal['no', 'classes']
    background_weight: float
    augmentation: Literal['none', 'light', 'medium', 'heavy']
    mosaic: float
    mixup: float
    copy_paste: float
    mosaic_off_epochs: int
    scale: float
    translate: float
    degrees: float
    flip: float
    color: float
    brightness: float
    contrast: float
    saturation: float
    hue: float
    gray: float
    blur: float
    noise: float
    mixed_precision: Literal['auto', 'no', 'bf16', 'fp16']
    compile: bool
    sync_norm: bool
    seed: int
    workers: int | None
    threads: int | None
    cache: Literal['no', 'memory', 'disk']
    eval_every: int
    tracker: str | None
