"""Reads one annotation file of Pascal VOC."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from mbv3zoo.data.label_values import LABELS_LIMIT
from mbv3zoo.utils.text import read_bytes

# Levels of elements; an annotation has four.
DEEPEST_XML = 20


@dataclass
class VocObject:
    """An <object>: its line, and the texts in it by path, such as 'bndbox/xmin'."""

    line: int
    texts: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.texts.get('name', '')


@dataclass
class VocAnnotation:
    """An annotation file: its objects, and the other texts in it by path, such as 'size/width'."""

    objects: list[VocObject] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)
    error: str = ''
    error_line: int = 0


def read_xml(path: Path) -> VocAnnotation:
    """Reads an annotation file with the line numbers of its objects, which ElementTree does not give.

    What is wrong with the file is in `error`.
    """
    parser = expat.ParserCreate()
    result = VocAnnotation()
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
            result.objects.append(VocObject(parser.CurrentLineNumber))

    def end(tag: str) -> None:
        is_object = open_tags[1:2] == ['object']
        inner = open_tags[1 + is_object :]
        if inner:
            texts = result.objects[-1].texts if is_object else result.texts
            texts.setdefault('/'.join(inner), ''.join(text).strip())
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
        result.error, result.error_line = f'broken XML: {expat.ErrorString(error.code)}', error.lineno
    except (ValueError, LookupError) as error:
        result.error, result.error_line = str(error), parser.CurrentLineNumber
    return result
