"""Reads one annotation file of Pascal VOC."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple
from xml.parsers import expat

from mbv3zoo.data.label_values import LABELS_LIMIT
from mbv3zoo.utils.text import read_bytes

# Levels of elements; an annotation has four.
DEEPEST_XML = 20


class VocObject(NamedTuple):
    """An <object>: its line, and what its elements hold as they write it.

    Attributes:
        line: Counted from 1.
        name: Of its class; '' without.
        corners: xmin, ymin, xmax, ymax; None where one is missing.
        difficult: None where it is missing.
    """

    line: int
    name: str
    corners: tuple[str | None, str | None, str | None, str | None]
    difficult: str | None


class VocAnnotation(NamedTuple):
    """An annotation file.

    Attributes:
        objects: In their order.
        filename: That it states for its image; '' without.
        size: (width, height) that it states; None where one is missing.
        error: What is wrong with the file; '' where nothing is. `error_line` says where.
    """

    objects: tuple[VocObject, ...] = ()
    filename: str = ''
    size: tuple[str | None, str | None] = (None, None)
    error: str = ''
    error_line: int = 0


def read_xml(path: Path) -> VocAnnotation:
    """Reads an annotation file with the line numbers of its objects, which ElementTree does not give.

    What is wrong with the file is in `error`.
    """
    parser = expat.ParserCreate()
    texts: dict[str, str] = {}
    objects: list[tuple[int, dict[str, str]]] = []
    open_tags: list[str] = []
    text: list[str] = []

    def start(tag: str, attributes: dict[str, str]) -> None:
        if not open_tags and tag != 'annotation':
            raise ValueError(f'the file holds <{tag}>, not the <annotation> of Pascal VOC')
        if len(open_tags) == DEEPEST_XML:
            raise ValueError(f'its elements are nested more than {DEEPEST_XML} deep')
        open_tags.append(tag)
        text.clear()
        if open_tags == ['annotation', 'object']:
            objects.append((parser.CurrentLineNumber, {}))

    def end(tag: str) -> None:
        is_object = open_tags[1:2] == ['object']
        inner = open_tags[1 + is_object :]
        if inner:
            own = objects[-1][1] if is_object else texts
            own.setdefault('/'.join(inner), ''.join(text).strip())
        open_tags.pop()
        text.clear()

    def refuse_entity(name: str, *_: object) -> None:
        raise ValueError(f'it declares the entity {name!r}, which no annotation needs')

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = text.append
    # Entities may read other files, or expand without limit.
    parser.EntityDeclHandler = refuse_entity
    try:
        parser.Parse(read_bytes(path, LABELS_LIMIT, 'labels'), True)
    except expat.ExpatError as error:
        return VocAnnotation(error=f'broken XML: {expat.ErrorString(error.code)}', error_line=error.lineno)
    except (ValueError, LookupError) as error:
        return VocAnnotation(error=str(error), error_line=parser.CurrentLineNumber)
    size = texts.get('size/width'), texts.get('size/height')
    return VocAnnotation(tuple(_object(*found) for found in objects), texts.get('filename', ''), size)


def _object(line: int, texts: dict[str, str]) -> VocObject:
    xmin, ymin, xmax, ymax = (texts.get(f'bndbox/{side}') for side in ('xmin', 'ymin', 'xmax', 'ymax'))
    # Each name and flag once in memory, however many objects have it.
    name, difficult = sys.intern(texts.get('name', '')), texts.get('difficult')
    return VocObject(line, name, (xmin, ymin, xmax, ymax), difficult and sys.intern(difficult))
