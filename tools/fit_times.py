"""How well the times of fitted models are predicted: fits each model for each runtime and size, and times it anew.

    python tools/fit_times.py MODEL MODEL --data scenes/data.yaml --image-size 320 --image-size 224 --out times

Nothing is trained. Each row is of one fit: the milliseconds of the model and of what was made of it, in turns, their
ratio as measured and as predicted before the last graph was timed, and the error of that. The last line has the median
and the largest error. A command that was stopped goes on when it is given again.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import mbv3zoo
from mbv3zoo.fitting import graph_timer
from mbv3zoo.fitting.budget import RUNTIMES_THAT_FIT
from mbv3zoo.fitting.graph_timer import GraphTimer
from mbv3zoo.utils.sizes import parse_size

HEAD = '| model | runtime | input | ms before | ms | ratio | predicted | error |\n|---|---|---|---|---|---|---|---|'
# More turns than a fit takes for a timing.
ROUNDS = 40


def timed(name: str, runtime: str, size: tuple[int, int], args: argparse.Namespace) -> tuple[str, float]:
    """A row, and the error in it."""
    text = f'{size[0]} x {size[1]}'
    fitted: Any = mbv3zoo.fit(
        name, args.data, speedup=args.speedup, runtime=runtime, image_size=size, threads=args.threads, epochs=0,
        out=args.out / f'{name.replace("/", "_")}-{runtime}-{size[0]}x{size[1]}',
    )  # fmt: skip
    model: Any = mbv3zoo.load(name)
    model.config = model.config.model_copy(update={'image_size': size})
    with patch.object(graph_timer, '_ROUNDS', ROUNDS):
        timing = GraphTimer(model.eval(), runtime, args.threads).time(fitted.model.eval())
    predicted = fitted.record.predicted_ms / fitted.record.before_ms
    error = predicted / timing.relative - 1
    times = f'{timing.first_ms:.2f} | {timing.ms:.2f} | {timing.relative:.3f} | {predicted:.3f}'
    return f'| {name} | {runtime} | {text} | {times} | {error:+.1%} |', abs(error)


def rows(args: argparse.Namespace) -> Iterator[str]:
    """The lines of the table."""
    yield HEAD
    errors = []
    for size, name, runtime in product(args.image_size, args.models, args.runtime or RUNTIMES_THAT_FIT):
        row, error = timed(name, runtime, size, args)
        errors.append(error)
        yield row
    yield f'\n{len(errors)} fits: median error {median(errors):.1%}, largest {max(errors):.1%}'


def main() -> None:
    """Prints the table row by row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('models', nargs='+')
    parser.add_argument('--data', required=True)
    parser.add_argument('--speedup', type=float, default=1.5)
    parser.add_argument('--runtime', action='append', choices=RUNTIMES_THAT_FIT)
    parser.add_argument('--image-size', type=parse_size, action='append', required=True)
    parser.add_argument('--threads', type=int)
    parser.add_argument('--out', type=Path, required=True)
    for line in rows(parser.parse_args()):
        print(line, flush=True)


if __name__ == '__main__':
    main()
