"""The directive `command-reference`: every command of the program with every option, as `--help` has them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import nested_parse_with_titles
from sphinx.util.rst import escape
from typer.main import get_command

from mbv3zoo.cli.main import app as program


class _Sections:
    """Takes what a command prints of its options: heading -> rows of a name and its words."""

    def __init__(self) -> None:
        self.rows: dict[str, list[tuple[str, str]]] = {}

    @contextmanager
    def section(self, name: str) -> Iterator[None]:
        self.rows[name] = []
        yield

    def write_dl(self, rows: list[tuple[str, str]]) -> None:
        self.rows[next(reversed(self.rows))] += rows


def _prose(text: str) -> str:
    """The words of a help as reStructuredText."""
    text = re.sub(r'\\`(.+?)\\`', r'``\1``', escape(' '.join(text.split())))
    return re.sub(r'\bdocs/(\w+)\.md\b', r':doc:`/\1`', text)


def command_text(command: Any, name: str) -> list[str]:
    """What is written of one command, as lines of reStructuredText."""
    context = typer.Context(command, info_name=name)
    usage = ' '.join([name, *command.collect_usage_pieces(context)])
    lines = [name, '=' * len(name), '', _prose(command.help or ''), '']
    lines += ['.. code-block:: text', '', f'   {usage}', '', f'.. program:: {name}', '']
    if command.epilog:
        lines += ['.. code-block:: bash', '', *(f'   {line}' for line in command.epilog.splitlines()), '']
    sections = _Sections()
    command.format_options(context, sections)
    for heading, rows in sections.rows.items():
        lines += [f'.. rubric:: {heading}', '']
        for option, words in rows:
            if heading.startswith('Settings'):
                lines += [f'``{option}``', f'   {_prose(words)}', '']
            else:
                lines += [f'.. option:: {option.replace(" / ", ", ")}', '', f'   {_prose(words)}', '']
    return lines


class CommandReference(SphinxDirective):
    """All commands, a section each, in the order of `mbv3zoo --help`."""

    def run(self) -> list[nodes.Node]:
        commands = get_command(program).commands  # type: ignore[attr-defined]
        lines = [line for name, command in commands.items() for line in command_text(command, f'mbv3zoo {name}')]
        parent = nodes.section()
        parent.document = self.state.document
        nested_parse_with_titles(self.state, StringList(lines, source='mbv3zoo --help'), parent)
        return parent.children


def setup(app: Any) -> dict[str, bool]:
    app.add_directive('command-reference', CommandReference)
    return {'parallel_read_safe': True}
