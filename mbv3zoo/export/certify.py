"""Makes the certificate of an exported file: opens it in its runtime and compares it with the detector."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mbv3zoo.data.records import DetectionSet
from mbv3zoo.evaluation.run import evaluate
from mbv3zoo.export.certificate import TOLERANCES, ApParity, Certificate
from mbv3zoo.export.parity import compare
from mbv3zoo.models.network import DetectorNetwork
from mbv3zoo.models.postprocess.thresholds import Thresholds
from mbv3zoo.runtimes.export_info import ExportInfo
from mbv3zoo.runtimes.exported_detector import ExportedDetector
from mbv3zoo.runtimes.session import open_session
from mbv3zoo.runtimes.table import all_packages, format_of
from mbv3zoo.synth import SyntheticConfig, generate_scene

# Kept detections are compared above this score, lower than the default of prediction.
_SCORE_THRESH = 0.1
# (height, width) of the drawn images: square, wide, tall.
_SHAPES = ((480, 480), (300, 480), (480, 340))


def certify(
    detector: DetectorNetwork, file: Path, info: ExportInfo, pictures: Sequence[Any] | None, tolerance: float | None
) -> Certificate:
    """Compares an exported file with its detector.

    Args:
        detector: The detector.
        file: The file.
        info: Its record.
        pictures, tolerance: As for `mbv3zoo.export.export.export`.

    Returns:
        The certificate, without AP; it also holds what exceeds the tolerance.
    """
    allowed = TOLERANCES[info.precision]
    if tolerance is not None:
        allowed = allowed.model_copy(update={'logits': tolerance})
    versions = {name: found for name in ('torch', 'timm', *all_packages()) if (found := _version(name))}
    certificate = partial(Certificate, info=info, format=format_of(file).name, versions=versions, tolerance=allowed)
    try:
        exported = ExportedDetector(open_session(file), info)
    except NotImplementedError as error:  # its runtime is for another system
        return certificate(runtime=str(error), pictures=(), compared=False)
    thresholds = exported.thresholds if info.outputs == 'detections' else Thresholds(score_thresh=_SCORE_THRESH)
    images = drawn_images(info.in_chans) if pictures is None else pictures
    parities = tuple(compare(detector, exported, image, thresholds) for image in images)
    return certificate(runtime=exported.runtime, pictures=parities)


def measure_ap(
    detector: DetectorNetwork, file: Path, info: ExportInfo, labelled: DetectionSet, data: str | Path, split: str
) -> ApParity:
    """Measures AP of a detector and of the file exported from it.

    Args:
        detector, file, info: As for `certify`.
        labelled: The dataset.
        data, split: How the certificate names it.
    """
    before = evaluate(detector, labelled, image_size=info.image_size)
    after = evaluate(ExportedDetector(open_session(file), info), labelled)
    return ApParity(
        data=str(data), split=split, images=len(labelled),
        ap=before.ap, ap50=before.ap50, ap_exported=after.ap, ap50_exported=after.ap50,
    )  # fmt: skip


def drawn_images(in_chans: int) -> list[np.ndarray]:
    """Drawn scenes to compare on, uint8 [H, W, C]: one of each shape.

    Detectors take grey and colour images themselves; for other numbers of channels the colours are repeated.
    """
    images = []
    for seed, (height, width) in enumerate(_SHAPES):
        scene, _, _ = generate_scene(np.random.default_rng(seed), SyntheticConfig(image_size=max(height, width)))
        image = np.asarray(scene.resize((width, height), Image.Resampling.BILINEAR))
        images.append(image if in_chans in (1, 3) else np.ascontiguousarray(image[:, :, np.arange(in_chans) % 3]))
    return images


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
