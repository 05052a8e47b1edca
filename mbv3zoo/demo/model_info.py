"""What a page knows of its model: model.json."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Final, NamedTuple

from mbv3zoo.config.model import Task
from mbv3zoo.licenses import license_rows, weights_license
from mbv3zoo.models.postprocess.thresholds import PREDICTION
from mbv3zoo.runtimes.export_info import ExportInfo
from mbv3zoo.runtimes.table import find_format
from mbv3zoo.utils.json import parse_settings
from mbv3zoo.version import __version__

MODEL_NAME: Final = 'model.onnx'
INFO_NAME: Final = 'model.json'


class Words(NamedTuple):
    """What pages say of a task: the Hub's name of it, what it is, what its models are and what they do."""

    tag: str
    name: str
    kind: str
    does: str


WORDS: Final[dict[Task, Words]] = {
    'detection': Words('object-detection', 'object detection', 'detector', 'finds objects in'),
    'segmentation': Words(
        'image-segmentation', 'semantic segmentation', 'segmenter', 'finds the class of every pixel of'
    ),
}


def is_page(folder: Path) -> bool:
    """Whether a folder holds a page that `write_page` wrote."""
    try:
        return bool(page_info(folder))
    except ValueError:
        return False


def page_info(folder: Path) -> dict[str, Any]:
    """What a page knows of its model (`model_json`).

    Raises:
        ValueError: There is no page.
    """
    try:
        info = parse_settings((folder / INFO_NAME).read_text('utf-8'))
        if 'mbv3zoo' in info:
            return info
    except (OSError, ValueError, TypeError) as error:
        raise ValueError(f'{folder} is no page: {INFO_NAME} cannot be read ({error})') from error
    raise ValueError(f'{folder} is no page: {INFO_NAME} was not written by mbv3zoo demo')


def shown_name(model: str | Path) -> str:
    """What visitors know a model by: its name, or the last part of its path; of a training run the run's.

    Example:
        >>> shown_name('organisation/name'), shown_name('/home/me/runs/pets/best'), shown_name('found/model.onnx')
        ('organisation/name', 'pets', 'model.onnx')
    """
    if not Path(model).exists():
        return str(model)
    path = Path(model).resolve()
    return path.parent.name if path.name in ('best', 'last') else path.name


def model_name(model: str | Path) -> str:
    """As `shown_name`, of a file without its suffix."""
    return Path(model).name.split('.')[0] if find_format(model) else shown_name(model)


def model_json(file: Path, info: ExportInfo, name: str) -> dict[str, Any]:
    """What the page knows of the model.

    Args:
        file: The exported model.
        info: Its record.
        name: Its name, which is also the heading of the page unless another one is put in its place.
    """
    data = file.read_bytes()
    taken = ('task', 'class_names', 'image_size', 'strides', 'precision')
    fields = {name: getattr(info, name) for name in taken}
    if info.task == 'detection':
        thresholds = ('score_thresh', 'iou_thresh', 'max_detections')
        fields |= {'anchors': info.anchors, **{name: getattr(PREDICTION, name) for name in thresholds}}
        if not info.nms:
            # No IoU is above it.
            fields['iou_thresh'] = 1.0
    return {
        'title': name,
        'name': name,
        'backbone': info.backbone,
        **fields,
        'license': weights_license(info.licenses),
        'licenses': [' '.join(row) for row in license_rows(info.licenses)],
        'file': MODEL_NAME,
        'bytes': len(data),
        'sha256': hashlib.sha256(data).hexdigest(),
        'mbv3zoo': __version__,
    }
