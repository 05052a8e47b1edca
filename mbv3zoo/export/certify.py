"""Makes the certificate of an exported file: opens it in its runtime and compares it with the detector."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mbv3zoo.data.detection_set import DetectionSet
from mbv3zoo.data.masks import MaskSet
from mbv3zoo.evaluation.run import evaluate
from mbv3zoo.export.certificate import TOLERANCES, ApParity, Certificate, MiouParity, PictureParity
from mbv3zoo.export.parity import compare, threshold_below
from mbv3zoo.export.write import write_graph
from mbv3zoo.images.read import read_image
from mbv3zoo.models.base_network import ModelNetwork
from mbv3zoo.models.network import DetectorNetwork
from mbv3zoo.models.postprocess.thresholds import Thresholds
from mbv3zoo.runtimes.export_info import ExportInfo
from mbv3zoo.runtimes.exported_detector import ExportedDetector
from mbv3zoo.runtimes.exported_model import ExportedModel
from mbv3zoo.runtimes.session import open_session
from mbv3zoo.runtimes.table import all_packages, format_of
from mbv3zoo.synth import SyntheticConfig, generate_scene
from mbv3zoo.utils.disk import temporary_folder
from mbv3zoo.utils.packages import installed_version
from mbv3zoo.utils.sizes import MOST_BOXES
from mbv3zoo.utils.text import shown

# Kept detections are compared above this score, lower than the default of prediction.
_SCORE_THRESH = 0.1
# (height, width) of the drawn images: square, wide, tall.
_SHAPES = ((480, 480), (300, 480), (480, 340))


def certify(
    detector: ModelNetwork, file: Path, info: ExportInfo, pictures: Sequence[Any], tolerance: float | None
) -> Certificate:
    """Compares an exported file with its detector.

    Args:
        detector: The detector.
        file: The file.
        info: Its record.
        pictures: Images to compare on.
        tolerance: As for `mbv3zoo.export.export.export`.

    Returns:
        The certificate, without AP or mIoU; it also holds what exceeds the tolerance.
    """
    allowed = TOLERANCES[info.precision]
    if tolerance is not None:
        allowed = allowed.model_copy(update={'logits': tolerance})
    versions = {name: found for name in ('torch', 'timm', *all_packages()) if (found := installed_version(name))}
    certificate = partial(Certificate, info=info, format=format_of(file).name, versions=versions, tolerance=allowed)
    try:
        exported = ExportedModel.of(open_session(file), info)
    except NotImplementedError as error:  # its runtime is for another system
        return certificate(runtime=str(error), pictures=(), compared=False)
    thresholds = exported.thresholds if info.outputs == 'detections' else Thresholds(score_thresh=_SCORE_THRESH)
    parities = [compare(detector, exported, image, thresholds) for image in pictures]
    if info.outputs == 'detections' and not any(parity.kept_compared for parity in parities):
        assert isinstance(detector, DetectorNetwork)
        parities += _compare_lower(detector, file, info)
    return certificate(runtime=exported.runtime, pictures=tuple(parities))


def _compare_lower(detector: DetectorNetwork, file: Path, info: ExportInfo) -> list[PictureParity]:
    """Compares a file that is made like another one, but keeps the best boxes whatever their scores, and all of them.

    A graph that keeps nothing of the images would be compared with nothing; that of new weights never keeps anything.
    Boxes of such scores are not suppressed, as theirs are nearly the same, so that any of two may be the better one;
    and they are those of coloured noise, as an area of one colour has many of one score.
    """
    assert info.score_thresh is not None
    pictures = [_noise(np.random.default_rng(seed), info) for seed in range(2)]
    lower = threshold_below(detector, info, pictures)
    if lower is None:
        return []
    kept = {'score_thresh': min(lower, info.score_thresh), 'iou_thresh': 1.0, 'max_detections': MOST_BOXES}
    info = info.model_copy(update=kept)
    with temporary_folder() as folder:
        path = folder / file.name
        write_graph(detector, info, path)
        exported = ExportedDetector(open_session(path), info)
    return [compare(detector, exported, image, exported.thresholds) for image in pictures]


def measure(
    detector: ModelNetwork, file: Path, info: ExportInfo, labelled: DetectionSet | MaskSet, data: str | Path, split: str
) -> dict[str, ApParity | MiouParity]:
    """Measures AP or mIoU of a model and of the file exported from it, as the certificate's field of that name.

    Args:
        detector, file, info: As for `certify`.
        labelled: The dataset.
        data, split: How the certificate names it.
    """
    before = evaluate(detector, labelled, image_size=info.image_size)
    after = evaluate(ExportedModel.of(open_session(file), info), labelled)
    on: dict[str, Any] = {'data': str(data), 'split': split, 'images': len(labelled)}
    if info.task == 'segmentation':
        return {'miou': MiouParity(**on, miou=before.miou, miou_exported=after.miou)}
    return {'ap': ApParity(**on, ap=before.ap, ap50=before.ap50, ap_exported=after.ap, ap50_exported=after.ap50)}


def drawn_images(in_chans: int) -> list[np.ndarray]:
    """Drawn scenes to compare on, uint8 [H, W, C]: one of each shape.

    Models take grey and colour images themselves; for other numbers of channels the colours are repeated.
    """
    images = []
    for seed, (height, width) in enumerate(_SHAPES):
        scene, _, _ = generate_scene(np.random.default_rng(seed), SyntheticConfig(image_size=max(height, width)))
        image = np.asarray(scene.resize((width, height), Image.Resampling.BILINEAR))
        images.append(image if in_chans in (1, 3) else np.ascontiguousarray(image[:, :, np.arange(in_chans) % 3]))
    return images


def given_images(pictures: Sequence[Any], info: ExportInfo) -> list[np.ndarray]:
    """Reads a user's images to compare on.

    Raises:
        ValueError: There are none, one cannot be read, or it is no list of them.
    """
    if isinstance(pictures, (str, os.PathLike)) or not isinstance(pictures, Iterable) or not len(pictures):
        raise ValueError(f'pictures is {shown(pictures)}; expected a list of images, or leave it out for drawn scenes')
    return [read_image(picture, info.in_chans) for picture in pictures]


def _noise(rng: np.random.Generator, info: ExportInfo) -> np.ndarray:
    """uint8 [H, W, C] of the input's size, in squares of 8 x 8 pixels."""
    height, width = info.image_size
    small = rng.integers(0, 256, (height // 8, width // 8, info.in_chans), np.uint8)
    return np.ascontiguousarray(small.repeat(8, 0).repeat(8, 1))
