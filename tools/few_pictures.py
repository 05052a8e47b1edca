"""What balance, copy_paste and background_weight are worth where pictures are few: the table of docs/recipe.md.

    mbv3zoo synth scenes --train 1 --val 1 --shift 3000 --image-size 256 --seed 77 --set max_objects=4
    python tools/few_pictures.py scenes few --pictures 60 --epochs 40
    python tools/few_pictures.py scenes few --pictures 200 --epochs 20

A detector whose weights come from other scenes is trained on a few of the shift split, by the recipe `fine_tune`. The
classes have other names, so that they are learned anew. They are as unequal as those of most people's sets: the tenth
is drawn a tenth as often as the first. A quarter of the pictures has no object. 400 others are evaluated on, of all
classes alike: AP, and that of the rarer half of the classes. Finished runs are kept.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from mbv3zoo import create_detector
from mbv3zoo.config.training import TrainConfig
from mbv3zoo.data.detection_set import DetectionSet
from mbv3zoo.data.load import load_dataset
from mbv3zoo.evaluation.run import run_evaluation
from mbv3zoo.training.recipes import read_recipe
from mbv3zoo.training.trainer import Trainer

ROWS: dict[str, dict[str, Any]] = {
    'default': {},
    'balance classes': {'balance': 'classes'},
    'copy_paste 0.5': {'copy_paste': 0.5},
    'background_weight 0.3': {'background_weight': 0.3},
    'all three': {'balance': 'classes', 'copy_paste': 0.5, 'background_weight': 0.3},
}
# Made where they are asked for.
MORE: dict[str, dict[str, Any]] = {
    'lr 0.02': {'lr': 0.02},
    'lr 0.005': {'lr': 0.005},
    'lr 0.001': {'lr': 0.001},
}
_VALIDATED, _EMPTY = 400, 0.25


def draw(data: DetectionSet, pictures: int, seed: int) -> tuple[DetectionSet, DetectionSet]:
    """A few pictures of a set to train on, of unequal classes and some without objects, and others to validate on."""
    records, classes = data.records, len(data.class_names)
    generator = torch.Generator().manual_seed(seed)
    # The rarest class in a picture decides, or common ones would come with it.
    rank = torch.zeros(len(records)).scatter_reduce(0, records.owners, records.labels.float(), 'amax')
    empty = torch.bincount(records.owners, minlength=len(records)) == 0
    free = torch.arange(len(records)) >= _VALIDATED
    parts = []
    for chosen, count in ((empty, round(_EMPTY * pictures)), (~empty, pictures - round(_EMPTY * pictures))):
        weights = (chosen & free) / (1 + rank)
        parts.append(torch.multinomial(weights, count, generator=generator))
    train_set = replace(data, records=records.take(torch.cat(parts).tolist()))
    counts = torch.bincount(train_set.records.labels, minlength=classes).tolist()
    print(f'seed {seed}: {counts} objects of each class')
    return train_set, replace(data, records=records.take(range(_VALIDATED)))


def train(name: str, seed: int, args: argparse.Namespace, run: Path) -> None:
    """Trains as one row says, and leaves its figures in `figures.json` in the run's folder."""
    data = load_dataset(args.data, 'shift')
    data = replace(data, class_names=tuple(f'{name} of few' for name in data.class_names))
    train_set, val_set = draw(data, args.pictures, seed)
    settings = {'epochs': args.epochs, 'eval_every': args.epochs, 'workers': 0, 'threads': 1, 'cache': 'memory'}
    settings |= read_recipe('fine_tune').settings
    config = TrainConfig(**(settings | {'seed': seed} | (ROWS | MORE)[name]))
    torch.manual_seed(seed)
    detector = create_detector(
        args.model, pretrained=True, class_names=train_set.class_names, image_size=args.image_size
    )
    Trainer(detector, train_set, None, config, run, resume=run.exists()).fit()
    metrics = run_evaluation(type(detector).from_pretrained(run / 'last'), val_set).metrics
    counts = torch.bincount(train_set.records.labels, minlength=len(train_set.class_names))
    rare = counts.argsort()[: len(counts) // 2].tolist()
    aps = {own.name: own.ap for own in metrics.classes}
    figures = {'ap': metrics.ap, 'rare': statistics.mean(aps[train_set.class_names[i]] for i in rare)}
    (run / 'figures.json').write_text(json.dumps(figures) + '\n', encoding='utf-8')


def table(out: Path, pictures: int, seeds: int) -> Iterator[str]:
    """The rows that are done with all seeds, as Markdown: means, and differences from the default with each seed."""
    yield f'| {pictures} pictures | AP | rarer classes | AP against the default, by seed |'
    yield '|---|---|---|---|'
    base: list[float] = []
    for name in ROWS | MORE:
        files = [folder(out, pictures, name, seed) / 'figures.json' for seed in range(seeds)]
        if not all(file.exists() for file in files):
            continue
        found = [json.loads(file.read_text()) for file in files]
        aps = [100 * each['ap'] for each in found]
        base = base or aps
        against = ', '.join(f'{own - other:+.1f}' for own, other in zip(aps, base, strict=True))
        rare = statistics.mean(100 * each['rare'] for each in found)
        yield f'| {name} | {statistics.mean(aps):.1f} | {rare:.1f} | {"" if name == "default" else against} |'


def folder(out: Path, pictures: int, name: str, seed: int) -> Path:
    return out / str(pictures) / f'{name.replace(" ", "_")}-{seed}'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('data', help='data set with a split called shift')
    parser.add_argument('out', type=Path, help='folder of the runs')
    parser.add_argument('--pictures', type=int, default=60)
    parser.add_argument('--epochs', type=int, default=40)
    parser.add_argument('--seeds', type=int, default=3)
    parser.add_argument('--model', default='mbv3_yolo_small.synth')
    parser.add_argument('--image-size', type=int, default=224)
    parser.add_argument('--rows', nargs='*', choices=ROWS | MORE, default=list(ROWS), help='only these')
    args = parser.parse_args()
    for seed in range(args.seeds):
        for name in args.rows:
            run = folder(args.out, args.pictures, name, seed)
            run.parent.mkdir(parents=True, exist_ok=True)
            if not (run / 'figures.json').exists():
                train(name, seed, args, run)
            print('\n'.join(table(args.out, args.pictures, args.seeds)), flush=True)


if __name__ == '__main__':
    main()
