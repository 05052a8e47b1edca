"""Reads a COCO annotation file and checks what is in it."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mbv3zoo.data.foreign import foreign_file
from mbv3zoo.data.label_values import as_id, check_class_names
from mbv3zoo.data.records import LabelProblems
from mbv3zoo.utils.json import parse_json
from mbv3zoo.utils.text import read_text, shown

# Bytes: COCO's own training set has 0.45 * 10^9, LVIS's 1.1; parsed, a file takes some ten times its size in memory.
COCO_LIMIT = 2 * 2**30
_NEEDED = {'images': ('id', 'file_name'), 'annotations': (), 'categories': ('id', 'name')}


@dataclass(frozen=True)
class CocoFile:
    """What a COCO file holds.

    Attributes:
        images: By id; each has a `file_name`.
        annotations: As they are, with the place of each for messages.
        category_ids: Ascending.
        class_names: One per category.
    """

    images: dict[int | str, dict[str, Any]]
    annotations: list[tuple[str, dict[str, Any]]]
    category_ids: tuple[int | str, ...]
    class_names: tuple[str, ...]


def read_coco(path: Path, problems: LabelProblems) -> CocoFile:
    """Reads a COCO annotation file; annotations that are none are added to `problems`.

    Raises:
        ValueError: The file is missing, not in COCO format, or has no images or categories; or an id or name of these
            is none.
    """
    data = _read_json(path)
    for key in ('images', 'categories'):
        _check_rows(path, key, data[key])
    if not isinstance(data['annotations'], list):
        raise ValueError(f'{path}: not a COCO file; `annotations` must be a list, given {shown(data["annotations"])}')
    if not data['images'] or not data['categories']:
        raise ValueError(f'{path}: has {len(data["images"])} images and {len(data["categories"])} categories')
    annotations = []
    for number, row in enumerate(data['annotations']):
        if isinstance(row, dict):
            annotations.append((f'annotation {shown(row["id"])}' if 'id' in row else f'annotations[{number}]', row))
        else:
            problems.add(f'annotations[{number}]', f'{shown(row)} is not an annotation; dropped')
    images = _by_id(path, 'images', data['images'])
    for number, image in enumerate(images.values()):
        if not isinstance(image['file_name'], str) or not image['file_name'].strip():
            raise ValueError(
                f'{path}: the file_name of images[{number}] must be a text, given {shown(image["file_name"])}'
            )
    categories = _without_placeholder(_by_id(path, 'categories', data['categories']), annotations, problems)
    names = check_class_names([_name(path, row) for row in categories.values()], path)
    return CocoFile(images, annotations, tuple(categories), names)


def _read_json(path: Path) -> dict[str, Any]:
    if not os.path.isfile(path):
        raise ValueError(f'{path}: no such annotation file')
    text = read_text(path, COCO_LIMIT, 'annotations')
    try:
        data = parse_json(text)
    except ValueError as error:
        raise ValueError(f'{path}: not a JSON file: {error}') from error
    missing = [key for key in _NEEDED if not isinstance(data, dict) or key not in data]
    if missing:
        if what := foreign_file(path):
            raise ValueError(f'{path}: {what}')
        raise ValueError(f'{path}: not a COCO file; it lacks {missing}')
    return data


def _check_rows(path: Path, key: str, rows: Any) -> None:
    if not isinstance(rows, list):
        raise ValueError(f'{path}: not a COCO file; `{key}` must be a list, given {shown(rows)}')
    for number, row in enumerate(rows):
        if not isinstance(row, dict) or any(name not in row for name in _NEEDED[key]):
            needed = ' and '.join(_NEEDED[key])
            raise ValueError(
                f'{path}: not a COCO file; {key}[{number}] must be a mapping with {needed}, given {shown(row)}'
            )


def _by_id(path: Path, key: str, rows: list[dict[str, Any]]) -> dict[Any, dict[str, Any]]:
    """Rows by id; categories in order of their ids."""
    ids = [as_id(row['id']) for row in rows]
    kind = str if isinstance(ids[0], str) else int
    odd = [shown(row['id']) for row, own in zip(rows, ids, strict=True) if not isinstance(own, kind)]
    odd = odd or [shown(own) for own, times in Counter(ids).items() if times > 1]
    if odd:
        raise ValueError(
            f'{path}: ids of `{key}` must be unique whole numbers (or each a text), given {", ".join(odd[:5])}'
        )
    found: dict[Any, dict[str, Any]] = dict(zip(ids, rows, strict=True))
    if key == 'categories':
        numbers = kind is int or all(own.isdecimal() for own in found)
        found = dict(sorted(found.items(), key=lambda item: (int(item[0]) if numbers else 0, item[0])))
    return found


def _without_placeholder(
    categories: dict[Any, dict[str, Any]], annotations: list[tuple[str, dict[str, Any]]], problems: LabelProblems
) -> dict[Any, dict[str, Any]]:
    """Leaves out Roboflow's category 0: it stands for the project, the others name it as their supercategory."""
    first, others = categories.get(0), [row for own_id, row in categories.items() if own_id != 0]
    if first is None or not others or first.get('supercategory') != 'none':
        return categories
    if any(row.get('supercategory') != first['name'] for row in others):
        return categories
    if any(as_id(row.get('category_id')) == 0 for _, row in annotations):
        return categories
    problems.add('category 0', f'left out: {shown(first["name"])} has no objects; Roboflow adds it for the project')
    return {own_id: row for own_id, row in categories.items() if own_id != 0}


def _name(path: Path, category: dict[str, Any]) -> str:
    name = category['name']
    # Digits, as the classes of street numbers are.
    if isinstance(name, str) or (isinstance(name, int) and not isinstance(name, bool)):
        return str(name)
    raise ValueError(f'{path}: the name of category {shown(category["id"])} must be a text, given {shown(name)}')
