"""Frames of videos and cameras, one by one (PyAV)."""

from __future__ import annotations

import platform
import queue
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

VIDEO_SUFFIXES = frozenset(['.avi', '.m4v', '.mkv', '.mov', '.mp4', '.mpeg', '.mpg', '.webm', '.wmv'])
_ADDRESSES = ('rtsp://', 'rtmp://', 'http://', 'https://')
# Where each system keeps its cameras: the name of a camera's place, and PyAV's format for it.
_CAMERAS = {'Linux': ('/dev/video{}', 'v4l2'), 'Darwin': ('{}', 'avfoundation'), 'Windows': ('video={}', 'dshow')}
# Most decoded frames in the queue.
_MOST_WAITING = 16


class Frame(NamedTuple):
    """One frame of a video: its index from 0, its time in seconds, and RGB pixels, uint8 [H, W, 3]."""

    index: int  # type: ignore[assignment]  # hides tuple.index, which a frame has no use for
    time: float
    image: np.ndarray


def is_video(source: Any) -> bool:
    """Whether a source is a video file by its suffix, a URL, or a camera number."""
    text = str(source).lower()
    return text.isdigit() or text.startswith(_ADDRESSES) or Path(text).suffix in VIDEO_SUFFIXES


def is_file(source: Any) -> bool:
    """Whether a source is a file, not a URL or a camera."""
    text = str(source).lower()
    return not (text.isdigit() or text.startswith(_ADDRESSES))


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


def frame_count(source: str | int | Path, stride: int) -> int | None:
    """Number of frames that `iter_frames` gives; None if it is unknown."""
    if not is_file(source):
        return None
    with _open(source) as container:
        frames = container.streams.video[0].frames
    return -(-frames // stride) or None


def read_ahead(frames: Iterator[Frame]) -> Iterator[Frame]:
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


def import_av() -> Any:
    """The package PyAV.

    Raises:
        ImportError: It is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise ImportError('videos need the package PyAV: pip install "mbv3zoo[video]"') from error
    return av


def _open(source: str | int | Path) -> Any:
    av = import_av()
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


def _frames(container: Any, source: Any, stride: int) -> Iterator[Frame]:
    av = import_av()
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
