"""The certificate beside an exported file: how far it agrees with PyTorch, and by which tolerance it was let pass."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

from pydantic import Field

from mbv3zoo.config.base import Config
from mbv3zoo.runtimes.export_info import ExportInfo, Precision


class Tolerance(Config):
    """What an exported file may differ by; where one is exceeded, nothing is exported.

    Attributes:
        letterbox: Levels of any pixel, 0..255; with torch and without it a picture is resized by two programs.
        logits: Mean difference of the logits, as a share of their standard deviation.
        boxes: Pixels, of the boxes of cells that see an object; None does not look at them.
        kept_apart: Share of the kept detections that the other one has not; None does not look at them.
        ap: Loss of AP, where it is measured.
    """

    letterbox: int = 1
    logits: Annotated[float, Field(gt=0)]
    boxes: Annotated[float, Field(gt=0)] | None = None
    kept_apart: Annotated[float, Field(ge=0, le=1)] | None = None
    ap: Annotated[float, Field(gt=0)] = 0.01


# Measured differences are some ten times less. Of int8 a single box says little: AP does.
TOLERANCES: dict[Precision, Tolerance] = {
    'float32': Tolerance(logits=1e-4, boxes=0.1, kept_apart=0.02, ap=0.001),
    'float16': Tolerance(logits=5e-3, boxes=2.0, kept_apart=0.1, ap=0.005),
    'int8': Tolerance(logits=0.25, ap=0.01),
}


class PictureParity(Config):
    """Differences between PyTorch and the file on one picture.

    Attributes:
        size: (height, width) of the picture in pixels.
        letterbox: Largest difference of a letterboxed pixel.
        logits_max, logits_mean: Largest and mean difference of the raw logits; None where the graph gives detections.
        logits_relative: The mean difference as a share of the logits' standard deviation.
        boxes_max: Largest difference of a decoded box's side in pixels, of cells whose objectness is above 0.01.
        boxes_compared: How many boxes that were.
        kept: Detections that PyTorch keeps.
        kept_apart: Detections of one of the two that the other has not: by label, and an IoU of at least 0.9.
        kept_boxes_max, kept_scores_max: Largest differences of those that both have, in pixels and in 0..1.
    """

    size: tuple[int, int]
    letterbox: int
    logits_max: float | None = None
    logits_mean: float | None = None
    logits_relative: float | None = None
    boxes_max: float | None = None
    boxes_compared: int = 0
    kept: int
    kept_apart: int
    kept_boxes_max: float
    kept_scores_max: float


class ApParity(Config):
    """AP on a labelled split before and after.

    Attributes:
        data, split: The data set.
        images: Pictures in it.
        ap, ap50: PyTorch's.
        ap_exported, ap50_exported: The file's.
    """

    data: str
    split: str
    images: int
    ap: float
    ap50: float
    ap_exported: float
    ap50_exported: float


class Certificate(Config):
    """What is written beside the file, as JSON.

    Attributes:
        info: What the file is; formats that hold no text have it here only.
        format, runtime: What was written, and what opened it for the comparison.
        versions: Of the packages that took part.
        tolerance: What was allowed.
        pictures: The comparison, picture by picture.
        ap: AP before and after, where a data set was given.
        compared: Whether the runtime was there to compare in: Core ML's is on macOS only.
    """

    info: ExportInfo
    format: str
    runtime: str
    versions: dict[str, str]
    tolerance: Tolerance
    pictures: tuple[PictureParity, ...]
    ap: ApParity | None = None
    compared: bool = True

    def failures(self) -> list[str]:
        """What exceeds the tolerance, in words."""
        limit, failed = self.tolerance, []
        for parity in self.pictures:
            place = f'on a picture of {parity.size[0]} x {parity.size[1]}'
            rows = [
                ('letterboxed pixels differ by', parity.letterbox, limit.letterbox),
                ('logits differ, relative to their spread, by', parity.logits_relative, limit.logits),
                ('boxes differ, in pixels, by', parity.boxes_max, limit.boxes),
            ]
            # One of a few is no share to speak of: it may lie on the threshold.
            if limit.kept_apart is not None and parity.kept_apart > 1:
                share = parity.kept_apart / max(parity.kept, 1)
                rows.append(('kept detections differ in a share of', share, limit.kept_apart))
            failed += [
                f'{what} {value:.3g} {place}, allowed are {most:g}'
                for what, value, most in rows
                if value is not None and most is not None and not value <= most
            ]
        if self.ap and not self.ap.ap - self.ap.ap_exported <= limit.ap:
            failed.append(f'AP falls from {self.ap.ap:.4f} to {self.ap.ap_exported:.4f}, allowed are {limit.ap:g}')
        return failed

    def summary(self) -> str:
        """The certificate in a few lines."""
        info = self.info
        size = 'any size' if info.dynamic else f'{info.image_size[0]} x {info.image_size[1]}'
        lines = [f'{self.format}, {info.precision}, {size}, {info.outputs}; opened in {self.runtime}']
        if not self.compared:
            return f'{lines[0]}: not compared, as its runtime is not on this machine'
        for parity in self.pictures:
            logits = '' if parity.logits_max is None else f'logits within {parity.logits_max:.2g}, '
            boxes = '' if parity.boxes_max is None else f'boxes within {parity.boxes_max:.2g} pixels, '
            kept = f'{parity.kept} kept, {parity.kept_apart} of them apart'
            lines.append(f'  picture of {parity.size[0]} x {parity.size[1]}: {logits}{boxes}{kept}')
        if self.ap:
            lines.append(
                f'  AP {self.ap.ap:.4f} -> {self.ap.ap_exported:.4f}, AP50 {self.ap.ap50:.4f} -> '
                f'{self.ap.ap50_exported:.4f} on {self.ap.images} pictures of {self.ap.data}, {self.ap.split}'
            )
        return '\n'.join(lines)


def certificate_path(path: str | Path) -> Path:
    """Where the certificate of a file is."""
    path = Path(path)
    return path.with_name(f'{path.name}.json')


def read_certificate(path: str | Path) -> Certificate:
    """The certificate of an exported file.

    Raises:
        ValueError: There is none, or it is damaged.
    """
    place = certificate_path(path)
    if not place.is_file():
        raise ValueError(f'{path}: there is no certificate {place.name} beside it')
    try:
        return Certificate.parse(json.loads(place.read_text(encoding='utf-8')), place)
    except json.JSONDecodeError as error:
        raise ValueError(f'{place}: it is not JSON: {error}') from error
