"""Trains torchvision's LR-ASPP as torchvision's own reference trains it, for the comparison in docs/segmentation.md.

    mbv3zoo synth masks1000 --masks --train 1000 --val 250 --image-size 256 --seed 0
    python tools/segmentation_peer.py masks1000 peer.pt

The settings are those of torchvision's references/segmentation for `lraspp_mobilenet_v3_large`: SGD with momentum 0.9,
a learning rate of 0.01 and a weight decay of 1e-6, polynomial decay of power 0.9 per iteration, pictures resized to 0.5
to 2 times the base size, flipped, cropped (255 where a mask is padded) and normalised as ImageNet's, cross-entropy.
That command is for 8 GPUs with 4 pictures each. Its page does not scale the rate with the batch, so a batch of 16 keeps
it here; `--lr` tries another. Base and crop are both `--image-size`; theirs are 520 and 480 pixels. Weights are random
at the start, unless a backbone is named. `--resume` goes on where a run was stopped.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.nn.functional import cross_entropy, interpolate
from torchvision import tv_tensors
from torchvision.models.segmentation import lraspp_mobilenet_v3_large
from torchvision.transforms import v2

IGNORED = 255
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Pictures:
    """The pictures of one split, with their masks: `images/SPLIT/NAME.jpg` and `masks/SPLIT/NAME.png`."""

    def __init__(self, folder: Path, split: str, transform: v2.Transform) -> None:
        self.masks = sorted((folder / 'masks' / split).glob('*.png'))
        found = {path.stem: path for path in (folder / 'images' / split).iterdir()}
        self.images = [found[mask.stem] for mask in self.masks]
        if not self.masks:
            raise SystemExit(f'{folder}: expected masks in masks/{split}; write them with mbv3zoo synth --masks')
        self.transform = transform

    def __len__(self) -> int:
        return len(self.masks)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        image = tv_tensors.Image(np.array(Image.open(self.images[index]).convert('RGB')).transpose(2, 0, 1))
        return self.transform(image, tv_tensors.Mask(self.mask(index)))

    def mask(self, index: int) -> np.ndarray:
        """Class indices, uint8 [H, W]."""
        return np.array(Image.open(self.masks[index]))


def transforms(size: int, train: bool) -> v2.Compose:
    """What is done to a picture and its mask."""
    steps: list[torch.nn.Module] = [v2.Resize(size)]
    if train:
        crop = v2.RandomCrop(size, pad_if_needed=True, fill={tv_tensors.Image: 0, tv_tensors.Mask: IGNORED})
        steps = [v2.RandomResize(size // 2, 2 * size), v2.RandomHorizontalFlip(0.5), crop]
    kinds = {tv_tensors.Image: torch.float32, tv_tensors.Mask: torch.int64}
    return v2.Compose([*steps, v2.ToDtype(kinds, scale=True), v2.Normalize(_MEAN, _STD)])


@torch.inference_mode()
def confusion(model: torch.nn.Module, pictures: Pictures, classes: int) -> np.ndarray:
    """Pixels per class of the mask (rows) and class predicted (columns), at the pictures' own size."""
    model.eval()
    counts = np.zeros((classes, classes), np.int64)
    for index in range(len(pictures)):
        mask = pictures.mask(index)
        logits = model(pictures[index][0][None].contiguous(memory_format=torch.channels_last))['out']
        found = interpolate(logits, size=mask.shape, mode='bilinear', align_corners=False)[0].argmax(0).numpy()
        known = mask != IGNORED
        pairs = classes * mask[known].astype(np.int64) + found[known]
        counts += np.bincount(pairs, minlength=classes**2).reshape(classes, classes)
    return counts


def figures(counts: np.ndarray, names: list[str]) -> dict[str, Any]:
    """Mean IoU over the classes that are in a mask or were predicted, pixel accuracy, and the IoU of each class."""
    hits, union = np.diag(counts), counts.sum(0) + counts.sum(1) - np.diag(counts)
    ious = {name: round(float(hit / all_), 4) for name, hit, all_ in zip(names, hits, union, strict=True) if all_}
    accuracy = float(hits.sum() / max(1, counts.sum()))
    return {'miou': round(float(np.mean([*ious.values()])), 4), 'pixel_accuracy': round(accuracy, 4), 'iou': ious}


