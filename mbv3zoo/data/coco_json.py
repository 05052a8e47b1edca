"""Reads a COCO annotation file and checks what is in it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from mbv3zoo.data.foreign import foreign_file
from mbv3zoo.data.label_values import as_id, check_class_names
from mbv3zoo.data.problems import LabelProblems
from mbv3zoo.utils.json import parse_json
from mbv3zoo.utils.text import decode_text, read_bytes, shown

# Bytes: COCO's own training set has 0.45 * 10^9, LVIS's 1.1.
COCO_LIMIT = 2 * 2**30
_NEEDED = {'images': ('id', 'file_name'), 'annotations': (), 'categories': ('id', 'name')}


class CocoImage(msgspec.Struct, gc=False):
    """An image as it is stated; anything may be in place of a number."""

    id: Any
    file_name: str
    width: Any = None
    height: Any = None


class CocoAnnotation(msgspec.Struct, gc=False):
    """An annotation as it is; anything may be in place of a number."""

    id: Any = msgspec.UNSET
    image_id: Any = None
    category_id: Any = None
    bbox: Any = None
    area: Any = None
    iscrowd: Any = None
    # Not decoded, where the file is read the fast way.
    segmentation: Any = None

    def outlines(self) -> Any:
        """Its polygons or run lengths; None without."""
        own = self.segmentation
        return (msgspec.json.decode(own) if isinstance(own, msgspec.Raw) and own else own) or None


class _RawAnnotation(CocoAnnotation, gc=False):
    segmentation: msgspec.Raw = msgspec.Raw()


class _RawFile(msgspec.Struct):
    """A file whose annotations are found, but decoded one by one: their outlines, 9 of 10 bytes, are not needed."""

    images: list[CocoImage]
    annotations: list[msgspec.Raw]
    categories: list[dict[str, Any]]


@dataclass
class CocoFile:
    """What a COCO file holds.

    Attributes:
        images: By id.
        rows: The annotations, as they are in the file or decoded.
        category_ids: Ascending.
        class_names: One per category.
    """

    images: dict[int | str, CocoImage]
    rows: Sequence[Any]
    category_ids: tuple[int | str, ...]
    class_names: tuple[str, ...]

    def annotations(self, problems: LabelProblems) -> Iterator[tuple[Any, CocoAnnotation]]:
        """The place of each annotation, for `annotation_name`, and what is in it; what is no annotation is added to
        `problems`. Can be read once: then the text of the file, most of the memory, is let go."""
        for number, row in enumerate(self.rows):
            found = _annotation(row)
            if isinstance(found, CocoAnnotation):
                yield (number,) if found.id is msgspec.UNSET else found.id, found
            else:
                problems.add(annotation_name((number,)), f'{shown(found)} is not an annotation; dropped')
        self.rows = ()


def annotation_name(place: Any) -> str:
    """What an annotation is called in messages: by its id, or where it has none by its number, given as a tuple."""
    return f'annotations[{place[0]}]' if isinstance(place, tuple) else f'annotation {shown(place)}'


def _annotation(row: Any) -> Any:
    """A row decoded; whatever it is, where it is no annotation."""
    if isinstance(row, msgspec.Raw):
        try:
            return _decode_annotation(row)
        except msgspec.MsgspecError:
            # What is no mapping, and numbers beyond all floats.
            try:
                row = parse_json(bytes(row).decode(errors='replace'))
            except ValueError as error:
                return error
    if not isinstance(row, dict):
        return row
    return CocoAnnotation(**{name: row[name] for name in CocoAnnotation.__struct_fields__ if name in row})


_decode_annotation = msgspec.json.Decoder(_RawAnnotation).decode


def read_coco(path: Path, problems: LabelProblems) -> CocoFile:
    """Reads a COCO annotation file.

    Raises:
        ValueError: The file is missing, not in COCO format, or has no images or categories; or an id or name of these
            is none.
    """
    images_given, rows, categories_given = _read(path)
    if not images_given or not categories_given:
        raise ValueError(f'{path}: has {len(images_given)} images and {len(categories_given)} categories')
    images = _by_id(path, 'images', images_given, [row.id for row in images_given])
    categories = _by_id(path, 'categories', categories_given, [row['id'] for row in categories_given])
    categories = _without_placeholder(categories, rows, problems)
    names = check_class_names([_name(path, row) for row in categories.values()], path)
    return CocoFile(images, rows, tuple(categories), names)


def _read(path: Path) -> tuple[list[CocoImage], Sequence[Any], list[dict[str, Any]]]:
    """Images, annotations and categories of a file."""
    if not os.path.isfile(path):
        raise ValueError(f'{path}: no such annotation file')
    data = read_bytes(path, COCO_LIMIT, 'annotations')
    try:
        found = msgspec.json.decode(data, type=_RawFile)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        # A tenth as fast; takes NaN too, and says what is wrong.
        return _read_slowly(path, data)
    blank = any(not image.file_name.strip() for image in found.images)
    lacking = any(name not in row for row in found.categories for name in _NEEDED['categories'])
    return _read_slowly(path, data) if blank or lacking else (found.images, found.annotations, found.categories)


def _read_slowly(path: Path, content: bytes) -> tuple[list[CocoImage], Sequence[Any], list[dict[str, Any]]]:
    try:
        data = parse_json(decode_text(content, path))
    except ValueError as error:
        if str(error).startswith(f'{path}: '):
            raise
        raise ValueError(f'{path}: not a JSON file: {error}') from error
    missing = [key for key in _NEEDED if not isinstance(data, dict) or key not in data]
    if missing:
        if what := foreign_file(path):
            raise ValueError(f'{path}: {what}')
        raise ValueError(f'{path}: not a COCO file; it lacks {missing}')
    for key in ('images', 'categories'):
        _check_rows(path, key, data[key])
    if not isinstance(data['annotations'], list):
        raise ValueError(f'{path}: not a COCO file; `annotations` must be a list, given {shown(data["annotations"])}')
    images = []
    for number, row in enumerate(data['images']):
        image = CocoImage(row['id'], row['file_name'], row.get('width'), row.get('height'))
        if not isinstance(image.file_name, str) or not image.file_name.strip():
            raise ValueError(
                f'{path}: the file_name of images[{number}] must be a text, given {shown(image.file_name)}'
            )
        images.append(image)
    return images, data['annotations'], data['categories']


def _check_rows(path: Path, key: str, rows: Any) -> None:
    if not isinstance(rows, list):
        raise ValueError(f'{path}: not a COCO file; `{key}` must be a list, given {shown(rows)}')
    for number, row in enumerate(rows):
        if not isinstance(row, dict) or any(name not in row for name in _NEEDED[key]):
            needed = ' and '.join(_NEEDED[key])
            raise ValueError(
                f'{path}: not a COCO file; {key}[{number}] must be a mapping with {needed}, given {shown(row)}'
            )


def _by_id(path: Path, key: str, rows: Sequence[Any], given: Sequence[Any]) -> dict[Any, Any]:
    """Rows by id; categories in order of their ids."""
    ids = [as_id(value) for value in given]
    kind = str if isinstance(ids[0], str) else int
    odd = [shown(value) for value, own in zip(given, ids, strict=True) if not isinstance(own, kind)]
    odd = odd or [shown(own) for own, times in Counter(ids).items() if times > 1]
    if odd:
        raise ValueError(
            f'{path}: ids of `{key}` must be unique whole numbers (or each a text), given {", ".join(odd[:5])}'
        )
    found = dict(zip(ids, rows, strict=True))
    if key == 'categories':
        numbers = kind is int or all(str(own).isdecimal() for own in found)
        found = dict(sorted(found.items(), key=lambda item: (int(item[0] or 0) if numbers else 0, item[0])))
    return found


def _without_placeholder(
    categories: dict[Any, dict[str, Any]], rows: Sequence[Any], problems: LabelProblems
) -> dict[Any, dict[str, Any]]:
    """Leaves out Roboflow's category 0: it stands for the project, the others name it as their supercategory."""
    first, others = categories.get(0), [row for own_id, row in categories.items() if own_id != 0]
    if first is None or not others or first.get('supercategory') != 'none':
        return categories
    if any(row.get('supercategory') != first['name'] for row in others):
        return categories
    if any(as_id(getattr(_annotation(row), 'category_id', None)) == 0 for row in rows):
        return categories
    problems.add('category 0', f'left out: {shown(first["name"])} has no objects; Roboflow adds it for the project')
    return {own_id: row for own_id, row in categories.items() if own_id != 0}


def _name(path: Path, category: dict[str, Any]) -> str:
    name = category['name']
    # Digits, as the classes of street numbers are.
    if isinstance(name, str) or (isinstance(name, int) and not isinstance(name, bool)):
        return str(name)
    raise ValueError(f'{path}: the name of category {shown(category["id"])} must be a text, given {shown(name)}')
