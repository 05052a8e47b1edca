"""Objects in videos and from cameras, frame by frame (PyAV)."""

from __future__ import annotations

import json
import platform
import queue
import threading
import warnings
from collections.abc import Iterator
from fractions import Fraction
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple, Unpack

import numpy as np

from mbv3zoo.detections import Detections
from mbv3zoo.prediction.predict import FrameOptions
from mbv3zoo.utils.folders import check_new_folder
from mbv3zoo.utils.progress import bar

VIDEO_SUFFIXES = frozenset(['.avi', '.m4v', '.mkv', '.mov', '.mp4', '.mpeg', '.mpg', '.webm', '.wmv'])
_ADDRESSES = ('rtsp://', 'rtmp://', 'http://', 'https://')
# Where each system keeps its cameras: the name of a camera's place, and PyAV's format for it.
_CAMERAS = {'Linux': ('/dev/video{}', 'v4l2'), 'Darwin': ('{}', 'avfoundation'), 'Windows': ('video={}', 'dshow')}
# Most decoded frames in the queue.
_MOST_WAITING = 16
# Time stamps in the written video, in seconds.
_TIME_BASE = Fraction(1, 90_000)


class Frame(NamedTuple):
    """One frame of a video: its index from 0, its time in seconds, and RGB pixels, uint8 [H, W, 3]."""

    index: int  # type: ignore[assignment]  # hides tuple.index, which a frame has no use for
    time: float
    image: np.ndarray


def is_video(source: Any) -> bool:
    """Whether a source is a video file by its suffix, a URL, or a camera number."""
    text = str(source).lower()
    return text.isdigit() or text.startswith(_ADDRESSES) or Path(text).suffix in VIDEO_SUFFIXES


def iter_frames(source: str | int | Path, stride: int = 1) -> Iterator[Frame]:
    """Frames of a video, decoded lazily. The source is opened immediately.

    Args:
        source: A file, a URL (rtsp://, http://) or a camera number.
        stride: Return every stride-th frame.

    Raises:
        ValueError: It cannot be opened or has no frames, or `stride` is less than 1.
        ImportError: PyAV is not installed.
    """
    if stride < 1:
        raise ValueError(f'stride is {stride}; expected at least 1')
    return _frames(_open(source), source, stride)


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
    size = batch_size or (8 if _is_file(source) else 1)
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
        bar(_frame_count(source, stride), 'frames', show=progress) as shown,
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


def _av() -> Any:
    try:
        import av
    except ImportError as error:
        raise ImportError('videos need the package PyAV: pip install "mbv3zoo[video]"') from error
    return av


def _is_file(source: Any) -> bool:
    text = str(source).lower()
    return not (text.isdigit() or text.startswith(_ADDRESSES))


def _open(source: str | int | Path) -> Any:
    av = _av()
    place, format = str(source), None
    if place.isdigit():
        if platform.system() not in _CAMERAS:
            raise ValueError(f'camera {source}: cameras are known on {", ".join(_CAMERAS)} only')
        pattern, format = _CAMERAS[platform.system()]
        place = pattern.format(place)
    try:
        container = av.open(place, format=format)
    except (av.FFmpegError, ValueError, OSError) as error:
        raise ValueError(f'{source}: cannot be opened as a video: {error}') from error
    if not container.streams.video:
        container.close()
        raise ValueError(f'{source}: there are no pictures in it')
    return container


def _frame_count(source: str | int | Path, stride: int) -> int | None:
    if not _is_file(source):
        return None
    with _open(source) as container:
        frames = container.streams.video[0].frames
    return -(-frames // stride) or None


def _frames(container: Any, source: Any, stride: int) -> Iterator[Frame]:
    av = _av()
    with container:
        stream = container.streams.video[0]
        stream.thread_type = 'AUTO'
        rate = float(stream.average_rate or 25)
        for index, frame in enumerate(_decoded(container, stream, source, av)):
            if index % stride == 0:
                time = index / rate if frame.time is None else frame.time
                yield Frame(index, float(time), _upright(frame))


def _decoded(container: Any, stream: Any, source: Any, av: Any) -> Iterator[Any]:
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
            if packet is None:
                return
            yield from packet.decode()
        except av.EOFError:
            return
        except av.FFmpegError as error:
            warnings.warn(f'{source}: a damaged part is left out: {error}', stacklevel=2)


def _upright(frame: Any) -> np.ndarray:
    image = frame.to_ndarray(format='rgb24')
    # Phones record a rotation in metadata, in degrees counter-clockwise.
    turns = round((getattr(frame, 'rotation', 0) or 0) / 90) % 4
    return np.ascontiguousarray(np.rot90(image, turns)) if turns else image


def _predict(
    detector: Any, frames: Iterator[Frame], source: str, size: int, settings: FrameOptions
) -> Iterator[tuple[Frame, Detections]]:
    ahead = _read_ahead(frames)
    while batch := list(islice(ahead, size)):
        found = detector.predict([frame.image for frame in batch], batch_size=size, **settings)
        for frame, detections in zip(batch, found, strict=True):
            detections.path = source
            yield frame, detections


def _read_ahead(frames: Iterator[Frame]) -> Iterator[Frame]:
    """The same frames, decoded in a background thread."""
    waiting: queue.Queue = queue.Queue(_MOST_WAITING)
    stopped = threading.Event()

    def put(item: tuple[Frame | None, BaseException | None]) -> None:
        while not stopped.is_set():
            try:
                return waiting.put(item, timeout=0.1)
            except queue.Full:
                continue

    def read() -> None:
        try:
            for frame in frames:
                put((frame, None))
                if stopped.is_set():
                    return
            put((None, None))
        except BaseException as error:  # raised where frames are read
            put((None, error))

    thread = threading.Thread(target=read, name='mbv3zoo-decode', daemon=True)
    thread.start()
    try:
        while True:
            frame, error = waiting.get()
            if error is not None:
                raise error
            if frame is None:
                return
            yield frame
    finally:
        stopped.set()
        thread.join(timeout=5)


class _Writer:
    """A video that is written frame by frame; later frames of another size are scaled to the first's."""

    def __init__(self, path: Path, size: tuple[int, int]) -> None:
        av = _av()
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
        frame = _av().VideoFrame.from_ndarray(image, format='rgb24')
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
