"""The program `mbv3zoo`: each command parses, then makes one call. Heavy imports happen inside the commands."""

from __future__ import annotations

import sys

import typer

from mbv3zoo.cli.benchmark import benchmark
from mbv3zoo.cli.convert import convert
from mbv3zoo.cli.data import SynthCommand, synth
from mbv3zoo.cli.described import Command
from mbv3zoo.cli.evaluation import val
from mbv3zoo.cli.examples import EXAMPLES
from mbv3zoo.cli.export import export
from mbv3zoo.cli.hub import pull, push
from mbv3zoo.cli.models import info, list_
from mbv3zoo.cli.output import make_printable, quiet_libraries, show_log
from mbv3zoo.cli.prediction import predict
from mbv3zoo.cli.streams import drop_unwritten, guard_streams
from mbv3zoo.cli.training import TrainCommand, train
from mbv3zoo.prediction.failures import PredictionStopped
from mbv3zoo.training.failures import TrainingStopped
from mbv3zoo.utils.disk import sentence
from mbv3zoo.utils.text import printable

app = typer.Typer(
    name='mbv3zoo',
    help='Small, fast object detectors on any timm backbone.',
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
# In the order of `mbv3zoo --help`.
for function in (list_, info, synth, train, val, predict, export, benchmark, convert, push, pull):
    name = function.__name__.rstrip('_')
    kind = {'synth': SynthCommand, 'train': TrainCommand}.get(name, Command)
    app.command(name, cls=kind, epilog=EXAMPLES[name])(function)


def main() -> None:
    """Runs the program; a user's mistake ends in one line, not in a traceback."""
    guard_streams()
    make_printable()
    show_log()
    quiet_libraries()
    try:
        app()
    except (ValueError, OSError, ImportError, TrainingStopped, PredictionStopped) as error:
        drop_unwritten()
        text = sentence(error) if isinstance(error, OSError) else str(error)
        # Other libraries' errors have several lines.
        line = ' '.join(map(str.strip, text.splitlines()))
        typer.echo(printable(f'mbv3zoo: {line}'), err=True)
        sys.exit(1)


if __name__ == '__main__':
    main()
