"""COCO datasets: one JSON file of images, annotations and categories."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from faster_coco_eval import mask

from mbv3zoo.data.records import DetectionSet, LabelProblems, Record, clean_boxes
from mbv3zoo.images.read import read_size


def load_coco(annotations: str | Path, images: str | Path | None = None) -> DetectionSet:
    """Reads a COCO annotation file.

    An annotation without a `bbox` gets the bounding box of its `segmentation` (polygons or RLE), and the segmentation's
    area unless it has its own.

    Args:
        annotations: The JSON file. Category ids may be sparse; classes are the categories in order of id.
        images: Folder that the `file_name`s are relative to; by default the first of `../images/<stem>`, `../<stem>`,
            `../images` and the file's own folder that contains the first image.

    Raises:
        ValueError: The file is missing or not in COCO format, or none of its images can be read.
    """
    path = Path(annotations)
    data = _read_json(path)
    categories = sorted(data['categories'], key=lambda c: c['id'])
    index = {category['id']: i for i, category in enumerate(categories)}
    folder = _image_folder(path, data, images)
    problems = LabelProblems(path)
    by_image = defaultdict(list)
    known = {image['id'] for image in data['images']}
    for annotation in data['annotations']:
        where = f'annotation {annotation.get("id")}'
        if annotation.get('image_id') not in known:
            problems.add(where, f'image {annotation.get("image_id")} is not in the file; dropped')
        elif annotation.get('category_id') not in index:
            problems.add(where, f'category {annotation.get("category_id")} is not in the file; dropped')
        else:
            try:
                by_image[annotation['image_id']].append(_with_box(annotation))
            except ValueError as error:
                problems.add(where, f'{error}; dropped')

    records = []
    for image in data['images']:
        file = folder / image['file_name']
        try:
            size = read_size(file)[::-1]
        except ValueError as error:
            problems.add(f'image {image["id"]}', f'left out: {error}')
            continue
        own = by_image[image['id']]
        xywh = torch.tensor([a['bbox'] for a in own], dtype=torch.float32).reshape(-1, 4)
        boxes = torch.cat([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], 1)
        boxes, keep = clean_boxes(boxes, size, [f'annotation {a.get("id")}' for a in own], problems)
        labels = torch.tensor([index[a['category_id']] for a in own], dtype=torch.int64)[keep]
        areas = torch.tensor([a['area'] for a in own], dtype=torch.float32)[keep]
        crowd = torch.tensor([bool(a.get('iscrowd', 0)) for a in own], dtype=torch.bool)[keep]
        records.append(Record(file, size, boxes, labels, areas, crowd, image['id']))
    if not records:
        raise ValueError(f'{path}: none of its {len(data["images"])} pictures can be read in {folder}')
    problems.report()
    names, ids = tuple(str(c['name']) for c in categories), tuple(c['id'] for c in categories)
    return DetectionSet(records, names, tuple(problems.lines), ids)


def _with_box(annotation: dict[str, Any]) -> dict[str, Any]:
    """The annotation with `bbox` and `area`, both numbers."""
    box, segmentation = annotation.get('bbox'), annotation.get('segmentation')
    if not box and segmentation:
        box, area = _segmentation_box(segmentation)
    elif not isinstance(box, list) or len(box) != 4 or not _all_numbers(box):
        raise ValueError(f'bbox {box!r} is not [x, y, width, height]')
    else:
        area = box[2] * box[3]
    stated = annotation.get('area')
    return annotation | {'bbox': box, 'area': stated if stated and isinstance(stated, (int, float)) else area}


def _segmentation_box(segmentation: Any) -> tuple[list[float], float]:
    """[x, y, width, height] and area, in pixels, of polygons or RLE."""
    if isinstance(segmentation, dict):
        return _mask_box(segmentation)
    polygons = [segmentation] if _all_numbers(segmentation) else segmentation
    for polygon in polygons if isinstance(polygons, list) else [polygons]:
        if not isinstance(polygon, list) or not _all_numbers(polygon) or len(polygon) < 6 or len(polygon) % 2:
            raise ValueError(f'segmentation {str(segmentation)[:60]} is neither polygons nor run lengths')
    points = [np.asarray(polygon, dtype=np.float64).reshape(-1, 2) for polygon in polygons]
    low, high = np.concatenate(points).min(0), np.concatenate(points).max(0)
    return [*low.tolist(), *(high - low).tolist()], sum(map(_polygon_area, points))


def _mask_box(run_lengths: dict[str, Any]) -> tuple[list[float], float]:
    try:
        if isinstance(run_lengths['counts'], list):
            run_lengths = mask.frPyObjects(run_lengths, *run_lengths['size'])
        box, area = mask.toBbox(run_lengths).tolist(), float(mask.area(run_lengths))
    except (KeyError, TypeError, RuntimeError, ValueError) as error:
        raise ValueError(f'segmentation {str(run_lengths)[:60]} is not the run lengths of a mask') from error
    if not area:
        raise ValueError(f'segmentation {str(run_lengths)[:60]} is an empty mask')
    return box, area


def _polygon_area(points: np.ndarray) -> float:
    """Shoelace formula, points [N, 2]."""
    x, y = points.T
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2


def _all_numbers(values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(value, (int, float)) for value in values)


def _read_json(path: Path) -> dict:
    if not path.is_file():
        raise ValueError(f'{path}: no such annotation file')
    try:
        data = json.loads(path.read_text(encoding='utf-8'))
    except ValueError as error:
        raise ValueError(f'{path}: not a JSON file: {error}') from error
    missing = [k for k in ('images', 'annotations', 'categories') if not isinstance(data, dict) or k not in data]
    if missing:
        raise ValueError(f'{path}: not a COCO file; it lacks {missing}')
    for key, needed in (('images', {'id', 'file_name'}), ('annotations', set()), ('categories', {'id', 'name'})):
        rows = data[key]
        if not isinstance(rows, list) or not all(isinstance(row, dict) and needed <= row.keys() for row in rows):
            keys = f' with {sorted(needed)}' if needed else ''
            raise ValueError(f'{path}: not a COCO file; `{key}` must be a list of mappings{keys}')
        ids = [row['id'] for row in rows] if needed else []
        odd = [row_id for row_id in ids if not isinstance(row_id, int)]
        odd = odd or [row_id for row_id, times in Counter(ids).items() if times > 1]
        if odd:
            raise ValueError(f'{path}: ids of `{key}` must be unique whole numbers, given {odd[:5]}')
    if not data['images'] or not data['categories']:
        raise ValueError(f'{path}: has {len(data["images"])} images and {len(data["categories"])} categories')
    return data


def _image_folder(path: Path, data: dict, images: str | Path | None) -> Path:
    up = path.resolve().parent.parent
    places = [Path(images)] if images else [up / 'images' / path.stem, up / path.stem, up / 'images', path.parent]
    first = data['images'][0]['file_name']
    for place in places:
        if (place / first).is_file():
            return place
    if images:
        return places[0]
    raise ValueError(f'{path}: {first} is in none of {[str(p) for p in places]}; name the folder of its pictures')
