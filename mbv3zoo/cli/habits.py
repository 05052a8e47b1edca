"""Answers to what users of other programs type: what it is called here, in one sentence."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import typer

from mbv3zoo.cli.other_names import COMMANDS, INSTEAD, ONE_MORE, OURS, SAME

# As the program of YOLO takes its options: imgsz=640.
_WORD = re.compile(r'([a-z][a-z0-9_]*)=(.*)')


def check_words(
    command: Any, words: list[str], settings: Mapping[str, Any], others: Mapping[str, Any] | None = None
) -> None:
    """Ends the program where its words hold an option as another program calls it.

    Args:
        command: The command, with its options.
        words: Of the command line, after the command's name.
        settings: Those that --set takes in this command.
        others: All commands, by name: an option may be one of theirs.
    """
    options = {
        name: option
        for option in command.params
        for name in (*option.opts, *option.secondary_opts)
        if name.startswith('-')
    }
    assigned: list[str] = []
    arguments: list[str] = []
    taken = False  # whether a word is the value of the option before it
    for word in words:
        if word == '--':
            break
        name, equals, value = word.partition('=')
        if taken:
            taken = False
        elif name in options:
            option = options[name]
            taken = not equals and not getattr(option, 'is_flag', False)
        elif re.match(r'--?[a-zA-Z]', word):
            key = name.lstrip('-')
            if answer := _answer(command, key, settings) or _elsewhere(key, others or {}):
                refuse(f'{name}: {answer}')
            return  # the parser names the nearest options
        elif _WORD.fullmatch(word) and not Path(word).exists() and _known(command, name, settings):
            assigned.append(word)
        else:
            arguments.append(word)
    if assigned:
        refuse(f'{" ".join(assigned)}: {_rewritten(command, assigned, settings)}')
    if command.name in ONE_MORE and arguments[len(_arguments(command)) :]:
        refuse(f'{arguments[len(_arguments(command))]}: {ONE_MORE[command.name]}')


def answer_command(name: str, known: list[str]) -> str:
    """What to type instead of a command that does not exist."""
    if name.startswith('-'):
        return 'options come after the command, as in mbv3zoo predict MODEL SOURCE; mbv3zoo --help lists the commands'
    if name in COMMANDS:
        return COMMANDS[name]
    if near := difflib.get_close_matches(name, known, n=2):
        return f'no such command; did you mean {" or ".join(near)}?'
    if Path(name).exists() or re.search(r'[./=]', name):
        return 'a command comes first, as in mbv3zoo predict MODEL SOURCE; mbv3zoo --help lists them'
    return f'no such command; there are {", ".join(known)}'


def refuse(sentence: str) -> NoReturn:
    """Ends the program as a wrong command line does."""
    typer.echo(f'mbv3zoo: {sentence}', err=True)
    raise typer.Exit(2)


def _answer(command: Any, key: str, settings: Mapping[str, Any]) -> str | None:
    """What another program's option is called in a command, or what there is instead; None where nobody knows it."""
    for ours in _ours(command, key, settings):
        if ours.startswith('--'):
            return f'here it is called {ours}'
        if ours.isupper():
            return f'here it is the argument {ours}: {_usage(command)}'
        return f'here it is the setting --set {ours}=VALUE'
    key = key.replace('_', '-')
    return INSTEAD.get(SAME.get(key, key))


def _elsewhere(key: str, others: Mapping[str, Any]) -> str | None:
    """Which other command has an option; None where none has."""
    for name, command in others.items():
        for ours in _ours(command, key, {}):
            if ours.startswith('--'):
                return f'is an option of another command: mbv3zoo {name} {ours}'
    return None


def _ours(command: Any, key: str, settings: Mapping[str, Any]) -> list[str]:
    options = {name for option in command.params for name in option.opts if name.startswith('--')}
    arguments = {str(option.name).upper() for option in command.params if option.param_type_name == 'argument'}
    dashed, plain = key.replace('_', '-'), key.replace('-', '_')
    called = OURS.get(dashed, '').split()
    # What is an option of one command is a setting of another.
    settings_called = [name.lstrip('-').replace('-', '_') for name in called]
    candidates = [f'--{dashed}', *called, plain.upper(), plain, *settings_called]
    return [name for name in candidates if name in options | arguments or (name in settings and '--set' in options)]


def _known(command: Any, key: str, settings: Mapping[str, Any]) -> bool:
    return key == 'mode' or _answer(command, key, settings) is not None


def _rewritten(command: Any, words: list[str], settings: Mapping[str, Any]) -> str:
    """`key=value` words as this program takes them, or why one has no counterpart."""
    options = {name: option for option in command.params for name in option.opts}
    values: dict[str, str] = {}
    for word in words:
        key, _, value = word.partition('=')
        if key in ('mode', 'task'):
            continue
        ours = next(iter(_ours(command, key, settings)), None)
        if ours is None:
            return f'options are written --name value here, and of {key}: {_answer(command, key, settings)}'
        # project and name are one folder.
        values[ours] = f'{values[ours]}/{value}' if ours == '--out' in values else value
    parts = [values.pop(name, name) for name in _arguments(command)]
    for ours, value in values.items():
        if not ours.startswith('--'):
            parts.append(f'--set {ours}={value}')
        elif not getattr(options[ours], 'is_flag', False):
            parts.append(f'{ours} {value}')
        elif value.lower() in ('false', '0'):
            parts += options[ours].secondary_opts
        else:
            parts.append(ours)
    return f'here it is written {" ".join(["mbv3zoo", command.name, *parts])}'


def _arguments(command: Any) -> list[str]:
    return [str(option.name).upper() for option in command.params if option.param_type_name == 'argument']


def _usage(command: Any) -> str:
    return ' '.join(['mbv3zoo', command.name, *_arguments(command)])
