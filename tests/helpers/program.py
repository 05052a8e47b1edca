"""The program `mbv3zoo`, run where a subprocess would only cost time."""

from typer.testing import CliRunner

from mbv3zoo.cli.main import app


def run(*args, ok=True):
    result = CliRunner().invoke(app, list(map(str, args)))
    if ok:
        assert result.exit_code == 0, result.output + repr(result.exception)
    return result
