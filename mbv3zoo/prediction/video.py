"""Objects in videos and from cameras, frame by frame (PyAV)."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from fractions import Fraction
from itertools import chain, islice
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from mbv3zoo.detections import Detections
from mbv3zoo.prediction.frames import Frame, frame_count, import_av, is_file, iter_frames, read_ahead
from mbv3zoo.prediction.predict import FrameOptions
from mbv3zoo.utils.folders import check_new_folder
from mbv3zoo.utils.progress import bar

# Time stamps in the written video, in seconds.
_TIME_BASE = Fraction(1, 90_000)


def predict_video(
    detector: Any,
    source: str | int | Path,
    *,
    stride: int = 1,
    batch_size: int | None = None,
    **settings: Unpack[FrameOptions],
) -> Iterator[tuple[Frame, Detections]]:
    """Finds objects in each frame; a thread decodes a few frames ahead.

    Args:
        detector: Has `predict`: a `Detector` or an exported file's.
        source, stride: As for `iter_frames`.
        batch_size: Frames per batch; 8 for files, and 1 for cameras and URLs, to keep the latency low.
        **settings: As for `predict`.

    Yields:
        Each frame with its detections, whose `path` is the source.

    Raises:
        ValueError, ImportError: As `iter_frames`.
    """
    frames = iter_frames(source, stride)
    size = batch_size or (8 if is_file(source) else 1)
    if size < 1:
        raise ValueError(f'batch_size is {size}; expected at least 1')
    return _predict(detector, frames, str(source), size, settings)


def write_video_predictions(
    detector: Any,
    source: str | int | Path,
    out: str | Path,
    *,
    stride: int = 1,
    batch_size: int | None = None,
    progress: bool = True,
    **settings: Unpack[FrameOptions],
) -> Iterator[str]:
    """Writes `video.mp4` with the boxes drawn, and `predictions.jsonl`, one line per frame, immediately.

    Interrupting it (Ctrl-C) ends a camera's video and leaves both files complete.

    Args:
        detector, source, stride, batch_size, **settings: As for `predict_video`.
        out: Folder for the results; must not exist yet, or be empty.
        progress: Whether to show a progress bar.

    Yields:
        At the end, the number of frames and objects, and the folder.

    Raises:
        ValueError, ImportError: As `predict_video`, or the folder is in use. Nothing is written then.
    """
    out = Path(out)
    check_new_folder(out)
    found = predict_video(detector, source, stride=stride, batch_size=batch_size, **settings)
    first = next(found, None)
    if first is None:
        raise ValueError(f'{source}: there is no frame in it that can be decoded')
    out.mkdir(parents=True, exist_ok=True)
    frames = objects = 0
    with (
        open(out / 'predictions.jsonl', 'w', encoding='utf-8') as lines,
        _Writer(out / 'video.mp4', first[0].image.shape[:2]) as video,
        bar(frame_count(source, stride), 'frames', show=progress) as shown,
    ):
        try:
            for frame, detections in chain([first], found):
                row = {'index': frame.index, 'time': round(frame.time, 6), **detections.to_dict()}
                lines.write(json.dumps(row, ensure_ascii=False) + '\n')
                lines.flush()
                video.add(np.asarray(detections.draw(frame.image)), frame.time)
                frames, objects = frames + 1, objects + len(detections)
                shown.update()
        except KeyboardInterrupt:
            warnings.warn(f'{source}: interrupted after {frames} frames', stacklevel=2)
    yield f'{frames} frames, {objects} objects; results in {out}'


def _predict(
    detector: Any, frames: Iterator[Frame], source: str, size: int, settings: FrameOptions
) -> Iterator[tuple[Frame, Detections]]:
    ahead = read_ahead(frames)
    while batch := list(islice(ahead, size)):
        found = detector.predict([frame.image for frame in batch], batch_size=size, **settings)
        for frame, detections in zip(batch, found, strict=True):
            detections.path = source
            yield frame, detections


class _Writer:
    """A video that is written frame by frame; later frames of another size are scaled to the first's."""

    def __init__(self, path: Path, size: tuple[int, int]) -> None:
        av = import_av()
        self.container = av.open(str(path), 'w')
        codec = 'libx264' if 'libx264' in av.codecs_available else 'mpeg4'
        self.stream = self.container.add_stream(codec, rate=30)
        # These codecs take even sides only.
        self.stream.height, self.stream.width = (max(side // 2 * 2, 2) for side in size)
        self.stream.pix_fmt = 'yuv420p'
        self.stream.codec_context.time_base = _TIME_BASE
        self.start: float | None = None
        self.last = -1

    def add(self, image: np.ndarray, time: float) -> None:
        frame = import_av().VideoFrame.from_ndarray(image, format='rgb24')
        frame = frame.reformat(self.stream.width, self.stream.height, 'yuv420p')
        self.start = time if self.start is None else self.start
        # Strictly increasing, as some cameras repeat a timestamp.
        self.last = max(self.last + 1, round((time - self.start) / _TIME_BASE))
        frame.pts, frame.time_base = self.last, _TIME_BASE
        for packet in self.stream.encode(frame):
            self.container.mux(packet)

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, *error: object) -> None:
        for packet in self.stream.encode(None):
            self.container.mux(packet)
        self.container.close()
