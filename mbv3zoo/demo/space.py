"""A page as a Space of the Hugging Face Hub: its header, and publishing it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Unpack

import yaml

from mbv3zoo import hub
from mbv3zoo.config.model import Task
from mbv3zoo.demo.model_info import WORDS, page_info
from mbv3zoo.hub.space import TAG, push_space
from mbv3zoo.licenses import check_push, hub_license, license_id
from mbv3zoo.runtimes.exported_model import ExportedModel

# With these, browsers allow threads to the page.
_ISOLATED = {
    'cross-origin-embedder-policy': 'require-corp',
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-resource-policy': 'cross-origin',
}


def space_readme(title: str, license: str, weights: str | None = None, task: Task = 'detection') -> str:
    """README.md of a static Space.

    Args:
        title: Heading of the page.
        license: Licence of the weights.
        weights: Repository of the weights, which the Space links to.
        task: Of the model.

    Example:
        >>> from mbv3zoo.demo.space import space_readme
        >>> print(space_readme('Parts', 'apache-2.0').splitlines()[1])
        title: Parts
    """
    named, name = hub_license(license)
    header: dict[str, Any] = {'title': title, 'emoji': '🔎', 'colorFrom': 'blue', 'colorTo': 'green', 'sdk': 'static'}
    header |= {'app_file': 'index.html', 'pinned': False, 'license': named}
    header |= {'license_name': name} if name else {}
    header |= {'models': [weights]} if weights else {}
    header |= {'tags': [WORDS[task].tag, TAG], 'custom_headers': _ISOLATED}
    text = yaml.safe_dump(header, sort_keys=False, allow_unicode=True)
    return f"""---
{text}---

This page {WORDS[task].does} pictures and what a webcam sees. The {WORDS[task].kind} runs in the visitor's browser;
no picture leaves it. Written by `mbv3zoo demo`. To see it on your machine, download the folder and run
`python -m http.server` in it.

The weights are under {license}, onnxruntime-web under the MIT licence (runtime/LICENSE).
"""


def publish_page(
    folder: str | Path,
    repo_id: str,
    *,
    allow_licenses: tuple[str, ...] = (),
    dry_run: bool = False,
    **options: Unpack[hub.PushOptions],
) -> str | list[hub.PushedFile]:
    """Pushes a page that `write_page` wrote as the static Space `repo_id`.

    Args:
        folder: The page.
        repo_id: 'organisation/name'.
        allow_licenses: Licences of what the weights were made from that are not to be asked about, or 'any'.
        dry_run: Do not use the network; only tell what would be pushed.
        **options: See `mbv3zoo.hub.PushOptions`.

    Returns:
        The address of the commit or pull request; with `dry_run` what would be sent.

    Raises:
        ValueError: The licences do not allow it, the Space there is somebody's, or the Hub refused.
        ConnectionError: The Hub cannot be reached, or failed to answer. Publishing again is safe.
    """
    info = page_info(Path(folder))
    record = ExportedModel.open(Path(folder) / info['file']).info.licenses
    try:
        check_push(record, license_id(info['license']), allow_licenses)
    except ValueError as error:
        raise ValueError(f'{repo_id}: the weights of the page are {error}') from error
    return push_space(folder, repo_id, dry_run=dry_run, **options)
