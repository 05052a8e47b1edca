"""Frames of videos and cameras, one by one (PyAV)."""

from __future__ import annotations

import queue
import threading
import warnings
from collections.abc import Generator, Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mbv3zoo.images.animation import is_animation, read_animation
from mbv3zoo.images.opening import pixel_limit
from mbv3zoo.images.read import read_size
from mbv3zoo.prediction.decoding import decoded
from mbv3zoo.prediction.display import pixel_aspect, upright
from mbv3zoo.prediction.live import live_frames
from mbv3zoo.prediction.numbering import FrameNumbers, frame_rate, total_frames
from mbv3zoo.prediction.video_source import is_file, is_live, named, open_video
from mbv3zoo.utils.sizes import whole_number

# Most decoded frames in the queue, and about the most bytes of them.
_MOST_WAITING = 16
_MOST_BYTES = 1 << 29


class Frame(NamedTuple):
    """One frame of a video.

    Attributes:
        index: Its number in the undamaged video, from 0.
        time: In seconds.
        image: RGB pixels as they are displayed, uint8 [H, W, 3].
        pixel_aspect: Width of a pixel, divided by its height.
    """

    index: int  # type: ignore[assignment]  # hides tuple.index, which a frame has no use for
    time: float
    image: np.ndarray
    pixel_aspect: Fraction = Fraction(1)


def iter_frames(source: str | int | Path, stride: int = 1, max_pixels: int | None = None) -> Iterator[Frame]:
    """Frames of a video, decoded lazily. The source is opened immediately.

    Each frame is turned and mirrored as it is displayed, and has the pixels as they are stored, which are not square in
    some videos. Its index is that in the undamaged video: frames that are missing or damaged are left out, and one
    warning at the end counts them. `mbv3zoo.prediction.numbering.FrameNumbers` says what gives the index. Frames of a
    camera or a URL are counted as they arrive.

    Args:
        source: A file (a video, or an animated GIF, WebP or PNG), a URL (rtsp://, http://) or a camera number.
        stride: Return every stride-th frame.
        max_pixels: Most pixels (width x height) of a frame, by default as for images.

    Raises:
        ValueError: It cannot be opened or has no frames, a frame has too many pixels, or a number is less than 1.
        ImportError: PyAV is not installed, which all but animations need.
    """
    return open_frames(source, stride, max_pixels)[0]


def open_frames(source: str | int | Path, stride: int, max_pixels: int | None) -> tuple[Iterator[Frame], bool]:
    """What `iter_frames` gives, and whether it is live: a camera, or a stream without an end."""
    whole_number(stride, 'stride', 1, 1_000_000)
    limit = pixel_limit(max_pixels)
    if is_file(source) and is_animation(str(source)):
        read_size(str(source), limit)
        return _animated(str(source), stride, limit), False
    container, stream = open_video(source)
    live = is_live(source, container)
    try:
        _check_pixels(source, stream.width, stream.height, limit)
    except ValueError:
        container.close()
        raise
    return _frames(container, stream, source, stride, limit, live), live


def frame_count(source: str | int | Path, stride: int, most: int | None = None) -> int | None:
    """Number of frames that `iter_frames` gives, at most `most`; None if it is unknown."""
    if not is_file(source) or is_animation(str(source)):
        return most
    container, stream = open_video(source)
    with container:
        count = -(-total_frames(container, stream) // stride) or None
    return count if most is None else min(count or most, most)


def read_ahead(frames: Iterator[Frame], newest: bool = False) -> Generator[Frame]:
    """The same frames, decoded in a background thread.

    Args:
        frames: To be decoded; closed by nobody else.
        newest: Whether a frame that is not fetched until the next one is decoded is left out: what is fetched is then
            never old, however slow the reader is. Otherwise decoding waits.
    """
    waiting: queue.Queue = queue.Queue(1 if newest else _MOST_WAITING)
    stopped = threading.Event()

    def put(item: tuple[Frame | None, BaseException | None]) -> None:
        size = 0 if item[0] is None else item[0].image.nbytes
        # What is last waits, so that no end hides a frame.
        replace = newest and item[0] is not None
        while not stopped.is_set():
            if not newest and waiting.qsize() * size > _MOST_BYTES:
                stopped.wait(0.01)
                continue
            try:
                return waiting.put(item, timeout=0.0 if replace else 0.1)
            except queue.Full:
                if replace:
                    with suppress(queue.Empty):
                        waiting.get_nowait()

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


def _check_pixels(source: Any, width: int, height: int, limit: int) -> None:
    if width * height > limit:
        raise ValueError(
            f'{named(source)}: its frames of {width} x {height} have {width * height} pixels, more than {limit}; '
            'make it smaller, or allow more with the option max_pixels'
        )


def _animated(source: str, stride: int, limit: int) -> Iterator[Frame]:
    for index, (time, image) in enumerate(read_animation(source, limit)):
        if index % stride == 0:
            yield Frame(index, time, image)


def _frames(container: Any, stream: Any, source: Any, stride: int, limit: int, live: bool) -> Iterator[Frame]:
    placed = _file_frames if is_file(source) else live_frames if live else _counted_frames
    for index, time, frame, of in placed(container, stream, source):
        _check_pixels(source, frame.width, frame.height, limit)
        if index % stride == 0:
            yield Frame(index, time, upright(frame), pixel_aspect(of, frame))


def _counted_frames(container: Any, stream: Any, source: Any) -> Iterator[tuple[int, float, Any, Any]]:
    """Frames of a file that a server has."""
    rate = frame_rate(stream)
    with container:
        for index, frame in enumerate(decoded(container, stream, source)):
            yield index, index / rate if frame.time is None else float(frame.time), frame, stream


def _file_frames(container: Any, stream: Any, source: Any) -> Iterator[tuple[int, float, Any, Any]]:
    numbers = FrameNumbers(container, stream)
    with container:
        stream.thread_type = 'AUTO'
        for frame in numbers.in_order(decoded(container, stream, source, numbers)):
            yield *numbers.place(frame), frame, stream
    numbers.finish()
    if numbers.lost:
        frames = 'frame is' if numbers.lost == 1 else 'frames are'
        warnings.warn(
            f'{source}: {numbers.lost} {frames} missing or damaged, the first after {numbers.first_lost:.2f} seconds, '
            'and left out; the others keep their index and time, and may show remains of older ones up to a key frame',
            stacklevel=2,
        )
