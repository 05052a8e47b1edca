"""Detections as Label Studio's pre-annotations: tasks to import, and the labelling config that they fit."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from os.path import abspath, splitdrive
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

from mbv3zoo.detections.table import Table
from mbv3zoo.images.colours import class_colour

# Names in the labelling config: of its <RectangleLabels>, and of its <Image>, which is also the field of a task.
_LABEL, _IMAGE = 'label', 'image'


def local_address(path: str, root: str | PathLike | None = None) -> str:
    """The address by which Label Studio serves a file of its own machine.

    Args:
        path: The image file.
        root: Label Studio's LOCAL_FILES_DOCUMENT_ROOT, whose default is the root of the disk.

    Raises:
        ValueError: The file is not in that folder.

    Example:
        >>> local_address('/data/photos/a b.jpg', '/data')
        '/data/local-files/?d=photos/a%20b.jpg'
    """
    place = Path(abspath(path))
    base = Path(abspath(root)) if root is not None else Path(place.anchor)
    if not place.is_relative_to(base):
        raise ValueError(
            f'{path} is not in {str(base)!r}, from which Label Studio is to serve it; give the folder of its '
            'LOCAL_FILES_DOCUMENT_ROOT, with the images inside'
        )
    return f'/data/local-files/?d={quote(splitdrive(place.relative_to(base).as_posix())[1])}'


def task(found: Table, image: str, model_version: str) -> dict[str, Any]:
    """One task of Label Studio's JSON import format; see `Detections.to_label_studio`."""
    height, width = found.image_size
    results = []
    for number, (row, (left, top, wide, high)) in enumerate(zip(found.rows(), found.shares(), strict=True), 1):
        value = {'x': 100 * left, 'y': 100 * top, 'width': 100 * wide, 'height': 100 * high, 'rotation': 0}
        results.append(
            {
                'id': f'result{number}',
                'type': 'rectanglelabels',
                'from_name': _LABEL,
                'to_name': _IMAGE,
                'original_width': width,
                'original_height': height,
                'image_rotation': 0,
                'value': {**value, 'rectanglelabels': [row.name]},
                'score': row.score,
            }
        )
    prediction: dict[str, Any] = {'model_version': model_version, 'result': results}
    if results:
        prediction['score'] = sum(row.score for row in found.rows()) / len(results)
    return {'data': {_IMAGE: image}, 'predictions': [prediction]}


def labelling_config(class_names: Sequence[str]) -> str:
    """The labelling config (XML) that the tasks fit, for a project's Labeling Interface.

    Args:
        class_names: The name of each class.

    Example:
        >>> print(labelling_config(['cat', 'dog & bird']))
        <View>
          <Image name="image" value="$image"/>
          <RectangleLabels name="label" toName="image">
            <Label value="cat" background="#..."/>
            <Label value="dog &amp; bird" background="#..."/>
          </RectangleLabels>
        </View>
    """
    labels = [
        f'    <Label value={quoteattr(name)} background="#{bytes(class_colour(label)).hex()}"/>\n'
        for label, name in enumerate(class_names)
    ]
    return (
        f'<View>\n  <Image name="{_IMAGE}" value="${_IMAGE}"/>\n'
        f'  <RectangleLabels name="{_LABEL}" toName="{_IMAGE}">\n{"".join(labels)}  </RectangleLabels>\n</View>\n'
    )
