"""COCO datasets: one JSON file of images, annotations and categories."""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path
from typing import Any

from mbv3zoo.data.coco_images import find_images
from mbv3zoo.data.coco_json import CocoFile, read_coco
from mbv3zoo.data.coco_masks import segmentation_box
from mbv3zoo.data.label_values import as_box, as_id, check_class_names
from mbv3zoo.data.masks import MaskSet, Shapes, read_masks
from mbv3zoo.data.pixel_labels import PixelLabel, PixelLabels
from mbv3zoo.data.records import DetectionSet, LabelProblems
from mbv3zoo.images.masks import IGNORE_INDEX
from mbv3zoo.utils.sizes import MAX_PIXELS
from mbv3zoo.utils.text import shown


def load_coco(annotations: str | Path, images: str | Path | None = None, max_pixels: int = MAX_PIXELS) -> DetectionSet:
    """Reads a COCO annotation file.

    An annotation without a `bbox` gets the bounding box of its `segmentation` (polygons or RLE), and the segmentation's
    area unless it has its own. Where `width` and `height` are not those of the image, its boxes are scaled if the ratio
    is one number, or turned if the image was labelled as stored, without its EXIF orientation; else it is left out.

    Args:
        annotations: The JSON file. Ids are whole numbers, which may be sparse, or texts; classes are the categories in
            order of id. Roboflow's category 0, which stands for the project, is left out.
        images: Folder that the `file_name`s are relative to; by default the one with most of the images among
            `../images/<stem>`, `../<stem>` (also without a prefix such as `instances_`), other folders called for the
            split, `../images`, `..` and the file's own folder.
        max_pixels: Most pixels of an image, as for `mbv3zoo.load_dataset`.

    Raises:
        ValueError: The file is missing or not in COCO format, none of its images can be read, or its boxes are not
            [x, y, width, height] in pixels.
    """
    path = Path(annotations)
    problems = LabelProblems(path)
    data, files, same = _read(path, images, problems)
    labels = _labels(data, same, problems)
    reader = PixelLabels(path, problems, max_pixels=max_pixels)
    for own_id, row in data.images.items():
        if same[own_id] == own_id:
            stated = row.get('width'), row.get('height')
            reader.add(files[own_id], labels[own_id], f'image {own_id}', stated, own_id)
    records = reader.finish()
    if not records:
        place = images or os.path.commonpath([file.parent for file in files.values()])
        raise ValueError(
            f'{path}: none of its {len(files)} pictures can be read in {place}; {len(problems.lines)} problems, such '
            f'as {problems.lines[:1]}'
        )
    problems.report()
    return DetectionSet(records, data.class_names, tuple(problems.lines), data.category_ids)


def load_coco_masks(annotations: str | Path, images: str | Path | None = None, max_pixels: int = MAX_PIXELS) -> MaskSet:
    """Reads a COCO file's polygons and run lengths as masks: 0 is the background, then the categories in order of id.

    Later annotations lie over earlier ones; crowds become 255. Arguments and errors are those of `load_coco`.
    """
    path = Path(annotations)
    problems = LabelProblems(path)
    data, files, same = _read(path, images, problems)
    names, index = ['background'], dict[Any, int]()
    for own_id, name in zip(data.category_ids, data.class_names, strict=True):
        names += [name] if name.casefold() != names[0] else []
        index[own_id] = len(names) - 1 if name.casefold() != names[0] else 0
    shapes: dict[Any, list[tuple[Any, int]]] = defaultdict(list)
    for where, row in data.annotations:
        image_id, label = as_id(row.get('image_id')), index.get(as_id(row.get('category_id')))
        if image_id not in same or label is None or not row.get('segmentation'):
            problems.add(where, 'dropped: its image or category is not in the file, or it has no segmentation')
            continue
        try:
            segmentation_box(row['segmentation'])
        except ValueError as error:
            problems.add(where, f'{error}; dropped')
        else:
            shapes[same[image_id]].append((row['segmentation'], IGNORE_INDEX if row.get('iscrowd') else label))
    if data.annotations and not shapes:
        raise ValueError(
            f'{path}: none of its {len(data.annotations)} annotations has polygons or run lengths; expected masks of '
            'objects, so export them with their segmentation, or give a data set with masks'
        )
    rows = []
    for own_id, image in data.images.items():
        size: Any = as_id(image.get('height')), as_id(image.get('width'))
        if same[own_id] == own_id and all(isinstance(side, int) and side > 0 for side in size):
            rows.append((f'image {own_id}', files[own_id], Shapes(size, tuple(shapes[own_id]))))
        elif same[own_id] == own_id:
            problems.add(f'image {own_id}', 'left out: expected its height and width, which its masks are drawn in')
    return read_masks(path, rows, check_class_names(names, path), problems, max_pixels)


def _read(
    path: Path, images: str | Path | None, problems: LabelProblems
) -> tuple[CocoFile, dict[int | str, Path], dict[int | str, int | str]]:
    """What is in the file, each image's path, and its id or that of the first one of the same path."""
    data = read_coco(path, problems)
    files = find_images(path, {own_id: row['file_name'] for own_id, row in data.images.items()}, images)
    return data, files, _same_files(path, data, files, problems)


def _same_files(
    path: Path, data: CocoFile, files: dict[int | str, Path], problems: LabelProblems
) -> dict[int | str, int | str]:
    """The id of each image, or of the first one that has the same file."""
    first: dict[str, int | str] = {}
    same = {}
    for own_id, file in files.items():
        known = same[own_id] = first.setdefault(os.path.normpath(file), own_id)
        if known != own_id:
            sizes = [(data.images[each].get('width'), data.images[each].get('height')) for each in (known, own_id)]
            if sizes[0] != sizes[1]:
                raise ValueError(
                    f'{path}: images {known} and {own_id} have one file, {file}, and state different sizes; keep one'
                )
            problems.add(f'image {own_id}', f'has the file of image {known}; their annotations are joined')
    return same


def _labels(
    data: CocoFile, same: dict[int | str, int | str], problems: LabelProblems
) -> dict[int | str, list[PixelLabel]]:
    """The objects of each image; what is no object is added to `problems`."""
    index = {own_id: i for i, own_id in enumerate(data.category_ids)}
    found = defaultdict(list)
    for where, row in data.annotations:
        image_id, category_id = as_id(row.get('image_id')), as_id(row.get('category_id'))
        if image_id not in same:
            problems.add(where, f'image {shown(row.get("image_id"))} is not in the file; dropped')
        elif category_id not in index:
            problems.add(where, f'category {shown(row.get("category_id"))} is not in the file; dropped')
        else:
            try:
                found[same[image_id]].append(_label(where, row, index[category_id], data.images[same[image_id]]))
            except ValueError as error:
                problems.add(where, f'{error}; dropped')
    return found


def _label(where: str, row: dict[str, Any], label: int, image: dict[str, Any]) -> PixelLabel:
    box, segmentation, areas = row.get('bbox'), row.get('segmentation'), [row.get('area')]
    if box in (None, []) and segmentation:
        values, area = segmentation_box(segmentation)
        areas.append(area)
        if isinstance(segmentation, dict):
            # A mask states the size of its image as well.
            sides = dict(zip(('height', 'width'), segmentation['size'], strict=True))
            if not any(map(image.get, sides)):
                image.update(sides)
            elif any(image.get(side) != length for side, length in sides.items()):
                raise ValueError(f'its mask has another size, {sides}, than is stated for the image')
    else:
        values = as_box(box)
    return PixelLabel.of_xywh(where, values, label, crowd=row.get('iscrowd'), areas=areas)
