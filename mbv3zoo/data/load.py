"""One way to a data set, whatever its format."""

from __future__ import annotations

from pathlib import Path

from mbv3zoo.data.coco import load_coco
from mbv3zoo.data.records import DetectionSet
from mbv3zoo.data.yolo import load_yolo


def load_split(source: str | Path, split: str, images: str | Path | None = None) -> DetectionSet:
    """Reads one split of a data set.

    Args:
        source: A YOLO data.yaml, a folder that holds one, or a COCO .json (which is one split already).
        split: 'train', 'val', ...; not used for a COCO file.
        images: Folder of a COCO file's pictures, where they do not stand in one of the usual places.

    Raises:
        ValueError: There is no data set, or it is empty.
    """
    source = Path(source)
    if source.is_dir():
        source = source / 'data.yaml'
    if source.suffix == '.json':
        return load_coco(source, images)
    return load_yolo(source, split)
