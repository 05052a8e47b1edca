"""Fits a detector to times, and compares with what else takes as long, trained alike; makes the table of docs/fit.md.

    python tools/fit_comparison.py MODEL --data scenes/data.yaml --speedup 1.33 --speedup 1.67 --epochs 10 --out figures

`fit` is `mbv3zoo fit`. `uniform` has all layers narrower by one factor. `smaller input` is MODEL itself, at the largest
multiple of 32 pixels that holds the time. All start from MODEL, which is their teacher, and train for as many epochs.
A command that was stopped goes on when it is given again. Columns: milliseconds, their share of MODEL's, AP before
training and after, and with --precision int8, in which all are timed then, of the int8 file.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import partialmethod
from pathlib import Path
from typing import Any
from unittest.mock import patch

import mbv3zoo
from mbv3zoo.export.quantize import calibration_pixels
from mbv3zoo.fitting.fitter import Fitter
from mbv3zoo.fitting.graph_timer import GraphTimer
from mbv3zoo.fitting.input_sizes import smaller_sizes
from mbv3zoo.fitting.stages import LR_SHARE
from mbv3zoo.fitting.uniform import solve_uniformly
from mbv3zoo.runtimes.table import LIVE_FORMATS
from mbv3zoo.utils.sizes import LEAST_SIDE, parse_size

HEAD = '| speedup | made by | ms | of before | AP, not trained | AP | AP in int8 |\n|---|---|---|---|---|---|---|'
# Images that int8 files which are only timed are calibrated on.
_CALIBRATION = 32


def fitted(args: argparse.Namespace, speedup: float, out: Path) -> str:
    """A row of a detector that was fitted; `out` is its folder."""
    result: Any = mbv3zoo.fit(
        args.model, args.data, speedup=speedup, runtime=args.runtime, image_size=args.image_size, threads=args.threads,
        precision=args.precision, epochs=args.epochs, out=out,
    )  # fmt: skip
    record = result.record
    trained = record.quality_narrowed if record.quality_after is None else record.quality_after
    cells = row(record.measured_ms, record.measured_ms / record.before_ms, record.quality_narrowed, trained)
    return cells + in_int8(result.model, args, out)


def uniform(args: argparse.Namespace, speedup: float, out: Path) -> str:
    """The same with one factor for all layers."""
    with patch.object(Fitter, 'narrow', partialmethod(Fitter.narrow, stages=1, choose=solve_uniformly)):
        return fitted(args, speedup, out)


def smaller_input(args: argparse.Namespace, speedup: float, out: Path) -> str:
    """The detector itself at a smaller input."""
    model: Any = mbv3zoo.load(args.model)
    model.config = model.config.model_copy(update={'image_size': args.image_size})
    pixels = (lambda info: calibration_pixels(args.data, 'train', info, _CALIBRATION)) if is_int8(args) else None
    timer = GraphTimer(model, args.runtime, args.threads, pixels)
    for size in smaller_sizes(args.image_size, LEAST_SIDE):
        model.config = model.config.model_copy(update={'image_size': size})
        timing = timer.time(model)
        if timing.relative <= 1 / speedup:
            break
    before = mbv3zoo.evaluate(model, args.data).score
    after, trained = before, model
    if args.epochs and (out / 'run.yaml').exists():
        result = mbv3zoo.resume_training(out)
    elif args.epochs:
        result = mbv3zoo.train(
            args.data, model=args.model, pretrained=True, image_size=size, teacher=args.model, anchors='keep',
            lr=mbv3zoo.TrainConfig().lr * LR_SHARE, threads=args.threads, epochs=args.epochs, out=out,
        )  # fmt: skip
    if args.epochs:
        after, trained = result.metrics.score, result.detector
    cells = row(timing.ms, timing.relative, before, after) + in_int8(trained, args, out)
    return f'{cells} {size[0]} x {size[1]} |'


def row(ms: float, relative: float, before: float, after: float) -> str:
    """The cells of a row."""
    return f'{ms:.2f} | {relative:.2f} | {before:.3f} | {after:.3f} |'


def is_int8(args: argparse.Namespace) -> bool:
    """Whether int8 files are timed."""
    return args.precision == 'int8'


def in_int8(model: Any, args: argparse.Namespace, out: Path) -> str:
    """The cell of the AP of a detector's int8 file; calibrated on the training images."""
    if not is_int8(args):
        return ' |'
    suffix = LIVE_FORMATS[args.runtime].suffix
    path = out.with_name(f'{out.name}_int8{suffix}')
    if not path.exists():
        model.export(path, precision='int8', calibration=args.data)
    return f' {mbv3zoo.evaluate(mbv3zoo.load(path), args.data).score:.3f} |'


WAYS = {'fit': fitted, 'uniform': uniform, 'smaller input': smaller_input}


def rows(args: argparse.Namespace) -> Iterator[str]:
    """The rows of the table."""
    yield HEAD
    for speedup in args.speedup:
        for name, way in WAYS.items():
            out = args.out / f'{speedup:g}x' / name.replace(' ', '_')
            yield f'| {speedup:g} | {name} | {way(args, speedup, out)}'


def main() -> None:
    """Prints the table row by row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('model')
    parser.add_argument('--data', required=True)
    parser.add_argument('--speedup', type=float, action='append', required=True)
    parser.add_argument('--runtime', default='openvino')
    parser.add_argument('--image-size', type=parse_size, default=(320, 320))
    parser.add_argument('--threads', type=int)
    parser.add_argument('--precision', choices=['float32', 'int8'], default='float32')
    parser.add_argument('--epochs', type=int, default=30)
    parser.add_argument('--out', type=Path, required=True)
    for line in rows(parser.parse_args()):
        print(line, flush=True)


if __name__ == '__main__':
    main()
