"""What is asked of an export, checked before anything is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mbv3zoo.data.hub_dataset import check_installed
from mbv3zoo.models.base_network import ModelNetwork
from mbv3zoo.models.postprocess.thresholds import PREDICTION
from mbv3zoo.runtimes.certificate_data import certificate_path
from mbv3zoo.runtimes.export_info import ExportInfo, ExportSettings
from mbv3zoo.runtimes.table import FORMATS, Format, format_of
from mbv3zoo.utils.atomic import current
from mbv3zoo.utils.sizes import LEAST_SIDE, MOST_IMAGES, finite_number, parse_image_size, whole_number
from mbv3zoo.utils.text import shown
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


def checked_settings(
    path: Path,
    *,
    format: str | None,
    image_size: Any,
    batch_size: Any,
    dynamic: Any,
    nms: Any,
    thresholds: Mapping[str, Any],
    precision: Any,
    calibration: Any,
    data: Any,
    split: Any,
    tolerance: Any,
    overwrite: Any,
) -> ExportSettings:
    """The settings of the file's record; whatever can be said of a request without the detector is checked.

    Args:
        path: The file.
        thresholds: `score_thresh`, `iou_thresh`, `max_detections`.
        format, image_size, batch_size, dynamic, nms, precision, calibration, data, split, tolerance, overwrite: As for
            `mbv3zoo.export.export.export`.

    Raises:
        ValueError: An option is out of range or has no effect beside the others, the format cannot do what is asked, or
            the file is there.
        ImportError: A package that the format needs is not installed.
    """
    if not isinstance(nms, bool) and nms not in ('inside', 'none'):
        raise ValueError(f"nms is {shown(nms)}; expected True or 'inside', 'none', or False")
    nms = nms in (True, 'inside')
    for name, flag in (('dynamic', dynamic), ('overwrite', overwrite)):
        if not isinstance(flag, bool):
            raise ValueError(f'{name} is {shown(flag)}; expected True or False')
    for name, text in (('calibration', calibration), ('data', data), ('split', split)):
        if text is not None and not (isinstance(text, (str, Path)) and str(text)):
            raise ValueError(f'{name} is {shown(text)}; leave it out where there is none')
    if tolerance is not None and (finite_number(tolerance) or 0) <= 0:
        raise ValueError(f'tolerance is {shown(tolerance)}; expected a number above 0')
    row = requested_format(path, format)
    if image_size is not None:
        _check_sides(image_size)
    settings: ExportSettings = {
        'input_dtype': row.input_dtype,
        'dynamic': dynamic,
        'batch_size': whole_number(batch_size, 'batch_size', 1, MOST_IMAGES),
        'precision': precision,
    }
    kept = nms_settings(thresholds)
    _check_effective(settings, thresholds, nms=nms, calibration=calibration, data=data, split=split)
    if nms:
        settings |= kept
    _check_format(row, settings, calibration is not None)
    check_installed(calibration, data)
    check_target(path, overwrite)
    return settings


def _check_sides(image_size: Any) -> None:
    """Whatever the detector's strides are, sides are multiples of 32."""
    height, width = parse_image_size(image_size)
    if height % LEAST_SIDE or width % LEAST_SIDE:
        raise ValueError(f'image_size must be multiples of {LEAST_SIDE}, given {(height, width)}')


def _check_format(row: Format, settings: ExportSettings, has_calibration: bool) -> None:
    """Raises ValueError, or ImportError, where a format cannot do what is asked."""
    name, precision, with_nms = row.name, settings['precision'], settings.get('outputs') == 'detections'
    if settings['dynamic'] and not row.dynamic:
        raise ValueError(f'{name} files take one size and batch; leave dynamic out')
    if with_nms and not row.nms:
        raise ValueError(f'{name} files cannot suppress inside the graph; leave nms out')
    if settings['batch_size'] != 1 and not row.batches:
        raise ValueError(f'{name} files take one picture a call; leave batch_size out')
    if precision not in row.precisions:
        able = ', '.join(other for other, its in FORMATS.items() if precision in its.precisions) or 'no format'
        raise ValueError(f'{name} files cannot be {shown(precision)}; {able} can')
    if precision == 'int8' and not has_calibration:
        raise ValueError('int8 needs calibration: a data set or a folder of pictures')
    row.check_installed(precision)


def _check_effective(
    settings: ExportSettings, thresholds: Mapping[str, Any], *, nms: bool, calibration: Any, data: Any, split: Any
) -> None:
    """Raises ValueError where an option was given that has no effect beside the others."""
    for name, value in thresholds.items():
        if value != getattr(PREDICTION, name) and not nms:
            raise ValueError(f'{name} is for nms inside the graph; leave it out, or ask for nms')
    # That of an int8 network is measured before NMS is put behind it.
    if nms and data is not None and settings['precision'] != 'int8':
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
    if kept.score_thresh == 1:
        raise ValueError('score_thresh is 1, and no score is above that: the file would find nothing; expected less')
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


def make_info(detector: ModelNetwork, image_size: int | tuple[int, int] | None, settings: ExportSettings) -> ExportInfo:
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
