"""Makes a dataset of COCO's size out of links to a few pictures, and measures what reading it takes (docs/coco.md).

    python tools/bench_data.py make /tmp/big --format coco
    python tools/bench_data.py read /tmp/big
    python tools/bench_data.py train /tmp/big

`make` writes 118,000 pictures (hard links to 20 files) and 707,000 annotations with outlines, 600 MB of JSON; as YOLO
or Pascal VOC one label file for each picture. `read` runs each of json.load, the first and the second reading in a
process of its own, and prints its seconds and its peak of memory. `train` prints the memory of a training with two
loader processes (Linux).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = 80
FILES = 20
WIDTH, HEIGHT = 640, 480
# Of an outline, which gives COCO's bytes for an annotation.
POINTS = 45
# Of a training that is looked at, from when its loader processes run.
SECONDS = 60


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    actions = parser.add_subparsers(dest='action', required=True)
    make = actions.add_parser('make', help='write the dataset')
    make.add_argument('folder', type=Path)
    make.add_argument('--format', choices=WRITERS, default='coco')
    make.add_argument('--images', type=int, default=118_000)
    make.add_argument('--objects', type=int, default=707_000)
    for name, text in (('read', 'time reading it'), ('train', 'take the memory of a training')):
        action = actions.add_parser(name, help=text)
        action.add_argument('folder', type=Path)
    arguments = parser.parse_args()
    if arguments.action == 'make':
        write(arguments.folder, arguments.format, arguments.images, arguments.objects)
    elif arguments.action == 'read':
        read(arguments.folder)
    else:
        train(arguments.folder)


def write(folder: Path, layout: str, images: int, objects: int) -> None:
    """Writes a dataset of this many images and objects as split 'train' of a layout."""
    place = folder / {'coco': 'train2017', 'yolo': 'images/train', 'voc': 'JPEGImages'}[layout]
    place.mkdir(parents=True)
    generator = np.random.default_rng(0)
    originals = folder / 'originals'
    originals.mkdir()
    for i in range(FILES):
        coarse = generator.integers(0, 256, (12, 16, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((WIDTH, HEIGHT)).save(originals / f'{i}.jpg', quality=90)
    names = [f'{i:012d}' for i in range(images)]
    for i, name in enumerate(names):
        os.link(originals / f'{i % FILES}.jpg', place / f'{name}.jpg')
    WRITERS[layout](folder, names, list(_objects(generator, images, objects)))


Object = tuple[int, int, tuple[int, int, int, int]]


def _objects(generator: np.random.Generator, images: int, objects: int) -> Iterator[Object]:
    """Image, class, and box xywh of each object, in order of the images."""
    sides = generator.integers(8, 160, (objects, 2))
    corners = (generator.random((objects, 2)) * (np.array([WIDTH, HEIGHT]) - sides)).astype(int)
    owners = np.sort(generator.integers(0, images, objects))
    labels = generator.integers(0, CLASSES, objects)
    for owner, label, corner, side in zip(owners, labels, corners.tolist(), sides.tolist(), strict=True):
        yield int(owner), int(label), (*corner, *side)


def _write_coco(folder: Path, names: list[str], objects: list[Object]) -> None:
    outline = np.random.default_rng(1).random((1000, 2 * POINTS))
    (folder / 'annotations').mkdir()
    with open(folder / 'annotations' / 'instances_train2017.json', 'w', encoding='utf-8') as file:
        rows = ({'id': i, 'file_name': f'{name}.jpg', 'width': WIDTH, 'height': HEIGHT} for i, name in enumerate(names))
        file.write('{"images": [' + ', '.join(map(json.dumps, rows)) + '], "categories": ')
        file.write(json.dumps([{'id': i + 1, 'name': f'class {i}'} for i in range(CLASSES)]) + ', "annotations": [')
        for number, (owner, label, (x, y, width, height)) in enumerate(objects):
            points = outline[number % len(outline)].reshape(-1, 2) * (width, height) + (x, y)
            row = {
                'segmentation': [points.round(2).ravel().tolist()], 'area': width * height * 0.5, 'iscrowd': 0,
                'image_id': owner, 'bbox': [x, y, width, height], 'category_id': label + 1, 'id': number,
            }  # fmt: skip
            file.write((', ' if number else '') + json.dumps(row))
        file.write(']}')


def _write_yolo(folder: Path, names: list[str], objects: list[Object]) -> None:
    classes = '\n'.join(f'  {i}: class {i}' for i in range(CLASSES))
    (folder / 'data.yaml').write_text(f'train: images/train\nval: images/train\nnames:\n{classes}\n', encoding='utf-8')
    labels = folder / 'labels' / 'train'
    labels.mkdir(parents=True)
    lines: list[list[str]] = [[] for _ in names]
    for owner, label, (x, y, width, height) in objects:
        box = (x + width / 2) / WIDTH, (y + height / 2) / HEIGHT, width / WIDTH, height / HEIGHT
        lines[owner].append(f'{label} ' + ' '.join(f'{value:.6f}' for value in box))
    for name, own in zip(names, lines, strict=True):
        (labels / f'{name}.txt').write_text('\n'.join(own) + '\n', encoding='utf-8')


def _write_voc(folder: Path, names: list[str], objects: list[Object]) -> None:
    (folder / 'Annotations').mkdir()
    lists = folder / 'ImageSets' / 'Main'
    lists.mkdir(parents=True)
    (lists / 'train.txt').write_text('\n'.join(names) + '\n', encoding='utf-8')
    inner = [''] * len(names)
    for owner, label, (x, y, width, height) in objects:
        corners = f'<xmin>{x + 1}</xmin><ymin>{y + 1}</ymin><xmax>{x + width}</xmax><ymax>{y + height}</ymax>'
        inner[owner] += f'<object><name>class {label}</name><bndbox>{corners}</bndbox></object>\n'
    size = f'<size><width>{WIDTH}</width><height>{HEIGHT}</height><depth>3</depth></size>'
    for name, own in zip(names, inner, strict=True):
        text = f'<annotation><filename>{name}.jpg</filename>{size}\n{own}</annotation>\n'
        (folder / 'Annotations' / f'{name}.xml').write_text(text, encoding='utf-8')


WRITERS: dict[str, Callable[[Path, list[str], list[Object]], None]] = {
    'coco': _write_coco,
    'yolo': _write_yolo,
    'voc': _write_voc,
}


def read(folder: Path) -> None:
    """Prints seconds and peak of memory of json.load (for COCO), the first, and the second reading."""
    file = folder / 'annotations' / 'instances_train2017.json'
    if file.is_file():
        _measured('json.load', f'import json; json.load(open({str(file)!r}))')
    code = f'import mbv3zoo; data = mbv3zoo.load_dataset({str(folder)!r}, "train")'
    with tempfile.TemporaryDirectory() as cache:
        for name in ('first reading', 'second reading'):
            _measured(name, code, cache)


def train(folder: Path) -> None:
    """Prints the most memory that the processes of a training hold together; shared pages count once."""
    file = folder / 'annotations' / 'instances_train2017.json'
    with tempfile.TemporaryDirectory() as out:
        options = ['--data', str(file if file.is_file() else folder), '--val-share', '0.04', '--out', f'{out}/run']
        options += ['--model', 'mbv3_yolo_nano_v2', '--image-size', '64', '--epochs', '1', '--workers', '2']
        command = [sys.executable, '-m', 'mbv3zoo', 'train', *options]
        own = _own_memory()
        print(f'{"import torch, torchvision":<32}{own:6.2f} GiB', flush=True)
        process = subprocess.Popen(command, env=os.environ | {'MBV3ZOO_CACHE': f'{out}/cache'})
        most, end = 0.0, float('inf')
        loaders: list[float] = []
        while process.poll() is None and time.monotonic() < end:
            end = min(end, time.monotonic() + SECONDS) if loaders else end
            held = [_held(each) for each in (process.pid, *_children(process.pid))]
            most, loaders = max(most, sum(held)), max(loaders, held[1:], key=sum)
            time.sleep(1)
        if process.poll() is not None:
            raise SystemExit('the training ended before it was measured')
        process.terminate()
        process.wait()
    print(f'{"training, all its processes":<32}{most:6.2f} GiB, {most - own:.2f} above that', flush=True)
    print(f'{"of these, each loader process":<32}' + ', '.join(f'{each:.2f}' for each in loaders) + ' GiB', flush=True)


def _own_memory() -> float:
    code = 'import torch, torchvision, resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)'
    return float(subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True).stdout)


def _children(pid: int) -> list[int]:
    listed = subprocess.run(['pgrep', '-P', str(pid)], capture_output=True, text=True, check=False)
    return [int(each) for each in listed.stdout.split()]


def _held(pid: int) -> float:
    """GiB of a process, in which a page that n processes share counts as an n-th."""
    try:
        text = Path(f'/proc/{pid}/smaps_rollup').read_text(encoding='ascii')
    except OSError:
        return 0.0
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith('Pss:')) / 2**20


def _measured(name: str, code: str, cache: str | None = None) -> None:
    environment = os.environ | ({'MBV3ZOO_CACHE': cache} if cache else {})
    # What importing takes is not what reading takes.
    script = f'import json, torch, mbv3zoo.data.load, time, resource, sys\nstart = time.perf_counter()\n{code}\n' + (
        'print(time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)'
    )
    done = subprocess.run(
        [sys.executable, '-c', script], env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    seconds, peak = done.stdout.split()
    print(f'{name:<16}{float(seconds):8.1f} s {float(peak) / 2**20:8.2f} GiB', flush=True)


if __name__ == '__main__':
    main()
