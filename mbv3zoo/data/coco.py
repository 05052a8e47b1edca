"""COCO datasets: one JSON file of images, annotations and categories."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mbv3zoo.data.coco_images import find_images
from mbv3zoo.data.coco_json import CocoAnnotation, CocoFile, CocoImage, annotation_name, read_coco
from mbv3zoo.data.coco_masks import segmentation_box
from mbv3zoo.data.detection_set import DetectionSet
from mbv3zoo.data.index import indexed
from mbv3zoo.data.label_values import as_box, as_id, check_class_names
from mbv3zoo.data.masks import MaskSet, Shapes, read_masks
from mbv3zoo.data.pixel_labels import PixelLabel, PixelLabels
from mbv3zoo.data.problems import LabelProblems
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
    data = read_coco(path, problems)
    files, same = _find(path, data, images, problems)

    def read() -> DetectionSet:
        return _labelled(path, data, images, files, same, problems, max_pixels)

    facts = ['COCO', str(path), images and str(images), max_pixels]
    return indexed(path, facts, [path], list(files.values()), read)


def _labelled(
    path: Path,
    data: CocoFile,
    images: str | Path | None,
    files: dict[int | str, str],
    same: dict[int | str, int | str],
    problems: LabelProblems,
    max_pixels: int,
) -> DetectionSet:
    reader = PixelLabels(path, problems, max_pixels=max_pixels, place=annotation_name)
    numbers = {own_id: number for number, own_id in enumerate(dict.fromkeys(same.values()))}
    # Before the images: a mask may state the size of its image.
    for own_id, label in _labels(data, same, problems):
        reader.add(numbers[own_id], label)
    for own_id in numbers:
        row = data.images[own_id]
        reader.add_image(files[own_id], f'image {own_id}', (row.width, row.height), own_id)
    records = reader.finish()
    if not records:
        place = images or os.path.commonpath([os.path.dirname(file) for file in files.values()])
        raise ValueError(
            f'{path}: none of its {len(files)} pictures can be read in {place}; {len(problems.lines)} problems, such '
            f'as {problems.lines[:1]}'
        )
    return DetectionSet(records, data.class_names, tuple(problems.lines), data.category_ids)


def load_coco_masks(annotations: str | Path, images: str | Path | None = None, max_pixels: int = MAX_PIXELS) -> MaskSet:
    """Reads a COCO file's polygons and run lengths as masks: 0 is the background, then the categories in order of id.

    Later annotations lie over earlier ones; crowds become 255. Arguments and errors are those of `load_coco`.
    """
    path = Path(annotations)
    problems = LabelProblems(path)
    data = read_coco(path, problems)
    files, same = _find(path, data, images, problems)
    names, index = ['background'], dict[Any, int]()
    for own_id, name in zip(data.category_ids, data.class_names, strict=True):
        names += [name] if name.casefold() != names[0] else []
        index[own_id] = len(names) - 1 if name.casefold() != names[0] else 0
    shapes: dict[Any, list[tuple[Any, int]]] = defaultdict(list)
    count = len(data.rows)
    for place, row in data.annotations(problems):
        image_id, label = as_id(row.image_id), index.get(as_id(row.category_id))
        outlines = row.outlines()
        if image_id not in same or label is None or not outlines:
            where = annotation_name(place)
            problems.add(where, 'dropped: its image or category is not in the file, or it has no segmentation')
            continue
        try:
            segmentation_box(outlines)
        except ValueError as error:
            problems.add(annotation_name(place), f'{error}; dropped')
        else:
            shapes[same[image_id]].append((outlines, IGNORE_INDEX if row.iscrowd else label))
    if count and not shapes:
        raise ValueError(
            f'{path}: none of its {count} annotations has polygons or run lengths; expected masks of '
            'objects, so export them with their segmentation, or give a data set with masks'
        )
    rows = []
    for own_id, image in data.images.items():
        size: Any = as_id(image.height), as_id(image.width)
        if same[own_id] == own_id and all(isinstance(side, int) and side > 0 for side in size):
            rows.append((f'image {own_id}', Path(files[own_id]), Shapes(size, tuple(shapes[own_id]))))
        elif same[own_id] == own_id:
            problems.add(f'image {own_id}', 'left out: expected its height and width, which its masks are drawn in')
    return read_masks(path, rows, check_class_names(names, path), problems, max_pixels)


def _find(
    path: Path, data: CocoFile, images: str | Path | None, problems: LabelProblems
) -> tuple[dict[int | str, str], dict[int | str, int | str]]:
    """Each image's path, and its id or that of the first one of the same path."""
    files = find_images(path, {own_id: row.file_name for own_id, row in data.images.items()}, images)
    return files, _same_files(path, data, files, problems)


def _same_files(
    path: Path, data: CocoFile, files: dict[int | str, str], problems: LabelProblems
) -> dict[int | str, int | str]:
    """The id of each image, or of the first one that has the same file."""
    first: dict[str, int | str] = {}
    same = {}
    for own_id, file in files.items():
        known = same[own_id] = first.setdefault(os.path.normpath(file), own_id)
        if known != own_id:
            sizes = [(data.images[each].width, data.images[each].height) for each in (known, own_id)]
            if sizes[0] != sizes[1]:
                raise ValueError(
                    f'{path}: images {known} and {own_id} have one file, {file}, and state different sizes; keep one'
                )
            problems.add(f'image {own_id}', f'has the file of image {known}; their annotations are joined')
    return same


def _labels(
    data: CocoFile, same: dict[int | str, int | str], problems: LabelProblems
) -> Iterator[tuple[int | str, PixelLabel]]:
    """Each object, and the id of its image; what is no object is added to `problems`."""
    index = {own_id: i for i, own_id in enumerate(data.category_ids)}
    for place, row in data.annotations(problems):
        image_id, category_id = as_id(row.image_id), as_id(row.category_id)
        if image_id not in same:
            problems.add(annotation_name(place), f'image {shown(row.image_id)} is not in the file; dropped')
        elif category_id not in index:
            problems.add(annotation_name(place), f'category {shown(row.category_id)} is not in the file; dropped')
        else:
            try:
                label = _label(place, row, index[category_id], data.images[same[image_id]])
            except ValueError as error:
                problems.add(annotation_name(place), f'{error}; dropped')
            else:
                yield same[image_id], label


def _label(place: Any, row: CocoAnnotation, label: int, image: CocoImage) -> PixelLabel:
    areas = [row.area]
    if row.bbox in (None, []) and (outlines := row.outlines()):
        box, area = segmentation_box(outlines)
        areas.append(area)
        if isinstance(outlines, dict):
            # A mask states the size of its image as well.
            height, width = outlines['size']
            if not image.height and not image.width:
                image.height, image.width = height, width
            elif (image.height, image.width) != (height, width):
                sides = {'height': height, 'width': width}
                raise ValueError(f'its mask has another size, {sides}, than is stated for the image')
    else:
        box = as_box(row.bbox)
    return PixelLabel(place, box, label, row.iscrowd, areas)
