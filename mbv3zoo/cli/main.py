"""The program `mbv3zoo`: each command parses, then makes one call. Heavy imports happen inside the commands."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from mbv3zoo.cli.benchmark import benchmark
from mbv3zoo.cli.checking import check, split
from mbv3zoo.cli.convert import convert
from mbv3zoo.cli.data import SynthCommand, synth
from mbv3zoo.cli.demo import demo
from mbv3zoo.cli.described import Command, Group
from mbv3zoo.cli.evaluation import val
from mbv3zoo.cli.examples import EXAMPLES
from mbv3zoo.cli.export import export
from mbv3zoo.cli.fitting import FitCommand, fit
from mbv3zoo.cli.hub import pull, push
from mbv3zoo.cli.interruption import end_on_signals, told_in_one_line
from mbv3zoo.cli.models import info, list_
from mbv3zoo.cli.output import make_printable, quiet_libraries, show_log
from mbv3zoo.cli.prediction import predict
from mbv3zoo.cli.streams import drop_unwritten, guard_streams
from mbv3zoo.cli.training import TrainCommand, train
from mbv3zoo.prediction.failures import PredictionStopped
from mbv3zoo.training.failures import TrainingStopped
from mbv3zoo.utils.disk import sentence
from mbv3zoo.utils.packages import installed_version
from mbv3zoo.utils.text import printable
from mbv3zoo.version import __version__

app = typer.Typer(
    name='mbv3zoo',
    cls=Group,
    epilog=EXAMPLES['mbv3zoo'],
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _show_version(asked: bool) -> None:
    if asked:
        packages = ((name, installed_version(name) or 'not installed') for name in ('torch', 'timm'))
        typer.echo(', '.join(f'{name} {version}' for name, version in (('mbv3zoo', __version__), *packages)))
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            '--version', help='Show the versions of mbv3zoo, torch and timm.', callback=_show_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Small, fast object detectors on any timm backbone."""


# In the order of `mbv3zoo --help`.
for function in (
    list_,
    info,
    synth,
    check,
    split,
    train,
    val,
    predict,
    export,
    demo,
    benchmark,
    fit,
    convert,
    push,
    pull,
):
    name = function.__name__.rstrip('_')
    kind = {'synth': SynthCommand, 'train': TrainCommand, 'fit': FitCommand}.get(name, Command)
    app.command(name, cls=kind, epilog=EXAMPLES[name])(function)


def main() -> None:
    """Runs the program; a user's mistake ends in one line, not in a traceback."""
    guard_streams()
    make_printable()
    show_log()
    end_on_signals()
    quiet_libraries()
    try:
        # Within a command it has words of its own; here it comes before one.
        with told_in_one_line('mbv3zoo'):
            app(prog_name='mbv3zoo')
    except typer.Exit as stop:
        sys.exit(stop.exit_code)
    except (ValueError, OSError, ImportError, TrainingStopped, PredictionStopped) as error:
        drop_unwritten()
        text = sentence(error) if isinstance(error, OSError) else str(error)
        # Other libraries' errors have several lines.
        line = ' '.join(map(str.strip, text.splitlines()))
        typer.echo(printable(f'mbv3zoo: {line}'), err=True)
        sys.exit(1)


if __name__ == '__main__':
    main()
