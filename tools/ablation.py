"""What each part of the recipe is worth: trains with one part changed at a time, and writes a table.

    mbv3zoo synth scenes --train 1000 --val 250 --shift 250 --image-size 256 --seed 11 \
        --set min_scale=0.045 --set max_scale=0.75
    python tools/ablation.py scenes ablation --epochs 10 --image-size 256

Runs that are done are kept, one that was stopped goes on. Programs with different `--rows` may share a folder.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch

from mbv3zoo import Detector, create_detector
from mbv3zoo.config.training import TrainConfig
from mbv3zoo.data.detection_set import DetectionSet
from mbv3zoo.data.load import load_dataset
from mbv3zoo.evaluation.run import run_evaluation
from mbv3zoo.models.head import DetectHead
from mbv3zoo.training.anchor_fit import box_sides, fit_anchors
from mbv3zoo.training.trainer import Trainer


class Row(NamedTuple):
    part: str
    change: str
    settings: dict[str, Any] = {}
    prepare: Callable[[Detector, DetectionSet], object] = lambda detector, data: None


def no_prior(detector: Detector, data: DetectionSet) -> None:
    """The head starts with 0 for all biases: as if half of all cells held an object of every class."""
    head = detector.head
    assert isinstance(head, DetectHead)
    for conv in head.convs:
        assert isinstance(conv, torch.nn.Conv2d) and conv.bias is not None
        torch.nn.init.zeros_(conv.bias)


def fitted(detector: Detector, data: DetectionSet) -> None:
    size = detector.config.image_size
    detector.set_anchors(fit_anchors(box_sides(data, size), len(detector.anchors), detector.head.num_anchors))


ROWS = {
    'default': Row('', 'the default recipe'),
    'yolov5-loss': Row('loss', "YOLOv5's, with its assignment", {'loss': 'yolov5'}),
    'none': Row('augmentation', 'none', {'augmentation': 'none'}),
    'medium': Row('augmentation', 'medium', {'augmentation': 'medium'}),
    'heavy': Row('augmentation', 'heavy', {'augmentation': 'heavy'}),
    'no-ema': Row('EMA', 'none', {'ema_decay': 0}),
    'lr-half': Row('learning rate', 'half', {'lr': 0.01}),
    'lr-double': Row('learning rate', 'double', {'lr': 0.04}),
    'sgd': Row('optimizer', 'SGD, 0.1', {'optimizer': 'sgd'}),
    'adamw': Row('optimizer', 'AdamW, 0.004', {'optimizer': 'adamw'}),
    'batch-8': Row('batch', '8', {'batch_size': 8}),
    'batch-32': Row('batch', '32', {'batch_size': 32}),
    'no-prior': Row('initialisation', 'head without priors', prepare=no_prior),
    'fitted': Row('anchors', 'fitted to the set', prepare=fitted),
}


def train(row: Row, args: argparse.Namespace, run: Path) -> None:
    """Trains as one row says, and leaves its figures in `ablation.json` in the run's folder."""
    train_set, val_set, shift_set = (load_dataset(args.data, split) for split in ('train', 'val', 'shift'))
    settings = {'epochs': args.epochs, 'cache': 'memory', 'workers': args.workers}
    config = TrainConfig(**settings, seed=args.seed, **row.settings)
    torch.manual_seed(args.seed)
    detector = create_detector(args.model, class_names=train_set.class_names, image_size=args.image_size)
    row.prepare(detector, train_set)
    # Scored afterwards: a run that was stopped between its last epoch and its figures has nothing left to train.
    Trainer(detector, train_set, None, config, run, resume=run.exists()).fit()
    kept = Detector.from_pretrained(run / 'last')
    metrics, shift = (run_evaluation(kept, split).metrics for split in (val_set, shift_set))
    with open(run / 'results.csv', newline='', encoding='utf-8') as file:
        seconds = sum(float(line['seconds']) for line in csv.DictReader(file))
    figures = {'ap': metrics.ap, 'ap50': metrics.ap50, 'shift_ap': shift.ap, 'seconds': seconds}
    (run / 'ablation.json').write_text(json.dumps(figures) + '\n', encoding='utf-8')


def table(out: Path) -> Iterator[str]:
    """The rows that are done, as Markdown."""
    done = {name: json.loads(path.read_text()) for name in ROWS if (path := out / name / 'ablation.json').exists()}
    yield '| part | changed to | AP | AP50 | AP, shifted | against the default |'
    yield '|---|---|---|---|---|---|'
    base = done.get('default', {}).get('ap')
    for name, figures in done.items():
        row = ROWS[name]
        against = '' if base is None or name == 'default' else f'{100 * (figures["ap"] - base):+.1f}'
        figures = ' | '.join(f'{100 * figures[key]:.1f}' for key in ('ap', 'ap50', 'shift_ap'))
        yield f'| {row.part} | {row.change} | {figures} | {against} |'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('data', help='data set with the splits train, val and shift')
    parser.add_argument('out', type=Path, help='folder of the runs')
    parser.add_argument('--rows', nargs='*', choices=ROWS, default=list(ROWS), help='only these')
    parser.add_argument('--model', default='mbv3_yolo_small')
    parser.add_argument('--epochs', type=int, default=10)
    parser.add_argument('--image-size', type=int, default=256)
    parser.add_argument('--workers', type=int, default=1)
    parser.add_argument('--seed', type=int, default=0)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for name in args.rows:
        if not (args.out / name / 'ablation.json').exists():
            train(ROWS[name], args, args.out / name)
    print('\n'.join(table(args.out)))


if __name__ == '__main__':
    main()
