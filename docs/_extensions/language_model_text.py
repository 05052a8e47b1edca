"""llms.txt, with a link to the text of every page, and llms-full.txt, with all of them in one file.

Pages that are written by hand are given as they are; those that docstrings are put into, as Sphinx writes text.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from docutils import nodes
from repository_links import DOCS, included_pages, rewritten
from sphinx.addnodes import toctree
from sphinx.builders.text import TextBuilder
from sphinx.writers.text import TextTranslator

SUMMARY = """\
# mbv3zoo {version}

> Any timm backbone as a small, fast object detector: MobileNetV3 in timm's registry, the YOLOv5 neck and head,
> training, export with certificates, weights on the Hugging Face Hub. A Python package and a command line, Apache-2.0.
"""
# Longer pages are tables to look things up in; llms-full.txt says where they are.
_LONGEST = 100_000
_TOCTREE = re.compile(r'^```\{toctree}.*?^```\n*', re.MULTILINE | re.DOTALL)


def page_text(app: Any, page: str) -> str:
    """A page as text, with links that work from where it lies in the site."""
    file, pages = DOCS / f'{page}.md', included_pages()
    own = {path: place for path, place in pages.items() if place == f'{page}.md'}
    file = next(iter(own), file)
    text = file.read_text(encoding='utf-8')
    if '```{eval-rst}' in text:
        builder = TextBuilder(app, app.env)
        builder.init()
        document = app.env.get_and_resolve_doctree(page, builder, tags=app.tags)
        translator = TextTranslator(document, builder)
        document.walkabout(translator)
        return str(translator.body)
    text = rewritten(_TOCTREE.sub('', text), file.parent, pages, titles=False)
    return text.replace('](/', '](' + '../' * page.count('/')).strip() + '\n'


def _first_sentence(document: nodes.document) -> str:
    text = next((paragraph.astext() for paragraph in document.findall(nodes.paragraph)), '')
    return re.split(r'(?<=[.:])\s', ' '.join(text.split()), maxsplit=1)[0].rstrip(':')


def _build_finished(app: Any, error: Exception | None) -> None:
    if error or app.builder.name != 'html':
        return
    folder = Path(app.outdir)
    summary = SUMMARY.format(version=app.config.version)
    index, everything = [summary, '\nAll pages in one file: [llms-full.txt](llms-full.txt)\n'], [summary]
    trees = [('Home', [(None, 'index')])]
    trees += [(tree['caption'], tree['entries']) for tree in app.env.get_doctree('index').findall(toctree)]
    for caption, pages in trees:
        index.append(f'\n## {caption}\n\n')
        for title, page in pages:
            text = page_text(app, page)
            (folder / f'{page}.md').write_text(text, encoding='utf-8')
            title = title or app.env.titles[page].astext()
            index.append(f'- [{title}]({page}.md): {_first_sentence(app.env.get_doctree(page))}\n')
            everything.append(text if len(text) < _LONGEST else f'# {title}\n\nA long table: {page}.md\n')
    (folder / 'llms.txt').write_text(''.join(index), encoding='utf-8')
    (folder / 'llms-full.txt').write_text('\n---\n\n'.join(everything), encoding='utf-8')


def setup(app: Any) -> dict[str, bool]:
    app.connect('build-finished', _build_finished)
    return {'parallel_read_safe': True}
