"""Objects, or classes of pixels, in videos and from cameras, frame by frame (PyAV)."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, closing, nullcontext
from itertools import chain, islice
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from mbv3zoo.detections import Detections
from mbv3zoo.prediction.engine import check_detects
from mbv3zoo.prediction.frames import Frame, frame_count, open_frames, read_ahead
from mbv3zoo.prediction.predict import FrameOptions
from mbv3zoo.prediction.tracking import Tracker
from mbv3zoo.prediction.video_file import VideoWriter
from mbv3zoo.prediction.video_source import check_installed, is_file, named
from mbv3zoo.prediction.window import Window
from mbv3zoo.utils.disk import make_folder, told, why
from mbv3zoo.utils.folders import check_new_folder
from mbv3zoo.utils.progress import bar
from mbv3zoo.utils.sizes import MOST_IMAGES, whole_number
from mbv3zoo.utils.text import json_text


def predict_video(
    detector: Any,
    source: str | int | Path,
    *,
    stride: int = 1,
    max_frames: int | None = None,
    track: bool = False,
    batch_size: int | None = None,
    max_pixels: int | None = None,
    **settings: Unpack[FrameOptions],
) -> Generator[tuple[Frame, Any]]:
    """Finds objects, or the class of every pixel, in each frame, while a thread decodes further ones.

    Of cameras and of streams without an end, each frame that the detector gets is the newest one: where it is slower
    than the stream, frames between are left out, which their `index` shows. Of files none is.

    Args:
        detector: Has `predict`: a `Detector`, a `Segmenter` or what an exported file holds.
        source, stride, max_pixels: As for `iter_frames`.
        max_frames: End after this many frames.
        track: Whether objects keep a number from frame to frame (`mbv3zoo.prediction.tracking.Tracker`): the detections
            are those with one, in `track_ids`. A box below `score_thresh` is among them where it continues a track.
        batch_size: Frames per batch; 8 for files, and 1 for cameras and URLs, to keep the latency low.
        **settings: As for `predict`.

    Yields:
        Each frame with its detections or its segmentation, whose `path` is the source.

    Raises:
        ValueError: As `iter_frames`, or a segmenter's results are to be tracked.
        ImportError: PyAV is not installed, or to track, the package trackers.
    """
    if track:
        check_detects(detector, ['track'])
    tracker = Tracker(detector, settings.get('score_thresh')) if track else None
    if tracker:
        settings['score_thresh'] = tracker.score_thresh
    size = (8 if is_file(source) else 1) if batch_size is None else batch_size
    whole_number(size, 'batch_size', 1, MOST_IMAGES)
    if max_frames is not None:
        whole_number(max_frames, 'max_frames', 1, sys.maxsize)
    frames, live = open_frames(source, stride, max_pixels)
    found = _predict(detector, read_ahead(frames, newest=live), max_frames, named(source), size, settings)
    return _tracked(found, tracker) if tracker else found


def write_video_predictions(
    detector: Any,
    source: str | int | Path,
    out: str | Path,
    *,
    draw: bool = True,
    show: bool = False,
    stride: int = 1,
    max_frames: int | None = None,
    track: bool = False,
    batch_size: int | None = None,
    max_pixels: int | None = None,
    progress: bool = True,
    **settings: Unpack[FrameOptions],
) -> Iterator[str]:
    """Writes `predictions.jsonl`, one line per frame, immediately, and `video.mp4` with what is found drawn.

    Interrupting it (Ctrl-C) ends a camera's video and leaves both files complete. If one of them cannot be written on,
    as the disk is full, `predictions.jsonl` keeps its whole lines.

    Args:
        detector, source, stride, max_frames, track, batch_size, max_pixels, **settings: As for `predict_video`.
        out: Folder for the results; must not exist yet, or be empty.
        draw: Whether to write the video, which takes longer than the prediction.
        show: Whether to show the frames with their boxes in a window, until the end or until it is closed. Where there
            is no display, a warning says so.
        progress: Whether to show a progress bar.

    Yields:
        At the end, the number of frames and of objects, and the folder.

    Raises:
        ValueError, ImportError: As `predict_video`, or the folder is in use. Nothing is written then.
        OSError: A file cannot be written.
    """
    out = Path(out)
    check_new_folder(out)
    check_installed(source, draw)
    found = predict_video(
        detector,
        source,
        stride=stride,
        max_frames=max_frames,
        track=track,
        batch_size=batch_size,
        max_pixels=max_pixels,
        **settings,
    )
    first = next(found, None)
    if first is None:
        raise ValueError(f'{named(source)}: there is no frame in it that can be decoded')
    make_folder(out)
    size, pixel_aspect = first[0].image.shape[:2], first[0].pixel_aspect
    frames = objects = left_out = 0
    counts = isinstance(first[1], Detections)
    with (
        closing(found),
        _window(named(source), draw) if show else nullcontext() as window,
        _Lines(out / 'predictions.jsonl') as lines,
        VideoWriter(out / 'video.mp4', size, pixel_aspect) if draw else nullcontext() as video,
        bar(frame_count(source, stride, max_frames), 'video', progress, 'frames') as shown,
    ):
        try:
            for frame, own in chain([first], found):
                lines.add({'index': frame.index, 'time': round(frame.time, 6), **own.to_dict()})
                picture = own.draw(frame.image) if video or window else None
                if video and picture:
                    video.add(np.asarray(picture), frame.time)
                frames, objects = frames + 1, objects + (len(own) if counts else 0)
                # Frames that arrive are counted; gaps in a file's numbers are damage.
                left_out = 0 if is_file(source) else frame.index // stride + 1 - frames
                shown.update()
                if window and picture:
                    window.add(picture)
                    if not window.is_open:
                        break
        except KeyboardInterrupt:
            warnings.warn(f'{named(source)}: interrupted after {frames} frames', stacklevel=2)
    slow = f' ({_count(left_out, "frame")} left out, as they came faster than the detector)' if left_out else ''
    found_in = f', {_count(objects, "object")}' if counts else ''
    yield f'{_count(frames, "frame")}{slow}{found_in}; results in {out}'


def _window(title: str, draw: bool) -> AbstractContextManager[Window | None]:
    """A window for the frames; None where there is no display."""
    try:
        return Window(title)
    except RuntimeError as error:
        where = 'the frames are written to video.mp4 only' if draw else 'the frames are shown nowhere'
        warnings.warn(f'show: {error}; {where}', stacklevel=3)
        return nullcontext()


def _count(number: int, what: str) -> str:
    return f'{number} {what}{"" if number == 1 else "s"}'


def _predict(
    detector: Any,
    ahead: Generator[Frame],
    max_frames: int | None,
    source: str,
    size: int,
    settings: FrameOptions,
) -> Generator[tuple[Frame, Any]]:
    with closing(ahead):
        frames = islice(ahead, max_frames)
        while batch := list(islice(frames, size)):
            found = detector.predict([frame.image for frame in batch], batch_size=size, **settings)
            for frame, own in zip(batch, found, strict=True):
                own.path = source
                yield frame, own


def _tracked(found: Generator[tuple[Frame, Detections]], tracker: Tracker) -> Generator[tuple[Frame, Detections]]:
    with closing(found):
        for frame, detections in found:
            yield frame, tracker.add(detections)


class _Lines:
    """A file of JSON lines that holds whole ones only; a context manager."""

    def __init__(self, path: Path) -> None:
        self.path = path
        # Unbuffered: each line is there at once, and no part of one is left to be written when closing.
        self.file = open(path, 'wb', buffering=0)  # noqa: SIM115

    def add(self, row: dict[str, Any]) -> None:
        line = memoryview(f'{json_text(row)}\n'.encode())
        end = self.file.tell()
        try:
            while line:
                line = line[self.file.write(line) :]
        except OSError as error:
            self.file.truncate(end)
            message = f'{self.path}: cannot be written: {why(error, self.path.parent)}; the lines before are whole'
            raise told(error, message) from error

    def __enter__(self) -> _Lines:
        return self

    def __exit__(self, *error: object) -> None:
        self.file.close()
