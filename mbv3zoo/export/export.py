"""A detector into a file for another runtime: written, compared, and only then put in place."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from timm.layers import to_2tuple

from mbv3zoo.data.load import load_dataset
from mbv3zoo.evaluation.run import check_classes, evaluate
from mbv3zoo.export.certificate import TOLERANCES, ApParity, Certificate, certificate_path
from mbv3zoo.export.parity import compare
from mbv3zoo.export.write import write_graph
from mbv3zoo.models.network import DetectorNetwork
from mbv3zoo.models.postprocess.thresholds import PREDICTION, Thresholds
from mbv3zoo.runtimes.export_info import ExportInfo, Precision
from mbv3zoo.runtimes.exported_detector import ExportedDetector
from mbv3zoo.runtimes.session import open_session
from mbv3zoo.runtimes.table import FORMATS, all_packages, format_of
from mbv3zoo.synth import SyntheticConfig, generate_scene
from mbv3zoo.utils.atomic import atomic_write
from mbv3zoo.version import __version__

# Kept detections are compared above this score, lower than people usually ask for.
_SCORE_THRESH = 0.1
# Shapes of the drawn pictures that are compared: square, wide, tall.
_SHAPES = ((480, 480), (300, 480), (480, 340))


class _Wanted(NamedTuple):
    """What a file is to be, checked."""

    format: str
    info: ExportInfo
    calibration: str | None
    split: str


def export(
    detector: DetectorNetwork,
    path: str | Path,
    *,
    format: str | None = None,
    image_size: int | tuple[int, int] | None = None,
    batch_size: int = 1,
    dynamic: bool = False,
    nms: bool = False,
    score_thresh: float = PREDICTION.score_thresh,
    iou_thresh: float = PREDICTION.iou_thresh,
    max_detections: int = PREDICTION.max_detections,
    precision: Precision = 'float32',
    calibration: str | None = None,
    data: str | None = None,
    split: str = 'val',
    tolerance: float | None = None,
    pictures: Sequence[Any] | None = None,
    overwrite: bool = False,
) -> Path:
    """Writes a detector for another runtime, and beside it the certificate `<file>.json`.

    The certificate compares the file, opened in its own runtime, with the detector as it is in PyTorch: letterboxed
    pixels, logits, decoded boxes and kept detections on square and other pictures, and AP where `data` is given. Above
    the tolerance nothing is left on disk. The detector itself stays as it is.

    Args:
        detector: The detector.
        path: The file; its end names the format (`mbv3zoo.runtimes.table.FORMATS`).
        format: The format, checked against that end.
        image_size: Side, or (height, width), in pixels; the detector's own by default.
        batch_size: Pictures a call.
        dynamic: Take any batch, and any size in steps of the largest stride; where the format can.
        nms: Decode and suppress inside the graph (ONNX, OpenVINO, torch.export, TorchScript).
        score_thresh, iou_thresh, max_detections: The thresholds in there.
        precision: 'float32'; 'float16' stores OpenVINO's weights so; 'int8' for ONNX and OpenVINO.
        calibration: For int8: a data set as of `mbv3zoo.data.load.load_dataset` (its `split` is taken where there is no
            'train'), or a folder of pictures. A few hundred are used.
        data: A labelled data set to measure AP on, before and after.
        split: Its split.
        tolerance: Mean difference of the logits as a share of their standard deviation that is let pass, in place of
            the precision's (`mbv3zoo.export.certificate.TOLERANCES`).
        pictures: Pictures to compare on, as `mbv3zoo.images.read.read_image` takes; by default drawn scenes.
        overwrite: Replace a file that is there.

    Returns:
        The file, which `mbv3zoo.load` opens.

    Raises:
        ValueError: The format cannot do what is asked, a file is there, or the tolerance is exceeded.
        ImportError: A package that the format needs is not installed; it is named.
    """
    path = Path(path)
    thresholds = {'score_thresh': score_thresh, 'iou_thresh': iou_thresh, 'max_detections': max_detections}
    settings = {'dynamic': dynamic, 'batch_size': batch_size, 'precision': precision}
    settings |= {'outputs': 'detections', **thresholds} if nms else {}
    wanted = _check(detector, path, format, settings, image_size, calibration, split)
    if path.exists() and not overwrite:
        raise ValueError(f'{path} exists already; choose another name, or ask for overwrite')
    labelled = load_dataset(data, split) if data else None
    if labelled is not None:
        if nms:
            raise ValueError('AP is measured with thresholds of its own: leave data out, or export without nms')
        check_classes(detector, labelled)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix='.export-') as folder:
        file = Path(folder) / path.name
        _write(detector, file, wanted)
        certificate = _certify(detector, file, wanted, pictures, tolerance)
        if labelled is not None and certificate.compared:
            certificate = certificate.model_copy(
                update={'ap': _measure_ap(detector, file, wanted.info, labelled, data, split)}
            )
        if failures := certificate.failures():
            raise ValueError(
                f'{path}: not exported, as it differs from PyTorch by more than is allowed: {"; ".join(failures)}'
            )
        text = certificate.model_dump_json(indent=2) + '\n'
        _put_in_place(Path(folder), path, text)
    return path


def _check(
    detector: DetectorNetwork,
    path: Path,
    format: str | None,
    settings: dict[str, Any],
    image_size: int | tuple[int, int] | None,
    calibration: str | None,
    split: str,
) -> _Wanted:
    entry, precision = format_of(path), settings['precision']
    name = entry.name
    if format is not None and format != name:
        end = FORMATS[format].suffix if format in FORMATS else f'one of {", ".join(FORMATS)}'
        raise ValueError(f'{path}: its name is of the format {name}, given format {format!r}; expected {end}')
    if settings['dynamic'] and not entry.dynamic:
        raise ValueError(f'{name} files take one size and batch; leave dynamic out')
    if settings.get('outputs') == 'detections' and not entry.nms:
        raise ValueError(f'{name} files cannot suppress inside the graph; leave nms out')
    if settings['batch_size'] != 1 and not entry.batches:
        raise ValueError(f'{name} files take one picture a call; leave batch_size out')
    if precision not in entry.precisions:
        able = ', '.join(other for other, its in FORMATS.items() if precision in its.precisions) or 'no format'
        raise ValueError(f'{name} files cannot be {precision}; {able} can')
    if precision == 'int8' and (calibration is None or settings.get('outputs') == 'detections'):
        raise ValueError('int8 needs calibration: a data set or a folder of pictures; and no nms')
    entry.check_installed(precision)
    height, width = to_2tuple(image_size or detector.config.image_size)
    info = ExportInfo.of(
        detector.config.model_copy(update={'image_size': (height, width)}),
        detector.strides,
        __version__,
        input_dtype=entry.input_dtype,
        **settings,
    )
    info.check_sides((height, width))
    return _Wanted(name, info, calibration, split)


def _write(detector: DetectorNetwork, file: Path, wanted: _Wanted) -> None:
    write_graph(detector, wanted.info, file)
    if wanted.info.precision == 'int8':
        from mbv3zoo.export.quantize import calibration_pixels, quantize

        quantize(file, wanted.info, calibration_pixels(wanted.calibration, wanted.split, wanted.info))


def _certify(
    detector: DetectorNetwork, file: Path, wanted: _Wanted, pictures: Sequence[Any] | None, tolerance: float | None
) -> Certificate:
    info, allowed = wanted.info, TOLERANCES[wanted.info.precision]
    if tolerance is not None:
        allowed = allowed.model_copy(update={'logits': tolerance})
    packages = {name: found for name in ('torch', 'timm', *all_packages()) if (found := _version(name))}
    facts = {'info': info, 'format': wanted.format, 'versions': packages, 'tolerance': allowed}
    try:
        exported = ExportedDetector(open_session(file), info)
    except NotImplementedError as error:  # its runtime is for another system
        return Certificate(**facts, runtime=str(error), pictures=(), compared=False)
    thresholds = exported.thresholds if info.outputs == 'detections' else Thresholds(score_thresh=_SCORE_THRESH)
    images = _drawn(info.in_chans) if pictures is None else pictures
    parities = tuple(compare(detector, exported, image, thresholds) for image in images)
    return Certificate(**facts, runtime=exported.runtime, pictures=parities)


def _measure_ap(
    detector: DetectorNetwork, file: Path, info: ExportInfo, labelled: Any, data: str, split: str
) -> ApParity:
    before = evaluate(detector, labelled, image_size=info.image_size).metrics
    after = evaluate(ExportedDetector(open_session(file), info), labelled).metrics
    return ApParity(
        data=str(data), split=split, images=len(labelled),
        ap=before.ap, ap50=before.ap50, ap_exported=after.ap, ap50_exported=after.ap50,
    )  # fmt: skip


def _drawn(in_chans: int) -> list[np.ndarray]:
    """A scene of each shape; where the detector does not take colours, its first channels, as often as it needs."""
    images = []
    for seed, (height, width) in enumerate(_SHAPES):
        scene, _, _ = generate_scene(np.random.default_rng(seed), SyntheticConfig(image_size=max(height, width)))
        image = np.asarray(scene.resize((width, height), Image.Resampling.BILINEAR))
        images.append(image if in_chans in (1, 3) else np.ascontiguousarray(image[:, :, np.arange(in_chans) % 3]))
    return images


def _put_in_place(folder: Path, path: Path, certificate: str) -> None:
    # The certificate and further files first: the file that people open is whole when it has its name.
    others = sorted(entry.name for entry in folder.iterdir() if entry.name != path.name)
    atomic_write(certificate_path(path), certificate.encode('utf-8'))
    for name in (*others, path.name):
        _replace(folder / name, path.with_name(name))


def _replace(source: Path, target: Path) -> None:
    if target.is_dir():
        # A folder cannot be replaced in one step: the old one goes out of the way first.
        with tempfile.TemporaryDirectory(dir=target.parent, prefix='.export-') as old:
            os.replace(target, Path(old) / target.name)
            os.replace(source, target)
        return
    os.replace(source, target)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
