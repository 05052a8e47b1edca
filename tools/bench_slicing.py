"""AP of small objects in a large picture, whole and in tiles; makes the table of docs/prediction.md.

    python tools/bench_slicing.py mbv3_yolo_small.synth --scenes scenes --out large

The picture is composed of synthetic scenes that are made smaller, until objects have about 16 pixels.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import torch
from PIL import Image

import mbv3zoo
from mbv3zoo.data.detection_set import DetectionSet
from mbv3zoo.data.records import Record, Records
from mbv3zoo.detections import Detections
from mbv3zoo.evaluation.coco import score

BOX = Image.Resampling.BOX
# Of the detections whose AP is measured.
_SCORE, _MOST = 0.05, 100_000


def compose(scenes: DetectionSet, size: tuple[int, int], cell: int, path: Path) -> list[Record]:
    """Writes a picture of (height, width) pixels with a scene in each square cell.

    Args:
        scenes: Taken in their order, and again from the first.
        size: (height, width) in pixels.
        cell: Side of a cell in pixels.
        path: Where it is written, as PNG.

    Returns:
        The objects of each cell, row by row, in pixels of the cell.
    """
    canvas, records = Image.new('RGB', size[::-1], (114, 114, 114)), []
    for i, (x, y) in enumerate(corners(size, cell)):
        record = scenes.records[i % len(scenes)]
        with Image.open(record.path) as scene:
            scale = cell / max(scene.size)
            canvas.paste(scene.resize((round(scene.width * scale), round(scene.height * scale)), BOX), (x, y))
        areas, crowds = record.areas * scale**2, record.iscrowd
        records.append(Record(path, (cell, cell), record.boxes * scale, record.labels, areas, crowds, i + 1))
    canvas.save(path)
    return records


def corners(size: tuple[int, int], cell: int) -> list[tuple[int, int]]:
    """x and y of the upper left corner of each whole cell, row by row."""
    return [(x, y) for y in range(0, size[0] - cell + 1, cell) for x in range(0, size[1] - cell + 1, cell)]


def by_cell(found: Detections, size: tuple[int, int], cell: int) -> list[Detections]:
    """The detections whose centres lie in each cell, in pixels of the cell: COCO counts 100 of an image at most."""
    boxes = torch.as_tensor(found.boxes)
    across = size[1] // cell
    place = ((boxes[:, :2] + boxes[:, 2:]) / 2 // cell).long()
    numbers = torch.where(place[:, 0] < across, place[:, 1] * across + place[:, 0], -1)
    parts = []
    for number, (x, y) in enumerate(corners(size, cell)):
        own = found[numbers == number]
        moved = torch.as_tensor(own.boxes) - torch.tensor([x, y, x, y])
        parts.append(Detections(moved, own.scores, own.labels, found.class_names, (cell, cell)))
    return parts


def ways(args: argparse.Namespace) -> list[tuple[str, dict[str, Any]]]:
    """What is compared: its name, and the options of `predict`."""
    found: list[tuple[str, dict[str, Any]]] = [('whole', {})]
    found += [(f'whole, input {side}', {'image_size': side}) for side in args.whole]
    for tile in args.slice:
        found += [
            (f'tiles of {tile}', {'slice': tile}),
            (f'tiles of {tile} alone', {'slice': tile, 'slice_only': True}),
        ]
    return found


def main() -> None:
    """Prints the table row by row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('model')
    parser.add_argument('--scenes', required=True, help='a data set of `mbv3zoo synth`; its split val is taken')
    parser.add_argument('--height', type=int, default=6000)
    parser.add_argument('--width', type=int, default=8000)
    parser.add_argument('--cell', type=int, default=100)
    parser.add_argument('--slice', type=int, action='append', default=[])
    parser.add_argument('--whole', type=int, action='append', default=[])
    parser.add_argument('--out', type=Path, required=True)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    detector: Any = mbv3zoo.load(args.model)
    scenes = mbv3zoo.load_dataset(args.scenes, 'val')
    size, path = (args.height, args.width), args.out / 'picture.png'
    data = DetectionSet(Records.of(compose(scenes, size, args.cell, path)), scenes.class_names)
    sides = data.records.areas.sqrt()
    print(f'{len(sides)} objects of {float(sides.median()):.0f} pixels (median)\n')
    print('| | AP | AP50 | seconds |\n|---|---|---|---|')
    for name, options in ways(args):
        start = time.perf_counter()
        found: Detections = detector.predict(path, score_thresh=_SCORE, max_detections=_MOST, **options)
        seconds = time.perf_counter() - start
        metrics = score(data, by_cell(found, size, args.cell), with_f1=False).metrics
        print(f'| {name} | {metrics.ap:.3f} | {metrics.ap50:.3f} | {seconds:.1f} |', flush=True)


if __name__ == '__main__':
    main()
