"""The documentation site builds without a warning, and each of its links leads somewhere."""

import importlib.util
import inspect
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlparse

import pytest
from typer.main import get_command

import mbv3zoo
from mbv3zoo.cli.main import app

TOP = Path(__file__).resolve().parents[1]
DOCS = TOP / 'docs'
PAGES = sorted(page.relative_to(DOCS).with_suffix('').as_posix() for page in DOCS.rglob('*.md'))


class Page(HTMLParser):
    """The links, the names that links may end in, and what a browser fetches for one page."""

    def __init__(self, file):
        super().__init__()
        self.links, self.fetched, self.names = [], [], set()
        self.feed(file.read_text(encoding='utf-8'))

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.names |= {values[name] for name in ('id', 'name') if values.get(name)}
        if tag == 'a' and 'href' in values:
            self.links.append(values['href'])
        elif tag in ('link', 'script', 'img', 'source', 'iframe'):
            # A page's own address and what the browser shows beside it are no requests.
            fetched = values.get('src') or (values.get('href') if values.get('rel') != 'canonical' else None)
            self.fetched += [fetched] if fetched else []


@pytest.fixture(scope='module')
def site(tmp_path_factory):
    if not importlib.util.find_spec('furo'):
        pytest.skip('needs the extra docs')
    folder = tmp_path_factory.mktemp('site') / 'html'
    command = [sys.executable, '-m', 'sphinx', '-W', '-n', '--keep-going', '-q', '-d', str(folder.parent / 'trees')]
    done = subprocess.run([*command, str(DOCS), str(folder)], capture_output=True, text=True, cwd=TOP)
    assert not done.returncode and not done.stderr, done.stderr
    return folder


@pytest.fixture(scope='module')
def pages(site):
    return {file: Page(file) for file in site.rglob('*.html')}


@pytest.mark.slow
def test_links_lead_to_pages_and_names_that_exist(pages):
    wrong = []
    for file, page in pages.items():
        for link in page.links:
            address, name = urldefrag(link)
            if urlparse(link).scheme:
                parts = urlparse(link)
                good = parts.scheme in ('https', 'mailto') and (parts.netloc or parts.path) and ' ' not in link
            else:
                target = (file.parent / unquote(address)).resolve() if address else file
                good = target.is_file() and (not name or target not in pages or unquote(name) in pages[target].names)
            wrong += [] if good else [(file.name, link)]
    assert wrong == [] and sum(len(page.links) for page in pages.values()) > 2000


@pytest.mark.slow
def test_a_page_fetches_nothing_from_another_host(site, pages):
    fetched = {link for page in pages.values() for link in page.fetched}
    assert fetched and [link for link in fetched if urlparse(link).scheme or link.startswith('//')] == []
    styles = ''.join(file.read_text(encoding='utf-8') for file in site.rglob('*.css'))
    assert re.findall(r'(?:url\(|@import)\s*["\']?(?:https?:)?//[^)\s]*', styles) == []


@pytest.mark.slow
def test_the_reference_has_every_public_name_and_the_public_methods_of_each(pages):
    names = {name for file, page in pages.items() if file.parent.name == 'reference' for name in page.names}
    wanted = {f'mbv3zoo.{name}' for name in mbv3zoo.__all__ if name not in ('__version__', 'backbones')}
    for owner in list(wanted):
        value = getattr(mbv3zoo, owner.removeprefix('mbv3zoo.'))
        for member in dir(value) if inspect.isclass(value) else ():
            code = getattr(value, member)
            if not member.startswith('_') and callable(code) and code.__module__.startswith('mbv3zoo.'):
                wanted.add(f'{owner}.{member}')
        wanted |= {f'{owner}.{field}' for field in getattr(value, 'model_fields', {})}
    assert len(wanted) > 80 and wanted - names == set() and 'module-mbv3zoo.backbones' in names


@pytest.mark.slow
def test_the_reference_has_every_option_of_every_command(site):
    names = Page(site / 'reference/commands.html').names
    for name, command in get_command(app).commands.items():
        assert f'mbv3zoo-{name}' in names
        options = [option for param in command.params for option in param.opts if option.startswith('--')]
        assert options and [option for option in options if f'cmdoption-mbv3zoo-{name}{option[1:]}' not in names] == []


@pytest.mark.slow
def test_language_models_get_every_page(site):
    index, everything = ((site / name).read_text(encoding='utf-8') for name in ('llms.txt', 'llms-full.txt'))
    assert set(re.findall(r'^- \[.+]\((.+)\.md\): .', index, re.MULTILINE)) == set(PAGES)
    for page in PAGES:
        text = (site / f'{page}.md').read_text(encoding='utf-8')
        assert '```{' not in text and (len(text) > 100_000 or text in everything)
        links = [link for link in re.findall(r'\]\(([^)#\s]+)', text) if '://' not in link]
        there = [(site / page).parent / link for link in links]
        assert [str(file) for file in there if file.suffix == '.md' and not file.exists()] == []
    assert 'class mbv3zoo.Detector(' in everything and '--image-size' in everything


def test_every_page_is_in_the_map_once():
    index = (DOCS / 'index.md').read_text(encoding='utf-8')
    trees = re.findall(r'^```\{toctree}\n:caption: [^\n]+\n:hidden:\n\n(.*?)^```', index, re.MULTILINE | re.DOTALL)
    entries = [re.sub(r'.*<(.*)>', r'\1', line) for tree in trees for line in tree.split('\n') if line]
    assert sorted(['index', *entries]) == PAGES
