"""Batches of training samples."""

from __future__ import annotations

import gc
import os
import signal
from typing import Any, NamedTuple

import torch
from torch.utils.data import DataLoader
from torchvision.tv_tensors import Mask

from mbv3zoo.config.training import TrainConfig
from mbv3zoo.data.placing import LabelledImage
from mbv3zoo.data.samples import TrainSamples
from mbv3zoo.utils.cores import workers_or_default

if hasattr(os, 'register_at_fork'):
    # A loader process that collected the garbage of the process that it was forked from would wait for ever where that
    # has threads, such as a decoder of videos: they are not forked with it.
    os.register_at_fork(after_in_child=gc.freeze)


class Targets(NamedTuple):
    """The labels of a batch: image_index int64 [N], labels int64 [N], boxes float32 [N, 4] xyxy input pixels."""

    image_index: torch.Tensor
    labels: torch.Tensor
    boxes: torch.Tensor


def collate(samples: list[LabelledImage]) -> tuple[torch.Tensor, Any]:
    """Samples -> images uint8 [B, C, H, W] and their targets: those of boxes, or masks uint8 [B, H, W]."""
    images, boxes, labels = zip(*samples, strict=True)
    if isinstance(boxes[0], Mask):
        return torch.stack(images), torch.stack(boxes).as_subclass(torch.Tensor)
    counts = torch.tensor([len(b) for b in boxes])
    index = torch.arange(len(samples)).repeat_interleave(counts)
    return torch.stack(images), Targets(index, torch.cat(labels), torch.cat(boxes))


def ignore_interruptions(_: int) -> None:
    """Leaves Ctrl-C, which a terminal sends to loader processes too, to the process that started them, and ends them.

    Otherwise each would print a traceback.
    """
    for name in ('SIGINT', 'SIGHUP'):
        if number := getattr(signal, name, None):
            signal.signal(number, signal.SIG_IGN)


def train_loader(samples: TrainSamples, config: TrainConfig, processes: int = 1) -> DataLoader:
    """Shuffled batches of `(images, Targets)`; an incomplete last batch is dropped.

    A set that does not fill one batch per process gives one smaller batch per process.
    """
    batch_size = min(config.batch_size, max(len(samples) // processes, 1))
    workers = workers_or_default(config.workers, processes)
    return DataLoader(
        samples,
        batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        persistent_workers=workers > 0,
        collate_fn=collate,
        pin_memory=torch.cuda.is_available(),
        worker_init_fn=ignore_interruptions,
    )
