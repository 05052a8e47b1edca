"""Links of a page to files of the checkout lead to the site's page of the file, or to the file on GitHub.

So that one page reads well on GitHub and here, README.md and the other files at the top included.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

TOP = Path(__file__).resolve().parents[2]
DOCS = TOP / 'docs'
GITHUB = 'https://github.com/mbv3zoo/mbv3zoo'
_LINK = re.compile(r'\[([^\]]*)\]\(([^)#\s]*)((?:#[^)\s]*)?)\)')
_FENCE = re.compile(r'^(```.*?^```)', re.MULTILINE | re.DOTALL)


def included_pages() -> dict[Path, str]:
    """File at the top of the checkout -> the page that includes it."""
    pages = {}
    for page in DOCS.rglob('*.md'):
        for name in re.findall(r'^```\{include} (\S+)', page.read_text(encoding='utf-8'), re.MULTILINE):
            pages[(page.parent / name).resolve()] = page.relative_to(DOCS).as_posix()
    return pages


def rewritten(text: str, folder: Path, pages: dict[Path, str], titles: bool = True) -> str:
    """A page's text with links as the site needs them.

    Args:
        text: Markdown.
        folder: Where the file of the text lies, which its links are relative to.
        pages: As from `included_pages`.
        titles: Whether a link that is called like its file gets the title of the page instead.
    """

    def one(found: re.Match[str]) -> str:
        words, link, name = found.groups()
        if not link or '://' in link or link.startswith('mailto:'):
            return found[0]
        file = Path(os.path.normpath(folder / link))
        if file in pages:
            link = f'/{pages[file]}'
        elif file.is_relative_to(DOCS) and file.is_file():
            link = f'/{file.relative_to(DOCS).as_posix()}'
        elif file.exists():
            link = f'{GITHUB}/{"tree" if file.is_dir() else "blob"}/main/{file.relative_to(TOP).as_posix()}'
        if titles and words == found[2] and link.startswith('/') and link.endswith('.md') and not name:
            words = ''
        return f'[{words}]({link}{name})'

    # Every second part is a block of code.
    parts = _FENCE.split(text)
    return ''.join(part if index % 2 else _LINK.sub(one, part) for index, part in enumerate(parts))


def _page_read(app: Any, docname: str, source: list[str]) -> None:
    source[0] = rewritten(source[0], Path(app.env.doc2path(docname)).parent, included_pages())


def _include_read(app: Any, path: Path, _parent: str, source: list[str]) -> None:
    source[0] = rewritten(source[0], (DOCS / path).resolve().parent, included_pages())


def setup(app: Any) -> dict[str, bool]:
    app.connect('source-read', _page_read)
    app.connect('include-read', _include_read)
    return {'parallel_read_safe': True}
