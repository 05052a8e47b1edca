"""YAML files of settings: plain values, whose names of classes are text as it is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from mbv3zoo.utils.extent import DEEPEST, check_extent, too_much
from mbv3zoo.utils.text import one_line, read_text

# Bytes and values of a file; the parser takes some 20 microseconds for each value, and one for each letter. The most
# class names that a detector has (65,536) fit as a list. By aliases a small file can expand to a huge one.
YAML_LIMIT = 1_500_000
YAML_VALUES = 70_000
# Merged keys (`<<`) are copied, before they are counted.
_MOST_MERGED = 4 * YAML_VALUES
# No number is written in more characters, nor read: PyYAML's sum of 1:1:1... takes the square of their number.
_LONGEST_NUMBER = 400
# Longer ones cannot be printed.
_MOST_BITS = 64
# Top-level keys whose values are names: `no` is a name there, and not false.
_NAME_KEYS = ('names', 'class_names')
_TAG = 'tag:yaml.org,2002:'
_PLAIN = ('null', 'bool', 'int', 'float', 'str', 'seq', 'map')
_NUMBERS = (f'{_TAG}int', f'{_TAG}float')
_TEXT = ('timestamp', 'value')


def read_mapping(path: Path) -> dict[Any, Any]:
    """Reads a YAML file of plain values; nothing in it is evaluated.

    The items of the lists and maps `names` and `class_names` are text as it is written, such as `no`, `010` or `12:30`;
    the keys of such a map are whole numbers where they are digits. Dates are text everywhere.

    Raises:
        ValueError: The file is not YAML, is too large, or is not a mapping; or a key stands twice in a mapping.
    """
    data = parse_yaml(read_text(path, YAML_LIMIT, 'settings'), path)
    if not isinstance(data, dict):
        raise ValueError(f'{path}: expected a mapping of settings, given {type(data).__name__}')
    return data


def parse_yaml(text: str, source: str | Path) -> Any:
    """Reads YAML as `read_mapping` does, be it a mapping or another value.

    Args:
        text: The YAML.
        source: Name used in error messages.

    Raises:
        ValueError: The text is not YAML, is too large, or holds what is no plain value.
    """
    if len(text) > YAML_LIMIT:
        raise ValueError(f'{source}: has {len(text)} characters, expected at most {YAML_LIMIT} of settings')
    try:
        loader = _Loader(text)
        try:
            data = loader.get_single_data()
        finally:
            loader.dispose()
    except _NotPlain as error:
        raise ValueError(f'{source}:{_line(error)}: {error.problem}') from error
    except yaml.MarkedYAMLError as error:
        # PyYAML's 'expected a single document' goes on with 'but found another document'.
        problem = f'{error.context or ""} {error.problem}' if str(error.problem).startswith('but') else error.problem
        raise ValueError(f'{source}: not a YAML file: line {_line(error)}: {problem}') from error
    except yaml.reader.ReaderError as error:
        line, character = text.count('\n', 0, error.position) + 1, error.character
        raise ValueError(
            f'{source}: not a YAML file: line {line}: it holds the control character {character:#04x}'
        ) from error
    except RecursionError as error:
        raise ValueError(f'{source}: not a YAML file: its lists and mappings are nested too deeply') from error
    try:
        check_extent(data, YAML_VALUES)
    except ValueError as error:
        raise ValueError(f'{source}: {error}') from error
    return data


class _NotPlain(yaml.MarkedYAMLError):
    """Something that is YAML, and no plain value."""

    def __init__(self, problem: str, node: yaml.Node | yaml.Event) -> None:
        super().__init__(problem=problem, problem_mark=node.start_mark)


class _Loader(yaml.SafeLoader):
    """Lists, mappings, text, numbers, booleans and null."""

    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in rows if tag.removeprefix(_TAG) not in _TEXT]
        for first, rows in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    yaml_constructors = {
        tag: construct
        for tag, construct in yaml.SafeLoader.yaml_constructors.items()
        if tag and tag.removeprefix(_TAG) in _PLAIN
    }

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._values = self._depth = self._merged = 0

    def get_single_data(self) -> Any:
        """The document's value."""
        node = self.get_single_node()
        if not isinstance(node, yaml.MappingNode):
            return None if node is None else self.construct_document(node)
        self.flatten_mapping(node)
        # Read apart, as a node may also stand elsewhere by an alias. Of two, the file's own goes after a merged one.
        names = {key.value: value for key, value in node.value if _is_names(key)}
        node.value = [(key, value) for key, value in node.value if not _is_names(key)]
        return self.construct_document(node) | {key: self._names(value) for key, value in names.items()}

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node:
        """A node; counted while it is read, as reading is what takes time."""
        event = self.peek_event()
        self._values += 1
        if self._values > YAML_VALUES or self._depth > DEEPEST:
            raise _NotPlain(too_much(YAML_VALUES), event)
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """A mapping; a key that stands twice is an error, where PyYAML takes the last."""
        node = super().compose_mapping_node(anchor)
        seen: dict[tuple[str, str], int] = {}
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if first := seen.get((key.tag, key.value)):
                raise _NotPlain(f'the key {_shown(key)} stands twice, first in line {first}; remove one', key)
            seen[key.tag, key.value] = key.start_mark.line + 1
        return node

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Puts merged mappings in; a mapping's own keys go before those, also where it is merged itself."""
        super().flatten_mapping(node)
        last = {
            (key.tag, key.value) if isinstance(key, yaml.ScalarNode) else key: (key, item) for key, item in node.value
        }
        node.value = list(last.values())
        self._merged += len(last)
        if self._merged > _MOST_MERGED:
            raise _NotPlain('it merges too many mappings (<<)', node)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """The value of a node; PyYAML's constructors raise anything for a scalar that is not of its kind."""
        if node.tag not in self.yaml_constructors:
            raise _NotPlain(f'the tag {_kind(node)} is refused; expected plain text, numbers, lists and mappings', node)
        if node.tag in _NUMBERS and len(node.value) > _LONGEST_NUMBER:
            raise _NotPlain(f'{_shown(node)} is too large a number', node)
        try:
            value = super().construct_object(node, deep)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise _NotPlain(f'{_shown(node)} is no value of the kind {_kind(node)}', node) from error
        if isinstance(value, int) and value.bit_length() > _MOST_BITS:
            raise _NotPlain(f'{_shown(node)} is too large a number', node)
        return _joined(value) if isinstance(value, str) else value

    def _names(self, node: yaml.Node) -> Any:
        if isinstance(node, yaml.SequenceNode):
            return [self._text(item) for item in node.value]
        if not isinstance(node, yaml.MappingNode):
            # A single word is no list of names, and no truth value either.
            return None if self.construct_document(node) is None else self._text(node)
        self.flatten_mapping(node)
        names: dict[int | str, str] = {}
        for key, value in node.value:
            text = self._text(key)
            number = int(text) if text.isdecimal() and len(text) < 10 else text
            if number in names:
                raise _NotPlain(f'the key {text!r} stands twice; remove one', key)
            names[number] = self._text(value)
        return names

    def _text(self, node: yaml.Node) -> str:
        plain = isinstance(node, yaml.ScalarNode) and self.resolve(yaml.ScalarNode, node.value, (True, False))
        if not plain or node.tag not in (plain, f'{_TAG}str'):
            raise _NotPlain(f'expected the text of a name, given {_kind(node)} {_shown(node)}', node)
        return _joined(node.value)


def _joined(text: str) -> str:
    """A text with the halves of its characters joined, as JSON writes an emoji as two of them."""
    return text.encode('utf-16-le', 'surrogatepass').decode('utf-16-le', 'surrogatepass')


def _line(error: yaml.MarkedYAMLError) -> int:
    mark = error.problem_mark or error.context_mark
    return mark.line + 1 if mark else 1


def _is_names(key: yaml.Node) -> bool:
    return isinstance(key, yaml.ScalarNode) and key.value in _NAME_KEYS


def _kind(node: yaml.Node) -> str:
    return node.tag.replace(_TAG, '!!')


def _shown(node: yaml.Node) -> str:
    return repr(one_line(node.value, 40)) if isinstance(node, yaml.ScalarNode) else 'with items'