class Run:
    """Model, optimiser and schedule, and the file that they are kept in after each epoch."""

    def __init__(self, args: argparse.Namespace, names: list[str], steps: int) -> None:
        self.file, self.args, self.names = Path(args.out), args, names
        torch.manual_seed(args.seed)
        self.model = lraspp_mobilenet_v3_large(
            weights=None, weights_backbone=args.weights_backbone, num_classes=len(names)
        ).to(memory_format=torch.channels_last)
        self.optimizer = torch.optim.SGD(self.model.parameters(), args.lr, 0.9, weight_decay=args.weight_decay)
        self.schedule = torch.optim.lr_scheduler.PolynomialLR(self.optimizer, steps * args.epochs, 0.9)
        self.history: list[dict[str, Any]] = []
        if self.file.exists():
            if not args.resume:
                raise SystemExit(f'{self.file} exists; --resume goes on with it')
            state = torch.load(self.file)
            self.history = state.pop('history')
            for name, values in state.items():
                getattr(self, name).load_state_dict(values)

    def epoch(self, pictures: Pictures) -> float:
        """Trains one epoch; the mean loss."""
        # By epoch, so that a run that goes on draws the same.
        torch.manual_seed(1000 * (self.args.seed + 1) + len(self.history))
        order, losses, batch = torch.randperm(len(pictures)).tolist(), [], self.args.batch_size
        self.model.train()
        for start in range(0, len(order) - batch + 1, batch):
            images, masks = map(torch.stack, zip(*(pictures[i] for i in order[start : start + batch]), strict=True))
            logits = self.model(images.contiguous(memory_format=torch.channels_last))['out']
            loss = cross_entropy(logits, masks, ignore_index=IGNORED)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            self.schedule.step()
            losses.append(loss.item())
        return float(np.mean(losses))

    def keep(self) -> None:
        state = {name: getattr(self, name).state_dict() for name in ('model', 'optimizer', 'schedule')}
        torch.save({**state, 'history': self.history}, f'{self.file}.part')
        os.replace(f'{self.file}.part', self.file)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('data', type=Path, help='folder that mbv3zoo synth --masks wrote')
    parser.add_argument('out', help='file of the weights and of the state, written after each epoch')
    parser.add_argument('--resume', action='store_true', help='goes on from that file, where it is there')
    parser.add_argument('--image-size', type=int, default=256)
    parser.add_argument('--epochs', type=int, default=20)
    parser.add_argument('--batch-size', type=int, default=16)
    parser.add_argument('--lr', type=float, default=0.01)
    parser.add_argument('--weight-decay', type=float, default=1e-6)
    parser.add_argument('--weights-backbone', help="such as 'IMAGENET1K_V1', which is downloaded")
    parser.add_argument('--seed', type=int, default=0)
    args = parser.parse_args()
    train = Pictures(args.data, 'train', transforms(args.image_size, train=True))
    val = Pictures(args.data, 'val', transforms(args.image_size, train=False))
    names = (args.data / 'masks' / 'classes.txt').read_text(encoding='utf-8').split('\n')[:-1]
    run = Run(args, names, len(train) // args.batch_size)
    while len(run.history) < args.epochs:
        start = time.monotonic()
        loss = run.epoch(train)
        seconds = round(time.monotonic() - start, 1)
        row = {'epoch': len(run.history) + 1, 'loss': round(loss, 4), 'seconds': seconds}
        run.history.append(row | figures(confusion(run.model, val, len(names)), names))
        run.keep()
        print(json.dumps({key: value for key, value in run.history[-1].items() if key != 'iou'}), flush=True)
    best = max(row['miou'] for row in run.history)
    settings = {name: value for name, value in vars(args).items() if name not in ('data', 'out', 'resume')}
    print(json.dumps({**settings, 'best_miou': best, **run.history[-1]}))


if __name__ == '__main__':
    main()
