"""A labelled dataset in COCO's format."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from mbv3zoo.data.detection_set import DetectionSet


def to_coco(
    data: DetectionSet,
    image_ids: Sequence[int | str] | None = None,
    category_ids: Sequence[int | str] | None = None,
    areas: Sequence[Tensor] | None = None,
) -> dict[str, Any]:
    """A split as a COCO file has it, images by their absolute paths.

    Args:
        data: The split.
        image_ids: Id of each image; by default its own.
        category_ids: Id of each class; by default its own.
        areas: Of the boxes of each image, [N] in square pixels; by default the annotations' own.

    Returns:
        What `mbv3zoo.load_dataset` reads as this split, once it is written as JSON.
    """
    image_ids = [record.image_id for record in data.records] if image_ids is None else image_ids
    category_ids = data.category_ids if category_ids is None else category_ids
    areas = [record.areas for record in data.records] if areas is None else areas
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for record, image_id, own_areas in zip(data.records, image_ids, areas, strict=True):
        height, width = record.size
        images.append({'id': image_id, 'file_name': os.path.abspath(record.path), 'height': height, 'width': width})
        rows = (record.boxes.tolist(), record.labels.tolist(), own_areas.tolist(), record.iscrowd.tolist())
        for (x1, y1, x2, y2), label, area, crowd in zip(*rows, strict=True):
            annotations.append(
                {
                    'id': len(annotations) + 1,
                    'image_id': image_id,
                    'category_id': category_ids[label],
                    'bbox': [x1, y1, x2 - x1, y2 - y1],
                    'area': area,
                    'iscrowd': int(crowd),
                }
            )
    categories = [{'id': own, 'name': name} for own, name in zip(category_ids, data.class_names, strict=True)]
    return {'info': {}, 'images': images, 'annotations': annotations, 'categories': categories}
