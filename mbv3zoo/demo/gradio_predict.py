"""What the Gradio app does with a picture, a frame and a video, without its widgets."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from mbv3zoo.detections import Detections
from mbv3zoo.detections.segmentation import Segmentation
from mbv3zoo.prediction.engine import finds_labels
from mbv3zoo.prediction.frames import frame_count
from mbv3zoo.prediction.predict import PredictOptions
from mbv3zoo.prediction.video import write_video_predictions
from mbv3zoo.prediction.video_source import import_av
from mbv3zoo.utils.disk import temporary_folder
from mbv3zoo.utils.text import json_text

# Most frames of one video: a public app is for everyone who waits.
MOST_FRAMES = 1800
HEADERS = ['name', 'score', 'left', 'top', 'right', 'bottom']
AREA_HEADERS = ['name', '% of the picture']


class Found(NamedTuple):
    """What was found in a picture, as the app shows it.

    Attributes:
        picture: The picture with its boxes or colours, a JPEG.
        table: A row for each object, in the columns HEADERS: pixels of the picture; or for each class of a segmenter,
            in the columns AREA_HEADERS.
        json: What `to_json` gives, with the picture's name.
        summary: One line: how many objects or classes, in how large a picture, in which time.
    """

    picture: bytes
    table: list[list[Any]]
    json: str
    summary: str


def settings_of(score: float, overlap: float, classes: Sequence[str], model: Any = None) -> PredictOptions:
    """The settings of `predict` from those of the app, of which a segmenter has none; without classes all are found."""
    if finds_labels(model):
        return {}
    return {'score_thresh': score, 'iou_thresh': overlap, 'classes': list(classes) or None}


def find_in_picture(detector: Any, path: str, **settings: Any) -> Found:
    """Finds the objects of a picture.

    Args:
        detector: Has `predict`.
        path: The picture's file.
        **settings: As for `predict`.

    Raises:
        ValueError: The picture cannot be read, or a setting is out of range. The file is named without its folder.
    """
    start = time.perf_counter()
    with _named_without_folder(path):
        found = detector.predict(path, **settings)
        milliseconds = 1000 * (time.perf_counter() - start)
        drawn = found.draw()
    found.path = Path(path).name
    if isinstance(found, Segmentation):
        table = [[name, round(100 * area, 2)] for name, area in found.areas.items()]
    else:
        table = [[row.name, round(row.score, 3), *(round(side, 1) for side in row.box)] for row in found.rows()]
    height, width = found.image_size
    summary = f'{how_much(found)} in {width} x {height} pixels, {milliseconds:.0f} ms'
    return Found(_jpeg(drawn), table, found.to_json(indent=2), summary)


def find_in_frame(detector: Any, frame: np.ndarray, **settings: Any) -> tuple[bytes, Any]:
    """Finds the objects of a webcam's frame, uint8 RGB [H, W, 3]; returns it with its boxes, a JPEG, and them."""
    found = detector.predict(frame, **settings)
    return _jpeg(found.draw(frame)), found


def find_in_video(
    detector: Any, path: str, progress: Callable[[int, int | None], None] | None = None, **settings: Any
) -> tuple[bytes, bytes, str]:
    """Finds the objects of a video's frames, of the first MOST_FRAMES.

    Args:
        detector: Has `predict`.
        path: The video's file.
        progress: Called with the number of frames that are done, and of all; None where that is not known.
        **settings: As for `predict`.

    Returns:
        The video with its boxes (MP4), the detections (JSON lines, as of `mbv3zoo predict`), and one line about them.

    Raises:
        ValueError: The file is no video, or cannot be read.
        ImportError: PyAV is not installed.
    """
    import_av()
    start = time.perf_counter()
    with temporary_folder() as folder, _named_without_folder(path):
        counting = _Counting(detector, progress, frame_count(path, 1, MOST_FRAMES))
        out = folder / 'out'
        (line,) = write_video_predictions(counting, path, out, max_frames=MOST_FRAMES, progress=False, **settings)
        seconds = time.perf_counter() - start
        summary = (
            f'{line.rpartition("; results in ")[0]}, {seconds:.1f} s ({counting.done / seconds:.1f} frames a second)'
        )
        return (out / 'video.mp4').read_bytes(), _with_path(out / 'predictions.jsonl', Path(path).name), summary


def how_much(found: Detections | Segmentation) -> str:
    """How many objects or classes were found: '1 object', '2 classes'."""
    if isinstance(found, Segmentation):
        return f'{len(found.areas)} class{"" if len(found.areas) == 1 else "es"}'
    return f'{len(found):,} object{"" if len(found) == 1 else "s"}'


class _Counting:
    """A detector that tells how many pictures it was given."""

    def __init__(self, detector: Any, progress: Callable[[int, int | None], None] | None, total: int | None) -> None:
        self.detector, self.progress, self.total, self.done = detector, progress, total, 0

    def predict(self, images: list[np.ndarray], **settings: Any) -> list[Any]:
        found = self.detector.predict(images, **settings)
        self.done += len(images)
        if self.progress:
            self.progress(self.done, self.total)
        return found


class _named_without_folder:
    """Context manager: errors name a file without its folder, which is the server's."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, ValueError) and self.path in str(error):
            raise ValueError(str(error).replace(self.path, Path(self.path).name)) from error


def _with_path(lines: Path, name: str) -> bytes:
    rows = map(json.loads, lines.read_text(encoding='utf-8').splitlines())
    return ''.join(f'{json_text({**row, "path": name})}\n' for row in rows).encode()


def _jpeg(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, 'JPEG', quality=92)
    return file.getvalue()
