"""Datasets of the Hugging Face `datasets` library, from the Hub or a local folder."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mbv3zoo.data.detection_set import DetectionSet, find_split
from mbv3zoo.data.downloads import load_checked
from mbv3zoo.data.hub_images import MASK_COLUMNS, row_images
from mbv3zoo.data.label_values import as_box, as_id, check_class_names
from mbv3zoo.data.masks import MaskSet, read_masks
from mbv3zoo.data.pixel_labels import PixelLabel, PixelLabels
from mbv3zoo.data.problems import LabelProblems
from mbv3zoo.utils.packages import require
from mbv3zoo.utils.sizes import MAX_PIXELS
from mbv3zoo.utils.text import shown

PREFIX = 'hub:'

# Names of columns in use; the first that exists is taken.
_OBJECTS = ('objects', 'annotations', 'object')
_BOX = ('bbox', 'bboxes')
_CATEGORY = ('category', 'categories', 'category_id', 'category_ids', 'label', 'labels', 'class_label', 'class')


def check_installed(*sources: str | Path | None) -> None:
    """Raises ImportError, with what to install, where a source is one of `datasets` and that is missing."""
    for source in sources:
        if str(source).startswith(PREFIX):
            require(str(source), 'datasets')


def load_hub_dataset(source: str, split: str, max_pixels: int = MAX_PIXELS) -> DetectionSet:
    """Reads one split of a Hugging Face dataset in the usual object detection layout.

    A row has an `image` and `objects` (a mapping of lists, or a list of mappings) with `bbox` (COCO's
    [x, y, width, height] in pixels), `category` and, optionally, `area`, `iscrowd` and `id`. Where there are columns
    `width` and `height`, boxes are placed as `mbv3zoo.data.coco.load_coco` says. The classes are the names
    of the category's ClassLabel; without one, the distinct categories of all splits, sorted.

    Images embedded in the rows stay there (`mbv3zoo.images.embedded`), and image files stay in place.

    Args:
        source: 'hub:org/name', 'hub:org/name@revision', 'hub:org/name:configuration@revision', or 'hub:folder' for a
            local folder that `datasets` can load.
        split: 'train', 'val' (also finds 'validation', 'valid' and 'dev'), ...
        max_pixels: Most pixels of an image, as for `mbv3zoo.load_dataset`.

    Raises:
        ValueError: The dataset or split does not exist, or it has another layout.
        ImportError: `datasets` is not installed.
        ConnectionError: The Hub cannot be reached, or returned an error.
    """
    splits, key = _load_split(source, split)
    data = splits[key]
    layout = _Layout.of(data.features, source)
    names, index = _classes(splits, layout, source)
    problems = LabelProblems(source)
    reader = PixelLabels(source, problems, max_pixels=max_pixels)
    rows = zip(row_images(data, layout.image), _stated_sizes(data), _objects(data, layout), strict=True)
    for row, (picture, stated, objects) in enumerate(rows):
        where = f'{key} row {row}'
        if picture is None:
            problems.add(where, 'left out: it has no picture')
        else:
            image = reader.add_image(picture, where, stated)
            for label in _labels(objects, layout, index, where, problems):
                reader.add(image, label)
    records = reader.finish()
    if not records:
        raise ValueError(
            f'{source}: split {key!r} has no readable picture among its {len(data)} rows, {problems.lines[:1]}'
        )
    problems.report()
    return DetectionSet(records, names, tuple(problems.lines))


def load_hub_masks(source: str, split: str, max_pixels: int = MAX_PIXELS) -> MaskSet:
    """Reads one split of a Hugging Face dataset of images and masks; arguments and errors are `load_hub_dataset`'s.

    A row has a column of images ('image') and one of masks ('mask', 'label', 'annotation', ...). The classes are
    numbers, up to the highest value in the split.
    """
    splits, key = _load_split(source, split)
    import datasets

    data = splits[key]
    columns = [name for name, feature in data.features.items() if isinstance(feature, datasets.Image)]
    mask = next((name for name in MASK_COLUMNS if name in columns), None)
    image = next((name for name in ('image', *columns) if name in columns and name != mask), None)
    if mask is None or image is None:
        raise ValueError(
            f'{source}: expected a column of pictures and one of masks, called {" or ".join(MASK_COLUMNS)}; its '
            f'columns of pictures are {columns}'
        )
    problems, rows = LabelProblems(source), []
    for row, (picture, labels) in enumerate(zip(row_images(data, image), row_images(data, mask), strict=True)):
        if picture is None or labels is None:
            problems.add(f'{key} row {row}', 'left out: it has no picture or no mask')
        else:
            rows.append((f'{key} row {row}', picture, labels))
    return read_masks(source, rows, (), problems, max_pixels)


def hub_splits(source: str) -> tuple[str, ...]:
    """The splits of a dataset; arguments and errors are those of `load_hub_dataset`."""
    return tuple(_load(source))


@dataclass(frozen=True)
class _Layout:
    """The names of the columns, and the class names if the dataset has them."""

    image: str
    objects: str
    box: str
    category: str
    names: tuple[str, ...] | None

    @classmethod
    def of(cls, features: Any, source: str) -> _Layout:
        import datasets

        images = [name for name, feature in features.items() if isinstance(feature, datasets.Image)]
        column = next((name for name in _OBJECTS if name in features), None)
        if not images or column is None:
            found = {name: type(feature).__name__ for name, feature in features.items()}
            raise ValueError(f'{source}: expected an `image` column of pictures and an `objects` column, found {found}')
        image = 'image' if 'image' in images else images[0]
        # A mapping of lists, or a list of mappings.
        objects = features[column]
        inner = objects if isinstance(objects, dict) else getattr(objects, 'feature', None)
        inner = inner if isinstance(inner, dict) else {}
        box = next((name for name in _BOX if name in inner), None)
        category = next((name for name in _CATEGORY if name in inner), None)
        if box is None or category is None:
            raise ValueError(f'{source}: expected `bbox` and `category` in `{column}`, found {list(inner)}')
        kind = getattr(inner[category], 'feature', None) if isinstance(objects, dict) else inner[category]
        if not isinstance(kind, (datasets.ClassLabel, datasets.Value)):
            raise ValueError(f'{source}: expected one class an object in `{category}`, found {inner[category]}')
        names = tuple(kind.names) if isinstance(kind, datasets.ClassLabel) else None
        return cls(image, column, box, category, names)


def _load_split(source: str, split: str) -> tuple[dict[str, Any], str]:
    """All splits by name, and the name that the wanted one has."""
    splits = _load(source)
    key = find_split(split, splits)
    if key is None:
        raise ValueError(f'{source}: has no split {split!r}; it has {list(splits)}')
    return splits, key


def _load(source: str) -> dict[str, Any]:
    """All splits by name."""
    check_installed(source)
    import datasets

    name = source.removeprefix(PREFIX)
    folder = Path(name).expanduser()
    options = {}
    if name and os.path.isdir(folder):
        name = str(folder)
    else:
        name, _, revision = name.partition('@')
        name, _, configuration = name.partition(':')
        if not name or name.startswith(('.', '/', '~')):
            raise ValueError(f"{source}: no such folder; expected 'hub:org/name' or 'hub:' and an existing folder")
        options = {'name': configuration or None, 'revision': revision or None}
    try:
        if os.path.isfile(folder / 'dataset_dict.json'):
            return dict(datasets.load_from_disk(name))
        return load_checked(name, options) if options else dict(datasets.load_dataset(name))
    except ConnectionError as error:
        raise ConnectionError(f'{source}: cannot reach the Hub, and the data set is not cached: {error}') from error
    # It raises whatever its readers (Arrow, JSON, PIL, ...) and the Hub's client raise.
    except Exception as error:
        failed_reading = isinstance(error, datasets.exceptions.DatasetGenerationError)
        reason = error.__cause__ if failed_reading and error.__cause__ else error
        raise ValueError(
            f'{source}: cannot be loaded as a Hugging Face data set: {type(reason).__name__}: {reason}'
        ) from error


def _objects(data: Any, layout: _Layout) -> Iterator[list[dict[str, Any]] | None]:
    """The objects of each row; None if the lists of a row differ in length."""
    for row in data.select_columns([layout.objects]):
        objects = row[layout.objects] or []
        if isinstance(objects, dict):
            columns = (layout.box, layout.category, 'area', 'iscrowd', 'id')
            lists = {name: objects[name] for name in columns if isinstance(objects.get(name), list)}
            try:
                objects = [dict(zip(lists, values, strict=True)) for values in zip(*lists.values(), strict=True)]
            except ValueError:
                objects = None
        yield objects


def _classes(splits: dict[str, Any], layout: _Layout, source: str) -> tuple[tuple[str, ...], dict[Any, int]]:
    """The class names, and category in the rows -> class index."""
    if layout.names is not None:
        return check_class_names(layout.names, source), {i: i for i in range(len(layout.names))}
    # Of all splits, so that a class has the same index in each, also if one of them lacks it.
    labelled = [rows for rows in splits.values() if layout.objects in rows.column_names]
    each_row = [objects for rows in labelled for objects in _objects(rows, layout)]
    found: set[Any] = {each.get(layout.category) for objects in each_row for each in objects or [] if each} - {None}
    if not found and (unequal := each_row.count(None)):
        raise ValueError(
            f'{source}: the lists in `{layout.objects}` differ in length in {unequal} of {len(each_row)} rows, and the '
            f'others have no object; expected a `{layout.box}` and a `{layout.category}` for each'
        )
    if not found or not all(as_id(category) is category for category in found):
        raise ValueError(
            f'{source}: `{layout.category}` must hold the names or numbers of classes, found {list(found)[:5]}'
        )
    categories = sorted(found)
    return check_class_names([*map(str, categories)], source), {category: i for i, category in enumerate(categories)}


def _labels(
    objects: list[Any] | None, layout: _Layout, index: dict[Any, int], where: str, problems: LabelProblems
) -> list[PixelLabel]:
    """The objects of a row; what is no object is added to `problems`."""
    if objects is None:
        problems.add(where, f'the lists in `{layout.objects}` differ in length; its objects dropped')
    labels = []
    for number, found in enumerate(objects or []):
        found = found or {}
        own_id = found.get('id')
        place = f'{where}, object {number}' + ('' if own_id is None else f' (id {shown(own_id)})')
        category = found.get(layout.category)
        try:
            box = as_box(found.get(layout.box), layout.box)
        except ValueError as error:
            problems.add(place, f'{error}; dropped')
            continue
        if category not in index:
            problems.add(place, f'{layout.category} {shown(category)} is not one of {list(index)[:20]}; dropped')
            continue
        labels.append(PixelLabel(place, box, index[category], found.get('iscrowd'), [found.get('area')]))
    return labels


def _stated_sizes(data: Any) -> Iterator[tuple[Any, Any]]:
    """(width, height) in the columns of these names; None where there are none."""
    names = [name for name in ('width', 'height') if name in data.column_names]
    for row in data.select_columns(names) if names else itertools.repeat({}, len(data)):
        yield row.get('width'), row.get('height')
