"""Writes the Gradio app as the files of a Hugging Face Space."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, Unpack

from mbv3zoo.demo.model_info import WORDS, shown_name
from mbv3zoo.hub import PushOptions
from mbv3zoo.hub.space import push_space
from mbv3zoo.licenses import check_push, hub_license, weights_license
from mbv3zoo.loading import load
from mbv3zoo.prediction.engine import as_engine, task_of
from mbv3zoo.runtimes.parts import parts
from mbv3zoo.runtimes.table import find_format
from mbv3zoo.utils.atomic import staged
from mbv3zoo.utils.folders import claimed_folder, locked_folder
from mbv3zoo.utils.packages import installed_version
from mbv3zoo.utils.text import one_line
from mbv3zoo.version import __version__
from mbv3zoo.zoo.resolve import copy_saved

# Where mbv3zoo is installed from, as in pyproject.toml.
SOURCES = 'https://github.com/mbv3zoo/mbv3zoo'
# Of the Space, unless another Gradio is installed here: what the app was tested with.
GRADIO, PYTHON = '6.31.0', '3.11'

_APP = '''\
"""{task} in a Gradio app, as `mbv3zoo demo --gradio` wrote it."""

from pathlib import Path

from mbv3zoo.demo.gradio_app import build_app, launch

# A packaged model, a repository 'organisation/name' on the Hub, or the path of one beside this file.
MODEL = {model}

demo = build_app(MODEL, title={title!r})

if __name__ == '__main__':
    launch(demo)
'''
_REQUIREMENTS = """\
# Without a GPU, PyTorch's CPU build is enough, and far smaller: its index is on pytorch.org ("Compute platform: CPU");
# add it here as a line that begins with --extra-index-url.
{mbv3zoo}
"""
_README = """\
---
title: {title}
emoji: 🔎
colorFrom: blue
colorTo: green
sdk: gradio
sdk_version: {gradio}
python_version: '{python}'
app_file: app.py
license: {license}
{license_name}tags:
- {tag}
- mbv3zoo
---

# {heading}

This app {does} pictures, a webcam's frames and videos, with [mbv3zoo]({sources}). Run it anywhere:

```
pip install -r requirements.txt
python app.py
```

The weights are under {weights}.
"""


def write_app(model: str | Path, folder: str | Path, *, title: str | None = None, overwrite: bool = False) -> Path:
    """Writes app.py, requirements.txt and README.md: a Gradio Space, which also runs anywhere else.

    A detector of this disk is copied beside them; one with a name or on the Hub is loaded from there.

    Args:
        model: As for `mbv3zoo.load`.
        folder: New or empty, or with `overwrite` one that this function wrote before.
        title: Heading of the page, and the Space's title; names the model by default.
        overwrite: Replace an app that is there; other files in its folder stay.

    Returns:
        The folder.

    Raises:
        ValueError: There is no such detector, or the folder is in use.

    Example:
        >>> folder = write_app('mbv3_yolo_small.synth', 'space')
        >>> sorted(path.name for path in folder.iterdir())
        ['README.md', 'app.py', 'requirements.txt']
    """
    folder = Path(folder)
    again = overwrite and is_app(folder)
    with locked_folder(folder) if again else claimed_folder(folder):
        name = shown_name(model)
        # What is published works.
        engine = as_engine(load(model))
        weights = weights_license(engine.info.licenses)  # type: ignore[attr-defined]
        words = WORDS[task_of(engine)]
        title = one_line(title or f'{name}: {words.name}', 200)
        license, license_name = hub_license(weights)
        texts = {
            'README.md': _README.format(
                title=json.dumps(title, ensure_ascii=False),
                heading=title,
                tag=words.tag,
                does=words.does,
                gradio=installed_version('gradio') or GRADIO,
                python=PYTHON,
                sources=SOURCES,
                weights=weights,
                license=license,
                license_name=f'license_name: {json.dumps(license_name)}\n' if license_name else '',
            ),
            'requirements.txt': _REQUIREMENTS.format(mbv3zoo=_requirement(model)),
        }
        with staged(folder, 'app.py') as files:
            texts['app.py'] = _APP.format(
                model=_copied(model, files / 'model', name), title=title, task=words.name.capitalize()
            )
            for file, text in texts.items():
                (files / file).write_text(text, encoding='utf-8', newline='\n')
    return folder


def publish_app(
    model: str | Path,
    folder: str | Path,
    repo_id: str,
    *,
    allow_licenses: Iterable[str] = (),
    **options: Unpack[PushOptions],
) -> str:
    """Pushes what `write_app` wrote as the Gradio Space `repo_id`.

    Args:
        model: The detector that it was written for; the licences of one of this disk, which is pushed too, are checked.
        folder: The app.
        repo_id: 'organisation/name'.
        allow_licenses: Licences of what the weights were made from that are not to be asked about, or 'any'.
        **options: See `mbv3zoo.hub.PushOptions`.

    Returns:
        The address of the commit or pull request.

    Raises:
        ValueError: The licences do not allow it, the Space there is somebody's, or the Hub refused.
        ConnectionError: The Hub cannot be reached, or failed to answer. Publishing again is safe.
    """
    if Path(model).exists():
        opened: Any = load(model)
        record: Any = as_engine(opened).info
        try:
            check_push(record.licenses, weights_license(record.licenses), allow_licenses)
        except ValueError as error:
            raise ValueError(f'{repo_id}: the weights of the app are {error}') from error
    pushed = push_space(folder, repo_id, **options)
    assert isinstance(pushed, str)  # not a dry run
    return pushed


def is_app(folder: Path) -> bool:
    """Whether a folder holds an app that `write_app` wrote."""
    try:
        return _APP.partition('\n')[0].removeprefix('"""{task}') in (folder / 'app.py').read_text(encoding='utf-8')
    except (OSError, ValueError):
        return False


def _copied(model: str | Path, folder: Path, name: str) -> str:
    """The detector as app.py names it, copied where it is of this disk."""
    if not Path(model).exists():
        return repr(str(model))
    if row := find_format(model):
        folder.mkdir()
        for end, part in parts(model).items():
            copy = shutil.copytree if part.is_dir() else shutil.copyfile
            copy(part, folder / (name.removesuffix(row.suffix) + end))
    else:
        copy_saved(model, folder / name)
    return f"Path(__file__).parent / 'model' / {name!r}"


def _requirement(model: str | Path) -> str:
    """mbv3zoo of this version, with what the app needs."""
    extras = ['demo', 'video', *(['export'] if find_format(model) else [])]
    return f'mbv3zoo[{",".join(extras)}] @ git+{SOURCES}@{_revision()}'


def _revision() -> str:
    """The commit that mbv3zoo was installed from, else the tag of its version."""
    try:
        known = json.loads(distribution('mbv3zoo').read_text('direct_url.json') or '{}')
    except (PackageNotFoundError, ValueError):
        known = {}
    return known.get('vcs_info', {}).get('commit_id') or f'v{__version__}'
