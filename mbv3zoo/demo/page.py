"""Writes a page on which a model runs in the browser: one static folder that asks for nothing elsewhere."""

from __future__ import annotations

import json
import logging
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from mbv3zoo.demo.example import example_picture
from mbv3zoo.demo.model_info import INFO_NAME, MODEL_NAME, is_page, model_json, model_name
from mbv3zoo.demo.runtime import read_runtime
from mbv3zoo.demo.space import space_readme
from mbv3zoo.export.request import checked_settings
from mbv3zoo.licenses import license_id
from mbv3zoo.models.postprocess.thresholds import PREDICTION
from mbv3zoo.runtimes.certificate_data import certificate_path
from mbv3zoo.runtimes.export_info import ExportInfo, Precision
from mbv3zoo.runtimes.exported_model import ExportedModel
from mbv3zoo.runtimes.table import find_format
from mbv3zoo.utils.atomic import staged
from mbv3zoo.utils.disk import make_folder, temporary_folder
from mbv3zoo.utils.folders import claimed_folder, locked_folder
from mbv3zoo.utils.packages import require

_logger = logging.getLogger(__name__)

_PAGE = Path(__file__).parent / 'page'


def write_page(
    model: str | Path,
    folder: str | Path,
    *,
    precision: Precision = 'float32',
    calibration: str | Path | None = None,
    image_size: int | tuple[int, int] | None = None,
    title: str | None = None,
    weights: str | None = None,
    license: str | None = None,
    example: str | Path | None = None,
    overwrite: bool = False,
) -> Path:
    """Writes a static page that runs a detector or a segmenter on pictures and a webcam, in the visitor's browser.

    Any static server shows it, from any path: `python -m http.server -d folder`.

    Args:
        model: What `mbv3zoo.load` opens: a packaged name, a saved folder, a training run, a Hub repository; or an ONNX
            file that mbv3zoo exported, without NMS inside, which is taken as it is.
        folder: New or empty, or with `overwrite` a page that this function wrote before.
        precision: Of the exported model, as in `Detector.export`; 'int8' needs `calibration`.
        calibration: For 'int8' a dataset or a folder of images.
        image_size: Side, or (height, width), in pixels that images are letterboxed to; by default the detector's.
        title: Heading of the page; by default the name of the model.
        weights: Hub repository of the weights, which the page names as a Space.
        license: Licence that the page states for the weights; by default the one of their record.
        example: A JPEG, PNG or WebP picture that visitors can try at once; the packaged detectors have one of their
            own.
        overwrite: Replace a page that is there.

    Returns:
        The folder.

    Raises:
        ValueError: There is no such detector, a browser cannot run it, an option does not apply to it, or the folder
            holds something else.
        ImportError: A package that the export needs is not installed.

    Example:
        >>> from mbv3zoo.demo.page import write_page
        >>> folder = write_page('mbv3_yolo_small.synth', 'page')
        >>> sorted(path.name for path in folder.iterdir())[:3]
        ['README.md', 'app.js', 'decode.js']
    """
    folder, license = Path(folder), None if license is None else license_id(license)
    options: dict[str, Any] = {'precision': precision, 'calibration': calibration, 'image_size': image_size}
    file = _exported_file(model, options)
    if file is None:
        _check_options(options)
    picture = example_picture(model, example)
    with ExitStack() as stack:
        if overwrite and is_page(folder):
            stack.enter_context(locked_folder(folder))
        else:
            _check_page_or_new(folder)
            stack.enter_context(claimed_folder(folder))
        if file is None:
            file = _export(model, stack.enter_context(temporary_folder()) / MODEL_NAME, options)
        info = ExportedModel.open(file).info
        _check_browser(info, file)
        with staged(folder, 'index.html') as files:
            known = model_json(file, info, weights or model_name(model))
            known |= {'title': title} if title else {}
            known |= {'license': license} if license else {}
            if picture is not None:
                known['example'] = 'example' + picture.suffix.lower()
                (files / known['example']).write_bytes(picture.read_bytes())
            _write_files(files, file, known)
            readme = space_readme(known['title'], known['license'], weights, info.task)
            (files / 'README.md').write_text(readme, encoding='utf-8')
    return folder


def _exported_file(model: str | Path, options: dict[str, Any]) -> Path | None:
    """The exported file that `model` is, or None; it takes no options of an export."""
    row = find_format(model)
    if row is None:
        return None
    if row.name != 'onnx':
        raise ValueError(f'{model}: a browser runs ONNX files; give a file that ends in .onnx, or the detector itself')
    given = [name for name, value in options.items() if value not in (None, 'float32')]
    if given:
        raise ValueError(f'{model}: an exported file is taken as it is; leave out {", ".join(given)}')
    return Path(model)


def _check_options(options: dict[str, Any]) -> None:
    """What can be said before the detector is fetched and opened."""
    none: dict[str, Any] = dict.fromkeys(('format', 'data', 'split', 'tolerance'))
    thresholds = {name: getattr(PREDICTION, name) for name in ('score_thresh', 'iou_thresh', 'max_detections')}
    flags: dict[str, Any] = {'dynamic': False, 'nms': False, 'overwrite': True, 'batch_size': 1}
    checked_settings(Path(MODEL_NAME), thresholds=thresholds, **flags, **none, **options)


def _check_page_or_new(folder: Path) -> None:
    if is_page(folder):
        raise ValueError(
            f'{folder} is a page already; replace it with overwrite=True (--overwrite), or name another one'
        )


def _export(model: str | Path, path: Path, options: dict[str, Any]) -> Path:
    require('the page of a detector', 'onnx', 'onnxscript', 'onnxruntime')
    from mbv3zoo.model import Model
    from mbv3zoo.zoo.resolve import resolve_saved

    opened = Model.from_saved(resolve_saved(model))
    _check_channels(model, opened.config.in_chans)
    _logger.info('exporting %s to ONNX', model)
    return opened.export(path, **options)


def _check_browser(info: ExportInfo, file: Path) -> None:
    """Raises ValueError where the page cannot run a model."""
    if info.outputs != 'maps':
        raise ValueError(f'{file} has NMS inside, and the page runs its own; export it without nms (--nms)')
    _check_channels(file, info.in_chans)
    if info.batch_size != 1 and not info.dynamic:
        raise ValueError(f'{file} takes {info.batch_size} images per call; export it with batch_size 1')


def _check_channels(model: str | Path, in_chans: int) -> None:
    if in_chans != 3:
        raise ValueError(f'{model} takes images of {in_chans} channels, and browsers give RGB; expected 3 channels')


def _write_files(folder: Path, model: Path, info: dict[str, Any]) -> None:
    for path in sorted(_PAGE.iterdir()):
        (folder / path.name).write_bytes(path.read_bytes())
    make_folder(folder / 'runtime')
    for name, content in read_runtime().items():
        (folder / 'runtime' / name).write_bytes(content)
    (folder / MODEL_NAME).write_bytes(model.read_bytes())
    certificate = certificate_path(model)
    if certificate.is_file():
        (folder / certificate_path(Path(MODEL_NAME))).write_bytes(certificate.read_bytes())
    (folder / INFO_NAME).write_text(json.dumps(info, indent=1, ensure_ascii=False) + '\n', encoding='utf-8')
