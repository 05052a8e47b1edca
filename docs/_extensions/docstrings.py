"""What Sphinx does not know of this package's docstrings, and settings with their types, bounds and defaults."""

from __future__ import annotations

import inspect
import re
from importlib import import_module
from operator import attrgetter
from pathlib import Path
from typing import Any, get_args, get_type_hints

from docutils import nodes
from repository_links import GITHUB, TOP
from sphinx.ext.napoleon import GoogleDocstring

import mbv3zoo.detector
import mbv3zoo.export.certificate
import mbv3zoo.synth.config  # noqa: F401  for the settings in them
from mbv3zoo.config.base import Config

_ATTRIBUTE = re.compile(
    r'^(\.\. attribute:: \w+)$((?:(?!\n\.\. ).)*?)\n\n   (:type: [^\n]*)$', re.MULTILINE | re.DOTALL
)
_PAGE = re.compile(r'\bdocs/(\w+)\.md\b')
# Bases that pages show as the class that users have.
_SHOWN_AS = {'DetectorNetwork': 'Detector'}
_BOUNDS = {'gt': 'above', 'ge': 'at least', 'lt': 'below', 'le': 'at most'}


def _configs(base: type[Config] = Config) -> list[type[Config]]:
    """All classes of settings."""
    return [one for config in base.__subclasses__() for one in (config, *_configs(config))]


def facts(field: Any) -> str:
    """The bounds and the default of a setting, as the sentence that ends its description."""
    inner = [part for part in get_args(field.annotation) if part is not type(None)]
    marks = [*field.metadata, *(getattr(inner[0], '__metadata__', ()) if len(inner) == 1 else ())]
    parts = [
        f'{word} {getattr(mark, bound):g}' for mark in marks for bound, word in _BOUNDS.items() if hasattr(mark, bound)
    ]
    if not field.is_required() and len(repr(field.default)) < 100:
        parts.append(f'default ``{field.default!r}``')
    text = ', '.join(parts)
    return f'{text[0].upper()}{text[1:]}.' if text else ''


def _docstring_read(app: Any, what: str, name: str, value: Any, options: Any, lines: list[str]) -> None:
    config, setting = name.split('.')[-2:]
    for known in _configs():
        if known.__name__ == config and setting in known.model_fields:
            lines += ['', facts(known.model_fields[setting])]
    text = '\n'.join(lines).replace('** -- ', '** \N{EN DASH} ')
    # Types of attributes beside their names, and by their last name only, as in signatures.
    text = _ATTRIBUTE.sub(lambda found: f'{found[1]}\n   {_short(found[3])}{found[2]}', text)
    lines[:] = _PAGE.sub(r':doc:`/\1`', text).split('\n')


def _short(text: str) -> str:
    return re.sub(r'(?<![\w.~])((?:\w+\.)+\w+)', r'~\1', text)


def _signature_read(app: Any, what: str, name: str, value: Any, *_: Any) -> tuple[str, str] | None:
    return ('(**settings)', '') if value in _configs() else None


def _member_skipped(app: Any, what: str, name: str, value: Any, skip: bool, options: Any) -> bool | None:
    """Fields of tuples are in the docstring of their class, and what pydantic is told is no setting."""
    return True if type(value).__name__ == '_tuplegetter' or name == 'model_config' else None


def _dashes(app: Any, document: nodes.document) -> None:
    """Sphinx writes two hyphens after an error's name."""
    for text in list(document.findall(nodes.Text)):
        if text == ' -- ':
            text.parent.replace(text, nodes.Text(' \N{EN DASH} '))


def _missing(app: Any, env: Any, node: Any, content: Any) -> Any:
    """A name of this package as another module has it: the one object of this name that the reference has."""
    if node.get('refdomain') != 'py':
        return None
    first, *members = node['reftarget'].removeprefix('mbv3zoo.').split('.')[-2 if node['reftype'] == 'obj' else -1 :]
    name = '.'.join([_SHOWN_AS.get(first, first), *members])
    domain = env.domains['py']
    found = [full for full, item in domain.objects.items() if f'.{full}'.endswith(f'.{name}') and not item.aliased]
    if len(found) != 1 or not found[0].startswith('mbv3zoo') or not name[0].isupper():
        return None
    text = nodes.literal(name, name) if node['reftype'] == 'obj' else content
    return domain.resolve_xref(env, node['refdoc'], app.builder, node['reftype'], found[0], node, text)


def source_link(domain: str, info: dict[str, str]) -> str | None:
    """Where the source of an object is on GitHub."""
    try:
        value = inspect.unwrap(attrgetter(info['fullname'])(import_module(info['module'])))
        value = getattr(value, 'fget', None) or value
        file = Path(inspect.getsourcefile(value) or '').relative_to(TOP)
        lines, first = inspect.getsourcelines(value)
    except (AttributeError, TypeError, ValueError, OSError):  # a field of a class has no place of its own
        return None
    return f'{GITHUB}/blob/main/{file.as_posix()}#L{first}-L{first + len(lines) - 1}'


def setup(app: Any) -> dict[str, bool]:
    # Without what `Annotated` adds, which `facts` says in words.
    for config in _configs():
        config.__annotations__ = get_type_hints(config)
    # A colon in "Returns:", or in what is said of an attribute, does not end a type: types are in the annotations.
    GoogleDocstring._consume_returns_section = lambda self, preprocess_types=False: [  # type: ignore[method-assign]
        ('', '', self._dedent(self._consume_to_next_section()))
    ]
    GoogleDocstring._parse_attribute_docstring = lambda self: (  # type: ignore[method-assign]
        self.__class__(self._dedent(self._consume_to_end()), self._config).lines()
    )
    app.connect('autodoc-process-docstring', _docstring_read, priority=600)
    app.connect('autodoc-process-signature', _signature_read)
    app.connect('autodoc-skip-member', _member_skipped)
    app.connect('doctree-read', _dashes)
    app.connect('missing-reference', _missing)
    return {'parallel_read_safe': True}
