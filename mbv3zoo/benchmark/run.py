"""Measures models in every runtime, image size and batch size, one process for each."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from mbv3zoo.benchmark.plan import Group, is_file, make_plan
from mbv3zoo.benchmark.process import ProcessFailed, run_in_process
from mbv3zoo.benchmark.report import Rows
from mbv3zoo.benchmark.rows import Row
from mbv3zoo.runtimes.table import LIVE_FORMATS, RUNTIMES, SUFFIXES
from mbv3zoo.utils.atomic import current
from mbv3zoo.utils.disk import temporary_folder
from mbv3zoo.utils.packages import missing, require
from mbv3zoo.utils.progress import bar
from mbv3zoo.utils.sizes import MOST_THREADS, parse_image_size, whole_number

_logger = logging.getLogger(__name__)

_MOST_ROUNDS, _MOST_SECONDS = 10_000, 3600


def run_benchmark(
    models: Sequence[str | Path],
    *,
    runtimes: Sequence[str] = (),
    sizes: Sequence[tuple[int, int] | int] = (),
    batches: Sequence[int] = (1,),
    rounds: int = 15,
    seconds: float = 0.2,
    threads: int | None = None,
    device: str | None = None,
    against: Sequence[str | Path] = (),
    memory: bool = False,
    show_progress: bool = False,
) -> Rows:
    """Measures how fast models run on this machine: the graph alone, from pixels to raw outputs.

    For each runtime, size and batch one process opens all models and times them in alternation, in short blocks.
    Compare rows of one such group, by `Row.relative` first: a machine's speed changes from one minute to the next.

    Args:
        models: What `mbv3zoo.create_detector` takes, with its weights where that stands for some, else with random
            ones; and exported files, of any program. All are compared with the first.
        runtimes: 'eager', 'compile', 'onnxruntime' and 'openvino' for detectors, and for files the runtimes that open
            them. By default the usual runtimes of the files, and without files 'eager'.
        sizes: Sides in pixels, or (height, width); by default each model's own. Files made for one size keep it.
        batches: Images per call.
        rounds: Blocks per model.
        seconds: Length of a block.
        threads, device: As for `mbv3zoo.export.live.open_live`.
        against: Further exported files.
        memory: Measure peak memory too, which takes one or two more processes per row.
        show_progress: Whether to show a progress bar.

    Returns:
        One row per model and group, in the order of the arguments: a list that `print` shows as a table. Rows that
        could not be measured have `Row.error`.

    Raises:
        ValueError: There is no model, no such runtime or file, or a number is out of range.
        ImportError: None of the runtimes is installed.

    Example:
        >>> rows = mbv3zoo.run_benchmark(['model.onnx'], rounds=2, seconds=0.01)
        >>> print(rows)
        model       runtime      size  batch  ms ...
        model.onnx  onnxruntime  320   1      ...
        >>> rows[0].ms < 1000
        True
    """
    whole_number(rounds, 'rounds', 1, _MOST_ROUNDS)
    if not 0 < seconds <= _MOST_SECONDS:
        raise ValueError(f'seconds is {seconds}; expected more than 0, and at most {_MOST_SECONDS}')
    if threads is not None:
        whole_number(threads, 'threads', 1, MOST_THREADS)
    for path in against:
        if not is_file(str(path)):
            raise ValueError(f'{path}: not an exported file; expected one that ends in {", ".join(SUFFIXES)}')
    names = [str(name) for name in (*models, *against)]
    for name in filter(is_file, names):
        if not current(Path(name)).exists():
            raise ValueError(f'{name}: there is no such file')
    plan = make_plan(names, runtimes, [parse_image_size(size, 'size') for size in sizes], batches)
    _check_installed(plan)
    rows = Rows()
    with bar(plan, 'benchmark', show_progress, 'groups') as groups:
        for group in groups:
            groups.set_postfix_str(group.runtime)
            _logger.info('timing %s in %s', ', '.join(group.models), group.runtime)
            measured = _time(group, names[0], rounds, seconds, threads, device)
            rows += [_with_memory(row, threads, device) for row in measured] if memory else measured
    return rows


def _check_installed(plan: Sequence[Group]) -> None:
    """Raises ImportError, with what to install, where nothing of a plan can be measured here."""
    needed = [RUNTIMES[group.runtime].package if group.runtime in RUNTIMES else 'torch' for group in plan]
    if len(missing(needed)) == len(needed):
        require(f'runtime {plan[0].runtime!r}', *dict.fromkeys(needed))


def _time(group: Group, first: str, rounds: int, seconds: float, threads: int | None, device: str | None) -> list[Row]:
    rows = [Row(name, group.runtime, group.size, group.batch) for name in group.models]
    try:
        found = run_in_process(
            'time',
            models=group.models,
            first=first,
            runtime=group.runtime,
            size=group.size,
            batch=group.batch,
            rounds=rounds,
            seconds=seconds,
            threads=threads,
            device=device,
        )
    except ProcessFailed as error:
        return [row._replace(error=str(error)) for row in rows]
    for own in found:
        if 'size' in own:
            own['size'] = tuple(own['size'])  # JSON has no tuples
    return [row._replace(**own) for row, own in zip(rows, found, strict=True)]


def _with_memory(row: Row, threads: int | None, device: str | None) -> Row:
    """Measures a row's peak memory, in a process that only opens and runs the model, as its users' processes do."""
    if row.error:
        return row
    name, runtime, size, batch = row.model, row.runtime, row.size, row.batch
    try:
        with temporary_folder() as folder:
            # Another process writes a detector's file, so that its torch does not count.
            if not is_file(name) and runtime in LIVE_FORMATS:
                name = run_in_process('write', name=name, runtime=runtime, size=size, batch=batch, folder=str(folder))
            peak = run_in_process(
                'memory', name=name, runtime=runtime, size=size, batch=batch, threads=threads, device=device
            )
    except ProcessFailed as error:
        return row._replace(error=f'memory was not measured: {error}')
    return row._replace(peak_memory_mb=peak)
