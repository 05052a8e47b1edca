"""Measures every timm backbone and writes docs/backbones.csv and docs/backbones.md.

python tools/backbone_table.py

Models are built on the meta device: nothing is downloaded, and two cores and a few GiB do for the largest.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import timm
import torch

import mbv3zoo.backbones  # noqa: F401  registers our own models
from mbv3zoo.info.backbones import BackboneRow, measure, write_rows
from mbv3zoo.models.sizes import SIDES

_HEADS = {'parameters': 'M', 'gflops': 'GFLOPs', 'image_size': 'size', 'sizes': 'takes', 'trained_at': 'trained at'}
DOCS = Path(__file__).parent.parent / 'docs'
_INTRODUCTION = """# Backbones

{timm} of timm {version}'s models and {ours} of mbv3zoo's own compose into a detector.

Made by `python tools/backbone_table.py` (in 14 minutes on two cores, without a download); the same lines come from
`mbv3zoo list --backbones 'PATTERN'` and, for one, from `mbv3zoo info NAME`. [backbones.csv](backbones.csv) is it for
programs. By route: {routes}.

- **route**: *native*: the backbone has maps at strides 8, 16 and 32. *completed*: it has several strides, and each one
  missing is made from the nearest, by 2x2 deconvolutions (finer) or max-pools (coarser). *simple pyramid*: it has a
  single stride, and all three levels are made from its last map by ViTDet's simple feature pyramid (Li et al. 2022,
  arXiv 2203.16527, section 3).
- **strides, channels**: of the maps that C3, C4, C5 are made from. Where a stride is no power of two the backbone sees
  the picture resized to a multiple of it, and the levels are resampled to exactly 1/8, 1/16 and 1/32 of the picture.
- **M, GFLOPs**: parameters in millions, and operations at **size** (a multiply-add counts as two), of what a detector
  keeps of the backbone, with the layers that make levels, without neck and head.
- **size**: height x width in pixels that `create_detector(name)` builds for. 640 x 640, except for models that timm
  binds to one size or records a least size of: the size they were trained at, made multiples of 32.
- **takes**: *any*: any multiples of 32, at any time. *set when built*: any, but only the one that the detector was
  built for (`image_size=...`). *built for a square*: any, but `image_size` must be a square. A list: what it takes of
  the squares of {sides} pixels. An error says so otherwise.
- **weights, trained at, licence**: what `pretrained=True` loads, as timm records it; "-" where it records none. timm's
  package ships no ImageNet accuracies; its repository's `results` folder has them by these names.

- **stock timm**: from what a detector saves or pushes, timm alone loads the backbone, in every family; not so for
  `mbv3_yolo_large_exact_se`, `mbv3_yolo_small_exact_se`, `cspdarknet_v6_*` (YOLOv5's own) and `yolov5_layers` (rows of
  a YOLOv5 file, [from_yolov5.md](from_yolov5.md)), networks that timm does not have ([hub.md](hub.md)).

[backbones_checked.md](backbones_checked.md): one of each family trained, fused, saved, loaded by timm and exported.

"""


def main() -> None:
    names = timm.list_models()
    rows: list[BackboneRow] = []
    failures: list[str] = []
    context = multiprocessing.get_context('spawn')  # torch's threads do not survive a fork
    with ProcessPoolExecutor(os.cpu_count(), context, torch.set_num_threads, (1,)) as pool:
        for result in pool.map(_measure, names, chunksize=4):
            if isinstance(result, BackboneRow):
                rows.append(result)
            else:
                failures.append(result)
            if len(rows) % 50 == 0:
                print(f'{len(rows)} of {len(names)}', file=sys.stderr)
    write_rows(DOCS / 'backbones.csv', rows)
    text = page(rows, failures, names)
    (DOCS / 'backbones.md').write_text(text, encoding='utf-8')
    print(text.splitlines()[2], *failures, sep='\n')
    sys.exit(bool(failures))


def page(rows: list[BackboneRow], failures: list[str], names: list[str]) -> str:
    """docs/backbones.md."""
    ours = {name for name in names if not timm.models.model_entrypoint(name).__module__.startswith('timm.')}
    composed = {row.name for row in rows}
    theirs = set(names) - ours
    routes = Counter(row.route for row in rows).most_common()
    introduction = _INTRODUCTION.format(
        timm=f'{len(composed & theirs)}/{len(theirs)}',
        ours=f'{len(composed & ours)}/{len(ours)}',
        version=timm.__version__,
        routes=', '.join(f'{count} {route}' for route, count in routes),
        sides=', '.join(map(str, SIDES)),
    )
    heads = [_HEADS.get(field, field) for field in BackboneRow._fields[:-1]]
    lines = [_line(heads), _line('---' for _ in heads), *(_line(value or '-' for value in row[:-1]) for row in rows)]
    return introduction + ''.join(f'- failed: {failure}\n' for failure in failures) + '\n'.join(lines) + '\n'


def _measure(name: str) -> BackboneRow | str:
    try:
        return measure(name)
    except Exception as error:  # one model that fails must not lose the table
        return f'{name}: {error!r}'


def _line(values: Iterable[str]) -> str:
    return '| ' + ' | '.join(values) + ' |'


if __name__ == '__main__':
    main()
