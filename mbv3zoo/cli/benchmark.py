"""`mbv3zoo benchmark`."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from mbv3zoo.cli.options import IMAGES, OUTPUT, RUNTIME, Device, Quiet, Sizes, Threads, given
from mbv3zoo.utils.folders import claimed_folder

TIMING = 'Timing'


def benchmark(
    models: Annotated[list[str], typer.Argument(help='Names, YAML files, saved folders, or exported files.')],
    runtime: Annotated[
        list[str] | None,
        typer.Option(
            help='eager, compile, onnxruntime or openvino; may be repeated.',
            show_default='eager',
            rich_help_panel=RUNTIME,
        ),
    ] = None,
    size: Sizes = None,
    batch: Annotated[
        list[int] | None,
        typer.Option(help='Images per call; may be repeated.', show_default='1', rich_help_panel=IMAGES),
    ] = None,
    against: Annotated[
        list[Path] | None,
        typer.Option(
            help='Exported file to compare with, also of another library; may be repeated.',
            show_default='none',
            rich_help_panel=RUNTIME,
        ),
    ] = None,
    rounds: Annotated[int, typer.Option(help='Timed turns per model.', rich_help_panel=TIMING)] = 15,
    seconds: Annotated[float, typer.Option(help='Seconds per turn.', rich_help_panel=TIMING)] = 0.2,
    threads: Threads = None,
    device: Device = None,
    memory: Annotated[
        bool,
        typer.Option('--memory', help='Also measure peak memory, of one process per model.', rich_help_panel=TIMING),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(help='Folder of the report.', show_default='the next runs/benchmark-N', rich_help_panel=OUTPUT),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Time models, runtimes, sizes and batches in turns. Writes a table, a CSV and a plot."""
    from mbv3zoo.benchmark.report import write_report
    from mbv3zoo.benchmark.run import run_benchmark

    with claimed_folder(out, 'benchmark') as folder:
        rows = run_benchmark(
            models,
            rounds=rounds,
            seconds=seconds,
            threads=threads,
            device=device,
            memory=memory,
            show_progress=True,
            **given(runtimes=runtime, sizes=size or None, batches=batch),
            **given(against=against),
        )
        typer.echo(write_report(rows, folder, threads=threads, command=shlex.join(['mbv3zoo', *sys.argv[1:]])))
    if all(row.error for row in rows):
        raise typer.Exit(1)
