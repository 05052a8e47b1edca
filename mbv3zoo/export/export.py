"""Exports a detector to a file: written, compared, and only then put in place."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, cast

from mbv3zoo.config.model import Task
from mbv3zoo.config.tasks import KINDS
from mbv3zoo.data.load import DEFAULT_SPLIT, load_split
from mbv3zoo.evaluation.run import check_classes
from mbv3zoo.export.certify import certify, drawn_images, given_images, measure
from mbv3zoo.export.quantize import calibration_pixels, quantize
from mbv3zoo.export.request import checked_settings, make_info
from mbv3zoo.export.tail import add_suppression, without_suppression
from mbv3zoo.export.write import write_graph
from mbv3zoo.models.base_network import ModelNetwork
from mbv3zoo.models.network import DetectorNetwork
from mbv3zoo.models.no_weights import check_has_weights, is_untrained
from mbv3zoo.models.postprocess.thresholds import PREDICTION
from mbv3zoo.models.weights import check_finite
from mbv3zoo.prediction.engine import check_detects
from mbv3zoo.runtimes.certificate_data import certificate_path
from mbv3zoo.runtimes.export_info import Precision
from mbv3zoo.runtimes.parts import digests
from mbv3zoo.utils.atomic import staged
from mbv3zoo.utils.disk import make_folder

_logger = logging.getLogger(__name__)

# Images of the calibration on which an int8 file is compared with NMS inside and outside.
_SAME_ON = 20
_TRAINED: dict[Task, str] = {'detection': 'mbv3_yolo_small.synth', 'segmentation': 'mbv3_lraspp_small.synth'}
_BLIND: dict[Task, str] = {
    'detection': 'box of it could be compared with one of PyTorch: no score is above 0',
    'segmentation': 'label of it could be compared with one of PyTorch: the logits are the same at every pixel',
}


def export(
    detector: ModelNetwork,
    path: str | Path,
    *,
    format: str | None = None,
    image_size: int | tuple[int, int] | None = None,
    batch_size: int = 1,
    dynamic: bool = False,
    nms: bool | Literal['inside', 'none'] = False,
    score_thresh: float = PREDICTION.score_thresh,
    iou_thresh: float = PREDICTION.iou_thresh,
    max_detections: int = PREDICTION.max_detections,
    precision: Precision = 'float32',
    calibration: str | Path | None = None,
    data: str | Path | None = None,
    split: str | None = None,
    tolerance: float | None = None,
    pictures: Sequence[Any] | None = None,
    overwrite: bool = False,
) -> Path:
    """Writes a model for another runtime, and beside it the certificate `<file>.json`.

    The certificate compares the file, opened in its usual runtime, with the model in PyTorch: letterboxed pixels,
    logits, decoded boxes and kept detections, or a segmenter's labels, on square, wide and tall images, and AP or mIoU
    where `data` is given. Where a difference exceeds the tolerance, no file is left. The model is not changed.

    Args:
        detector: The detector or segmenter.
        path: The file; its suffix names the format (`mbv3zoo.runtimes.table.FORMATS`).
        format: Name of the format, checked against the suffix.
        image_size: Side, or (height, width), in pixels; by default the detector's own.
        batch_size: Images per call.
        dynamic: Take any batch size, and any sides that are multiples of the largest stride, where the format can.
        nms: True or 'inside' decodes and runs NMS inside the graph (ONNX, OpenVINO, torch.export, TorchScript); 'none'
            writes maps that need no NMS.
        score_thresh, iou_thresh, max_detections: The thresholds inside the graph, with `nms`; see
            `mbv3zoo.models.postprocess.thresholds.Thresholds`.
        precision: 'float32'; 'float16', which halves the file; 'int8' for ONNX and OpenVINO.
        calibration: For int8: a dataset as in `mbv3zoo.load_dataset` (its `split` is taken where there is no 'train'),
            or a folder of images. A few hundred are used.
        data: A labelled dataset to measure AP or mIoU on, of the model and of the file.
        split: Split of `data`, and of `calibration`; 'val' by default.
        tolerance: Largest mean difference of the logits, divided by their standard deviation, in place of the
            precision's (`mbv3zoo.export.certificate.TOLERANCES`).
        pictures: Images to compare on, as `mbv3zoo.images.read.read_image` takes; by default drawn scenes.
        overwrite: Replace a file that is there.

    Returns:
        The file, which `mbv3zoo.load` opens.

    Raises:
        ValueError: The format cannot do what is asked, an option has no effect without another, the file exists, or a
            difference exceeds the tolerance.
        ImportError: A package that the format needs is not installed.
    """
    check_has_weights(detector, 'exported')
    path = Path(path)
    settings = checked_settings(
        path,
        format=format,
        image_size=image_size,
        batch_size=batch_size,
        dynamic=dynamic,
        nms=nms,
        thresholds={'score_thresh': score_thresh, 'iou_thresh': iou_thresh, 'max_detections': max_detections},
        precision=precision,
        calibration=calibration,
        data=data,
        split=split,
        tolerance=tolerance,
        overwrite=overwrite,
    )
    check_detects(detector, ['nms'] if nms else [])
    if nms == 'none':
        detector, nms = cast(DetectorNetwork, detector).without_nms(), False
    elif nms and not getattr(detector.config, 'nms', True):
        raise ValueError("the detector's predictions need no NMS; leave nms out")
    check_finite(detector, 'the detector cannot be exported')
    info = make_info(detector, image_size, settings)
    kind = KINDS[info.task]
    compared = drawn_images(info.in_chans) if pictures is None else given_images(pictures, info)
    labelled = None if data is None else load_split(data, split, task=info.task)
    split = DEFAULT_SPLIT if split is None else split
    if labelled is not None:
        check_classes(detector, labelled)
    pixels = None if calibration is None else calibration_pixels(calibration, split, info)
    untrained = is_untrained(detector.get_submodule('neck' if info.task == 'detection' else 'head'))
    if untrained:
        _logger.warning(
            f'{path}: the weights are random, so the file is for timing only; train the {kind} first, or export '
            f'trained weights, such as {_TRAINED[info.task]}'
        )
    make_folder(path.parent)
    with staged(path.parent, path.name) as folder:
        file = folder / path.name
        _logger.info('%s: writing the graph', path)
        # NMS stays in float32: it is put behind the int8 network, which is compared by itself.
        network = info if pixels is None else without_suppression(info)
        write_graph(detector, network, file)
        if pixels is not None:
            _logger.info('%s: quantizing it on %d images', path, len(pixels))
            quantize(file, network, pixels)
        _logger.info('%s: comparing it with PyTorch on %d images', path, len(compared))
        certificate = certify(detector, file, network, compared, tolerance)
        if data is not None and labelled is not None and certificate.compared:
            _logger.info('%s: measuring the %s and the file on %d images', path, kind, len(labelled))
            measured = measure(detector, file, network, labelled, data, split)
            certificate = certificate.model_copy(update=measured)
        if failures := certificate.failures():
            advice = '; calibrate on pictures such as it will be given, or let data decide' if pixels else ''
            raise ValueError(
                f'{path}: not exported, as it differs from PyTorch by more than is allowed: '
                f'{"; ".join(failures)}{advice}'
            )
        if certificate.is_blind():
            raise ValueError(
                f'{path}: not exported, as no {_BLIND[info.task]}; train the {kind} first, or load other weights'
            )
        if pixels is not None and nms:
            add_suppression(file, info, pixels[:_SAME_ON])
        certificate = certificate.model_copy(update={'info': info, 'sha256': digests(file), 'untrained': untrained})
        certificate_path(file).write_text(certificate.model_dump_json(indent=2) + '\n', encoding='utf-8', newline='\n')
    return path
