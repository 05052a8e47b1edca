"""Draws AP against time from a benchmark's results and a file of APs, and prints the table of both.

    mbv3zoo benchmark mbv3_yolo_large mbv3_yolo_small --runtime onnxruntime --size 320 --against yolov5n.onnx
    python tools/frontier.py runs/benchmark-1/results.csv ap.csv --out docs/frontier.png

The APs are a CSV file with columns `name`, `ap` and, if wanted, `family` and `label`, or a JSON object of name -> AP. A
name is a model as the benchmark was given it, or of an exported file its name without folder and ending.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from frontier_picture import Point, draw_frontier, pareto

from mbv3zoo.benchmark.rows import Row, read_rows, shown_size
from mbv3zoo.utils.sizes import parse_size
from mbv3zoo.zoo import registry as zoo


class Measured(NamedTuple):
    """What is known of a model's quality."""

    ap: float
    family: str = ''
    label: str = ''


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('results', type=Path, help='results.csv of a benchmark')
    parser.add_argument('aps', type=Path, help='CSV or JSON file')
    parser.add_argument('--runtime', help='of several in the results')
    parser.add_argument('--size', type=parse_size, help='of several in the results')
    parser.add_argument('--batch', type=int, help='of several in the results')
    parser.add_argument('--out', type=Path, default=Path('docs/frontier.png'), help='.png or .svg')
    options = parser.parse_args(arguments)
    rows = choose(read_rows(options.results), options.runtime, options.size, options.batch)
    points = join(rows, read_aps(options.aps))
    where = f'{rows[0].runtime}, {shown_size(rows[0].size)}, batch {rows[0].batch}'
    draw_frontier([point for _, point in points], options.out, f'AP against time ({where})')
    print(*table(points), sep='\n')


def choose(rows: list[Row], runtime: str | None, size: tuple[int, int] | None, batch: int | None) -> list[Row]:
    """The rows of one runtime, size and batch, without those that failed.

    Raises:
        ValueError: There are none, or of several.
    """
    asked = {'runtime': runtime, 'size': size, 'batch': batch}
    for field, value in asked.items():
        rows = [row for row in rows if row.ms is not None and value in (None, getattr(row, field))]
    if not rows:
        raise ValueError(f'no figures with {asked}')
    for field in asked:
        found = list(dict.fromkeys(getattr(row, field) for row in rows))
        if len(found) > 1:
            raise ValueError(f'the results have several: {field} {", ".join(map(str, found))}; choose with --{field}')
    return rows


def read_aps(path: Path) -> dict[str, Measured]:
    """Name -> AP, from a CSV or JSON file."""
    if path.suffix == '.json':
        return {name: Measured(float(ap)) for name, ap in json.loads(path.read_text(encoding='utf-8')).items()}
    with open(path, newline='', encoding='utf-8') as file:
        return {
            row['name']: Measured(float(row['ap']), row.get('family') or '', row.get('label') or '')
            for row in csv.DictReader(file)
        }


def join(rows: list[Row], aps: dict[str, Measured]) -> list[tuple[Row, Point]]:
    """Rows with their points, the fastest first; those without an AP are left out.

    Raises:
        ValueError: An AP is of no model in the rows.
    """
    points, used = [], set()
    for row in rows:
        name = next((name for name in (row.model, Path(row.model).name, Path(row.model).stem) if name in aps), None)
        if name is not None and row.ms is not None:
            used.add(name)
            ap, family, label = aps[name]
            points.append((row, Point(label or name, row.ms / row.batch, ap, family or usual_family(name))))
    if unknown := sorted(aps.keys() - used):
        raise ValueError(f'no figures of {", ".join(unknown)}; the results have {", ".join(row.model for row in rows)}')
    return sorted(points, key=lambda pair: pair[1].ms)


def usual_family(name: str) -> str:
    return 'mbv3zoo' if name.partition('.')[0] in zoo.detector_names() else 'others'


def table(points: list[tuple[Row, Point]]) -> Iterator[str]:
    """Lines of the table; what is on the frontier is bold."""
    best = pareto([point for _, point in points])
    yield '| model | AP | ms a picture | relative | parameters | GFLOPs |'
    yield '|---|---|---|---|---|---|'
    for row, point in points:
        name = f'**{point.name}**' if point in best else point.name
        relative = '' if row.relative is None else f'{row.relative:.2f}'
        parameters = '' if row.parameters is None else f'{row.parameters / 1e6:.2f} M'
        gflops = '' if row.gflops is None else f'{row.gflops:.2f}'
        yield f'| {name} | {point.ap:.3f} | {point.ms:.2f} | {relative} | {parameters} | {gflops} |'


if __name__ == '__main__':
    main()
