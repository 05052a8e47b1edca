"""Runs the commands of three first days with mbv3zoo, and writes what they print into docs/first_days.md.

    python tools/first_days.py            # writes the page
    python tools/first_days.py --check    # writes nothing; fails where an output changed in kind

An output has changed in kind where a line has other words than on the page. Numbers may differ, and how often a line is
repeated: another machine rounds otherwise, and finds other objects.
"""

from __future__ import annotations

import argparse
import difflib
import os
import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from first_days_commands import DAYS, INTRODUCTION, Day

TOP = Path(__file__).resolve().parent.parent
PAGE = TOP / 'docs' / 'first_days.md'
COLUMNS = 100


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--check', action='store_true', help='compare with the page, and write nothing')
    parser.add_argument('--day', type=int, action='append', choices=range(1, len(DAYS) + 1), help='run this one only')
    given = parser.parse_args(arguments)
    days = [day for number, day in enumerate(DAYS, 1) if number in (given.day or range(1, len(DAYS) + 1))]
    sections = {day.title: section(day) for day in days}
    if not given.check:
        kept = read_sections(PAGE.read_text()) if PAGE.exists() else {}
        parts = [(kept | sections)[day.title] for day in DAYS if day.title in kept | sections]
        PAGE.write_text('\n\n'.join([INTRODUCTION, *parts]) + '\n')
        return 0
    on_page = read_sections(PAGE.read_text())
    changed = [line for title, text in sections.items() for line in changes(on_page.get(title, ''), text)]
    print('\n'.join(changed or [f'{PAGE.name} shows what is printed']))
    return 1 if changed else 0


def section(day: Day) -> str:
    """The text of a day: its steps with what their commands print, run in a new folder."""
    with tempfile.TemporaryDirectory() as folder:
        if day.brings:
            run(f'{sys.executable} {TOP / "tests/helpers/first_day_files.py"} {day.brings} .', folder)
        lines = [f'## {day.title}', '', day.introduction]
        for step in day.steps:
            output = ''.join(f'$ {command}\n{run(command, folder)}' for command in step.commands)
            lines += ['', step.text, '', f'```console\n{output}```']
    return '\n'.join(lines)


def run(command: str, folder: str) -> str:
    """What a command prints, both streams together; it must succeed.

    Raises:
        RuntimeError: It failed; the message has what it printed.
    """
    environment = os.environ | {'COLUMNS': str(COLUMNS), 'PYTHONPATH': str(TOP), 'HF_HUB_OFFLINE': '1'}
    # With a number of threads, none is sought and told.
    environment.setdefault('OMP_NUM_THREADS', str(os.cpu_count() or 1))
    # `mbv3zoo` is the checkout's, whatever is installed.
    script = f'set -o pipefail\nmbv3zoo() {{ "{sys.executable}" -m mbv3zoo "$@"; }}\n'
    script += f'python() {{ "{sys.executable}" "$@"; }}\n{command}'
    done = subprocess.run(
        ['bash', '-c', script], cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode:
        raise RuntimeError(f'$ {command}\n{done.stdout}\nended with status {done.returncode}')
    shown = done.stdout.replace(str(Path(folder).resolve()), '/home/me/first_day')
    return shown.replace(platform.platform(), platform.system())


def read_sections(page: str) -> dict[str, str]:
    """Title -> text of each day on a page."""
    return {
        text.splitlines()[0].removeprefix('## '): text.strip() for text in re.split(r'^(?=## )', page, flags=re.M)[1:]
    }


def changes(old: str, new: str) -> list[str]:
    """Lines of a day that are of another kind than on the page, as a difference; empty where none is."""
    before, after = list(kinds(old)), list(kinds(new))
    return list(difflib.unified_diff(before, after, 'on the page', 'printed', lineterm='', n=1))


def kinds(text: str) -> Iterator[str]:
    """The kind of each line, without the numbers in it; lines of one kind in a row are one.

    Progress is left out: it is told once a minute, which a faster machine does not reach.
    """
    lines = [kind for kind in map(_kind, text.splitlines()) if kind and not re.match(r'INFO .*: # of #.* left', kind)]
    return (kind for kind, _ in groupby(lines))


def _kind(line: str) -> str:
    line = re.sub(r'\d+(\.\d+)*(e[+-]?\d+)?', '#', line.strip())
    line = re.sub(r'#(:#)+', '#', line)  # a time
    line = re.sub(r'^(CPU|system|versions)\b.*', r'\1', line)
    # What is found in an image: '3 mug, 1 pen', or 'nothing found'.
    line = re.sub(r'(: )(# [\w ]+(, # [\w ]+)*|nothing found)$', r'\1...', line)
    line = re.sub(r'-(?=\s|$)', '#', line)  # a figure that is not defined
    return re.sub(r'[-=]{2,}', '--', re.sub(r'\s+', ' ', line))


if __name__ == '__main__':
    sys.exit(main())
