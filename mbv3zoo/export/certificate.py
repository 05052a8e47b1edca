"""The certificate beside an exported file: how far it agrees with PyTorch, and the tolerance it passed."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

from pydantic import Field

from mbv3zoo.config.base import Config
from mbv3zoo.runtimes.certificate_data import certificate_path, read_certificate_data
from mbv3zoo.runtimes.export_info import ExportInfo, Precision


class Tolerance(Config):
    """Largest differences of an exported file; where one is exceeded, nothing is exported.

    Attributes:
        letterbox: Of any letterboxed pixel, 0..255. Images are resized by different programs with torch and without.
        logits: Mean difference of the logits, divided by their standard deviation.
        boxes: Of any box side in pixels, in cells whose objectness is above 0.01; None: not compared.
        kept_apart: Share of kept detections that the other side does not have, 0..1; None: not compared.
        best_again: Least share of the best boxes of an image that the file has too, 0..1, where AP is not measured;
            None: not compared.
        labels_apart: Share of an image's pixels with another label, 0..1, where mIoU is not measured; None: not
            compared.
        ap, miou: Loss of AP, and of mIoU, in 0..1, where it is measured.
    """

    letterbox: int = 1
    logits: Annotated[float, Field(gt=0)]
    boxes: Annotated[float, Field(gt=0)] | None = None
    kept_apart: Annotated[float, Field(ge=0, le=1)] | None = None
    best_again: Annotated[float, Field(ge=0, le=1)] | None = None
    labels_apart: Annotated[float, Field(ge=0, le=1)] | None = None
    ap: Annotated[float, Field(gt=0)] = 0.01
    miou: Annotated[float, Field(gt=0)] = 0.01


# Some ten times the measured differences. For int8 single boxes say little; AP does, and where it is not measured the
# share of the best boxes that int8 still has. Measured on the packaged detectors, ONNX and OpenVINO: at least 0.92 of
# each image after calibration on 20 or more images of the kind; at most 0.38, on average, after one on one colour.
TOLERANCES: dict[Precision, Tolerance] = {
    'float32': Tolerance(logits=1e-4, boxes=0.1, kept_apart=0.02, labels_apart=0.002, ap=0.001, miou=0.001),
    'float16': Tolerance(logits=5e-3, boxes=2.0, kept_apart=0.1, labels_apart=0.02, ap=0.005, miou=0.005),
    'int8': Tolerance(logits=0.25, best_again=0.7, labels_apart=0.1, ap=0.01),
}


class PictureParity(Config):
    """Differences between PyTorch and the file on one image.

    Attributes:
        size: (height, width) of the image in pixels.
        letterbox: Largest difference of a letterboxed pixel.
        logits_max, logits_mean: Largest and mean difference of the raw logits; None where the graph gives detections.
        logits_relative: The mean difference divided by the standard deviation of the logits.
        boxes_max: Largest difference of a decoded box's sides in pixels, in cells whose objectness is above 0.01; where
            there is none, of the best boxes.
        boxes_compared: Number of these boxes.
        best: Number of best boxes that were compared: of the highest scores, whatever these are, before NMS.
        best_again: Number of them that the file has too: in the same cell (in any, where maps need no NMS), with an IoU
            of at least 0.5 and a score of half to twice as much.
        score_thresh: Threshold of the kept detections. Of a graph that suppresses inside and keeps nothing, a copy with
            a lower one, and without suppression, is compared.
        kept: Number of detections that PyTorch keeps.
        kept_compared: Number of them with a match on the other side: the same label, an IoU of at least 0.9, for int8
            of 0.5.
        kept_apart: Number of detections of one side without a match on the other.
        labels_compared: Number of pixels of the image whose labels, of a segmenter, were compared; 0 where the logits
            are the same everywhere, so that labels say nothing.
        labels_apart: Share of its pixels with another label, 0..1.
        kept_boxes_max, kept_scores_max: Largest differences of matched detections, in pixels and in 0..1.
    """

    size: tuple[int, int]
    letterbox: int
    logits_max: float | None = None
    logits_mean: float | None = None
    logits_relative: float | None = None
    boxes_max: float | None = None
    boxes_compared: int = 0
    best: int = 0
    best_again: int = 0
    score_thresh: float | None = None
    kept: int = 0
    kept_compared: int = 0
    kept_apart: int = 0
    kept_boxes_max: float = 0
    kept_scores_max: float = 0
    labels_compared: int = 0
    labels_apart: float | None = None


class MeasuredOn(Config):
    """The labelled split that figures were measured on.

    Attributes:
        data, split: The dataset.
        images: Number of its images.
    """

    data: str
    split: str
    images: int


class ApParity(MeasuredOn):
    """AP on a labelled split before and after.

    Attributes:
        ap, ap50: AP of PyTorch, 0..1.
        ap_exported, ap50_exported: AP of the file, 0..1.
    """

    ap: float
    ap50: float
    ap_exported: float
    ap50_exported: float


class MiouParity(MeasuredOn):
    """mIoU on a labelled split before and after.

    Attributes:
        miou, miou_exported: mIoU of PyTorch and of the file, 0..1.
    """

    miou: float
    miou_exported: float


class Certificate(Config):
    """What is written beside the file, as JSON.

    Attributes:
        info: The file's record; formats that hold no text have it only here.
        format: Name of the format.
        runtime: Name of the runtime that opened the file for the comparison.
        versions: Versions of the packages that took part.
        tolerance: Largest differences that were allowed.
        pictures: Differences, image by image.
        ap, miou: AP of a detector, mIoU of a segmenter, before and after, where a dataset was given.
        compared: Whether the file was compared; Core ML's runtime is on macOS only.
        untrained: Whether the weights are random, as those of a new detector: the file is for timing only.
        sha256: End of a file's name -> its SHA-256, for all files of the detector (`mbv3zoo.runtimes.parts`). Without
            it, files that were changed on purpose are opened.
    """

    info: ExportInfo
    format: str
    runtime: str
    versions: dict[str, str]
    tolerance: Tolerance
    pictures: tuple[PictureParity, ...]
    ap: ApParity | None = None
    miou: MiouParity | None = None
    compared: bool = True
    untrained: bool = False
    sha256: dict[str, str] = {}

    def failures(self) -> list[str]:
        """One sentence for each difference that exceeds the tolerance."""
        limit, failed = self.tolerance, []
        for parity in self.pictures:
            place = f'on a picture of {parity.size[0]} x {parity.size[1]}'
            rows = [
                ('letterboxed pixels differ by', parity.letterbox, limit.letterbox),
                ('logits differ, relative to their spread, by', parity.logits_relative, limit.logits),
                ('boxes differ, in pixels, by', parity.boxes_max, limit.boxes),
                ('labels differ in a share of', None if self.miou else parity.labels_apart, limit.labels_apart),
            ]
            # A single one may lie on the threshold; of a few detections it would be a large share.
            if limit.kept_apart is not None and parity.kept_apart > 1:
                share = parity.kept_apart / max(parity.kept, 1)
                rows.append(('kept detections differ in a share of', share, limit.kept_apart))
            failed += [
                f'{what} {value:.3g} {place}, allowed are {most:g}'
                for what, value, most in rows
                if value is not None and most is not None and not value <= most
            ]
            least = (limit.best_again or 0) * parity.best
            if self.ap is None and parity.best_again < least:
                failed.append(
                    f'of the {parity.best} best boxes {parity.best_again} are found again {place}, at least '
                    f'{math.ceil(least)} are expected'
                )
        if self.ap and not self.ap.ap - self.ap.ap_exported <= limit.ap:
            failed.append(f'AP falls from {self.ap.ap:.4f} to {self.ap.ap_exported:.4f}, allowed are {limit.ap:g}')
        if self.miou and not self.miou.miou - self.miou.miou_exported <= limit.miou:
            failed.append(
                f'mIoU falls from {self.miou.miou:.4f} to {self.miou.miou_exported:.4f}, allowed are {limit.miou:g}'
            )
        return failed

    def is_blind(self) -> bool:
        """Whether the file was run, and not a single box or label of it compared: that says nothing."""
        return self.compared and not any(
            parity.boxes_compared or parity.kept_compared or parity.labels_compared for parity in self.pictures
        )

    def __str__(self) -> str:
        return self.summary()

    def summary(self) -> str:
        """The certificate in a few lines."""
        info = self.info
        size = 'any size' if info.dynamic else f'{info.image_size[0]} x {info.image_size[1]}'
        lines = [f'{self.format}, {info.precision}, {size}, {info.outputs}; opened in {self.runtime}']
        if self.untrained:
            lines[0] += '; random weights, for timing only'
        if not self.compared:
            return f'{lines[0]}: not compared, as its runtime is not on this machine'
        for parity in self.pictures:
            logits = '' if parity.logits_max is None else f'logits within {parity.logits_max:.2g}, '
            if parity.labels_apart is not None:
                labels = f'{parity.labels_apart:.2g} of {parity.labels_compared} labels differ'
                lines.append(f'  picture of {parity.size[0]} x {parity.size[1]}: {logits}{labels}')
                continue
            boxes = ''
            if parity.boxes_max is not None:
                boxes = f'{parity.boxes_compared} boxes within {parity.boxes_max:.2g} pixels, '
            if self.tolerance.best_again is not None:
                boxes += f'{parity.best_again} of the {parity.best} best found again, '
            kept = f'{parity.kept} kept, {parity.kept_apart} of them apart'
            if info.score_thresh is not None and parity.score_thresh not in (None, info.score_thresh):
                kept += f' above {parity.score_thresh:.2g}'
                # Of int8 the maps inside are compared, whatever is kept; of others a copy where nothing is.
                if info.precision != 'int8':
                    kept += f' and without suppression, as none is above {info.score_thresh:g}'
            lines.append(f'  picture of {parity.size[0]} x {parity.size[1]}: {logits}{boxes}{kept}')
        if self.ap:
            lines.append(
                f'  AP {self.ap.ap:.4f} -> {self.ap.ap_exported:.4f}, AP50 {self.ap.ap50:.4f} -> '
                f'{self.ap.ap50_exported:.4f} on {self.ap.images} pictures of {self.ap.data}, {self.ap.split}'
            )
        if self.miou:
            lines.append(
                f'  mIoU {self.miou.miou:.4f} -> {self.miou.miou_exported:.4f} on {self.miou.images} pictures of '
                f'{self.miou.data}, {self.miou.split}'
            )
        return '\n'.join(lines)


def read_certificate(path: str | Path) -> Certificate:
    """The certificate of an exported file.

    Args:
        path: The file (of ncnn's two the .param), or folder.

    Returns:
        The certificate; `print` shows it in a few lines.

    Raises:
        ValueError: There is none, or it is damaged.

    Example:
        >>> certificate = mbv3zoo.read_certificate('model.onnx')
        >>> print(certificate)
        onnx, float32, 320 x 320, maps; opened in onnxruntime
          picture of ...
        >>> certificate.failures()
        []
    """
    data = read_certificate_data(Path(path))
    if data is None:
        raise ValueError(f'{path}: there is no certificate {certificate_path(path).name} beside it')
    return Certificate.parse(data, certificate_path(path))
