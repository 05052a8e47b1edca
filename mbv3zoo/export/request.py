"""What is asked of an export, checked before anything is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mbv3zoo.models.network import DetectorNetwork
from mbv3zoo.models.postprocess.thresholds import PREDICTION
from mbv3zoo.runtimes.certificate_data import certificate_path
from mbv3zoo.runtimes.export_info import ExportInfo, ExportSettings
from mbv3zoo.runtimes.table import FORMATS, Format, format_of
from mbv3zoo.utils.atomic import current
from mbv3zoo.utils.sizes import MOST_IMAGES, parse_image_size, whole_number
from mbv3zoo.version import __version__


def requested_format(path: Path, name: str | None) -> Format:
    """The format that a file's suffix names.

    Args:
        path: The file.
        name: The format's name, where it is given too.

    Raises:
        ValueError: The suffix is unknown, or of another format.
    """
    found = format_of(path)
    if name is not None and name != found.name:
        end = FORMATS[name].suffix if name in FORMATS else f'one of {", ".join(FORMATS)}'
        raise ValueError(f'{path}: its name is of the format {found.name}, given format {name!r}; expected {end}')
    return found


def check_settings(row: Format, settings: ExportSettings, has_calibration: bool) -> None:
    """Raises ValueError, or ImportError, where a format cannot do what is asked.

    Args:
        row: The format.
        settings: With `dynamic`, `batch_size` and `precision`; `outputs` where NMS is inside the graph.
        has_calibration: Whether there are images to calibrate int8 on.
    """
    name, precision, with_nms = row.name, settings['precision'], settings.get('outputs') == 'detections'
    if settings['dynamic'] and not row.dynamic:
        raise ValueError(f'{name} files take one size and batch; leave dynamic out')
    if with_nms and not row.nms:
        raise ValueError(f'{name} files cannot suppress inside the graph; leave nms out')
    whole_number(settings['batch_size'], 'batch_size', 1, MOST_IMAGES)
    if settings['batch_size'] != 1 and not row.batches:
        raise ValueError(f'{name} files take one picture a call; leave batch_size out')
    if precision not in row.precisions:
        able = ', '.join(other for other, its in FORMATS.items() if precision in its.precisions) or 'no format'
        raise ValueError(f'{name} files cannot be {precision}; {able} can')
    if precision == 'int8' and (with_nms or not has_calibration):
        raise ValueError('int8 needs calibration: a data set or a folder of pictures; and no nms')
    row.check_installed(precision)


def check_effective(
    settings: ExportSettings,
    thresholds: Mapping[str, float],
    *,
    nms: bool,
    calibration: str | Path | None,
    data: str | Path | None,
    split: str | None,
) -> None:
    """Raises ValueError where an option was given that has no effect beside the others.

    Args:
        settings: With `dynamic`, `batch_size` and `precision`.
        thresholds: `score_thresh`, `iou_thresh`, `max_detections`.
        nms, calibration, data, split: As for `mbv3zoo.export.export.export`.
    """
    for name, value in thresholds.items():
        if value != getattr(PREDICTION, name) and not nms:
            raise ValueError(f'{name} is for nms inside the graph; leave it out, or ask for nms')
    if nms and data is not None:
        raise ValueError('AP is measured with thresholds of its own: leave data out, or export without nms')
    if calibration is not None and settings['precision'] != 'int8':
        raise ValueError(f'calibration is for int8, given precision {settings["precision"]!r}; leave it out')
    if split is not None and data is None and calibration is None:
        raise ValueError('split is of data or calibration, and neither is given; leave it out')
    if settings['dynamic'] and settings['batch_size'] != 1:
        raise ValueError('with dynamic the graph takes any batch size; leave batch_size out')


def nms_settings(thresholds: Mapping[str, Any]) -> ExportSettings:
    """The settings of a graph that suppresses.

    Args:
        thresholds: `score_thresh`, `iou_thresh`, `max_detections`.

    Raises:
        ValueError: One is out of range.
    """
    kept = replace(PREDICTION, **thresholds)
    return {
        'outputs': 'detections',
        'score_thresh': kept.score_thresh,
        'iou_thresh': kept.iou_thresh,
        'max_detections': kept.max_detections,
    }


def check_target(path: Path, overwrite: bool) -> None:
    """Raises ValueError where a file, or the certificate that is written beside it, exists and is to be kept."""
    for target in (path, certificate_path(path)):
        if current(target).exists() and not overwrite:
            raise ValueError(f'{target} exists already; choose another name, or ask for overwrite')


def make_info(
    detector: DetectorNetwork, image_size: int | tuple[int, int] | None, settings: ExportSettings
) -> ExportInfo:
    """The record of the file.

    Args:
        detector: The detector.
        image_size: Side, or (height, width), in pixels; None takes the detector's own.
        settings: The other fields.

    Raises:
        ValueError: It is no input size, or the sides are no multiples of what the graph takes.
    """
    height, width = detector.config.image_size if image_size is None else parse_image_size(image_size)
    config = detector.config.model_copy(update={'image_size': (height, width)})
    info = ExportInfo.of(config, detector.strides, __version__, **settings)
    info.check_sides((height, width))
    return info
