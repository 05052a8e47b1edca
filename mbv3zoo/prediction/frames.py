"""Frames of videos and cameras, one by one (PyAV)."""

from __future__ import annotations

import glob
import platform
import queue
import sys
import threading
import warnings
from collections.abc import Iterator
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mbv3zoo.images.opening import IMAGE_SUFFIXES, pixel_limit
from mbv3zoo.images.read import read_size
from mbv3zoo.prediction.display import pixel_aspect, upright
from mbv3zoo.prediction.numbering import FrameNumbers, frame_rate, total_frames

# Suffixes of which only videos are expected. Files with others are videos where their content is no image's.
# fmt: off
VIDEO_SUFFIXES = frozenset([
    '.264', '.265', '.3g2', '.3gp', '.amv', '.asf', '.avi', '.divx', '.dv', '.f4v', '.flv', '.gxf', '.h264', '.h265',
    '.hevc', '.ivf', '.lrv', '.m1v', '.m2t', '.m2ts', '.m2v', '.m4v', '.mjpeg', '.mjpg', '.mkv', '.mov', '.mp4',
    '.mpe', '.mpeg', '.mpg', '.mpv', '.mts', '.mxf', '.nut', '.ogm', '.ogv', '.qt', '.rm', '.rmvb', '.tod', '.trp',
    '.ts', '.vob', '.webm', '.wmv', '.wtv', '.xvid', '.y4m',
])
# fmt: on
_ADDRESSES = tuple(
    f'{scheme}://' for scheme in ('http', 'https', 'mms', 'rtmp', 'rtmps', 'rtp', 'rtsp', 'rtsps', 'srt', 'tcp', 'udp')
)
# Where each system keeps its cameras: the name of a camera's place, and PyAV's format for it.
_CAMERAS = {'Linux': ('/dev/video{}', 'v4l2'), 'Darwin': ('{}', 'avfoundation'), 'Windows': ('video={}', 'dshow')}
# What FFmpeg reads as videos and is none: text, lists of other files, and what it knows by suffix only.
_NO_VIDEOS = frozenset(
    'adf bin bitpacked concat dash hls idf lavfi rawvideo sdp tty v210 v210x xbin'.split()  # noqa: SIM905
)
# Images that are stored as videos are, often as tiles: HEIF and AVIF.
_STILL_BRANDS = frozenset(['avif', 'heic', 'heim', 'heis', 'heix', 'mif1'])
# Of FFmpeg's AV_DISPOSITION_ATTACHED_PIC: the cover of a piece of music, or of a video.
_ATTACHED_PICTURE = 1 << 10
# Most errors in a row until the rest counts as lost.
_MOST_FAILURES = 100
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


def is_video(source: Any) -> bool:
    """Whether a source is read as a video.

    That is a URL, a camera number, a name with a video's suffix, and where PyAV is installed also a file of an unknown
    suffix whose content is no image's.
    """
    text = str(source)
    if not is_file(source):
        return True
    path = Path(text)
    suffix = path.suffix.lower()
    if suffix in VIDEO_SUFFIXES:
        return not path.is_dir()
    if suffix in IMAGE_SUFFIXES or not path.is_file() or find_spec('av') is None:
        return False
    return not _is_image(path)


def is_file(source: Any) -> bool:
    """Whether a source is a file, not a URL or a camera."""
    text = str(source).lower()
    return not (text.isdigit() or text.startswith(_ADDRESSES))


def iter_frames(source: str | int | Path, stride: int = 1, max_pixels: int | None = None) -> Iterator[Frame]:
    """Frames of a video, decoded lazily. The source is opened immediately.

    Each frame is turned and mirrored as it is displayed, and has the pixels as they are stored, which are not square in
    some videos. Its index is that in the undamaged video: frames that are missing or damaged are left out, and one
    warning at the end counts them. `mbv3zoo.prediction.numbering.FrameNumbers` says what gives the index. Frames of a
    camera or a URL are counted as they arrive.

    Args:
        source: A file, a URL (rtsp://, http://) or a camera number.
        stride: Return every stride-th frame.
        max_pixels: Most pixels (width x height) of a frame, by default as for images.

    Raises:
        ValueError: It cannot be opened or has no frames, a frame has too many pixels, or a number is less than 1.
        ImportError: PyAV is not installed.
    """
    if stride < 1:
        raise ValueError(f'stride is {stride}; expected at least 1')
    limit = pixel_limit(max_pixels)
    container, stream = _open(source)
    try:
        _check_pixels(source, stream.width, stream.height, limit)
    except ValueError:
        container.close()
        raise
    return _frames(container, stream, source, stride, limit)


def frame_count(source: str | int | Path, stride: int) -> int | None:
    """Number of frames that `iter_frames` gives; None if it is unknown."""
    if not is_file(source):
        return None
    container, stream = _open(source)
    with container:
        return -(-total_frames(container, stream) // stride) or None


def read_ahead(frames: Iterator[Frame]) -> Iterator[Frame]:
    """The same frames, decoded in a background thread."""
    waiting: queue.Queue = queue.Queue(_MOST_WAITING)
    stopped = threading.Event()

    def put(item: tuple[Frame | None, BaseException | None]) -> None:
        size = 0 if item[0] is None else item[0].image.nbytes
        while not stopped.is_set():
            if waiting.qsize() * size > _MOST_BYTES:
                stopped.wait(0.01)
                continue
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


def _is_image(path: Path) -> bool:
    try:
        read_size(path, max_pixels=sys.maxsize)
    except ValueError:
        return False
    return True


def _open(source: str | int | Path) -> tuple[Any, Any]:
    """A source, opened, and its video stream."""
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
        reason = getattr(error, 'strerror', None) or error
        if isinstance(error, (av.InvalidDataError, av.EOFError)):
            reason = 'it is damaged, incomplete, empty or no video'
        raise ValueError(f'{source}: {_expected(source)}: {reason}') from error
    try:
        _check_format(container, source)
        return container, _video_stream(container, source)
    except ValueError:
        container.close()
        raise


def _check_format(container: Any, source: str | int | Path) -> None:
    """Refuses what FFmpeg reads and is no video."""
    name, brand = container.format.name, container.metadata.get('major_brand', '')
    if name.endswith('_pipe') or name == 'image2' or brand in _STILL_BRANDS:
        kind = brand or name.removesuffix('_pipe')
        raise ValueError(f'{source}: is an image ({kind}), not a video; save it as a JPEG or PNG, with that suffix')
    if is_file(source) and name in _NO_VIDEOS:
        raise ValueError(f'{source}: {_expected(source)}: FFmpeg takes it for {name}')


def _expected(source: str | int | Path) -> str:
    if glob.has_magic(str(source)) and not Path(str(source)).exists():
        return 'cannot be opened as a video; a pattern may name images only'
    if str(source).isdigit():
        return 'the camera of this number cannot be opened'
    if is_file(source) and Path(str(source)).suffix.lower() not in VIDEO_SUFFIXES:
        return 'is not an image, and cannot be opened as a video'
    return 'cannot be opened as a video'


def _video_stream(container: Any, source: str | int | Path) -> Any:
    streams = [stream for stream in container.streams.video if not _is_attached(stream)]
    if not streams:
        only = 'but the picture of a cover' if container.streams.video else 'but sound or data'
        raise ValueError(f'{source}: there are no pictures in it {only}; expected a video')
    if len(streams) > 1:
        warnings.warn(f'{source}: has {len(streams)} videos in it; the first is read', stacklevel=2)
    return streams[0]


def _check_pixels(source: Any, width: int, height: int, limit: int) -> None:
    if width * height > limit:
        raise ValueError(
            f'{source}: its frames of {width} x {height} have {width * height} pixels, more than {limit}; '
            'make it smaller, or allow more with the option max_pixels'
        )


def _is_attached(stream: Any) -> bool:
    # Older versions of PyAV do not tell; there the picture is a video of one frame.
    return bool(getattr(stream, 'disposition', 0) & _ATTACHED_PICTURE)


def _frames(container: Any, stream: Any, source: Any, stride: int, limit: int) -> Iterator[Frame]:
    with container:
        stream.thread_type = 'AUTO'
        decoded = _file_frames if is_file(source) else _live_frames
        for index, time, frame in decoded(container, stream, source):
            _check_pixels(source, frame.width, frame.height, limit)
            if index % stride == 0:
                yield Frame(index, time, upright(frame), pixel_aspect(stream, frame))


def _file_frames(container: Any, stream: Any, source: Any) -> Iterator[tuple[int, float, Any]]:
    numbers = FrameNumbers(container, stream)
    for frame in numbers.in_order(_decoded(container, stream, source, numbers)):
        yield *numbers.place(frame), frame
    numbers.finish()
    if numbers.lost:
        frames = 'frame is' if numbers.lost == 1 else 'frames are'
        warnings.warn(
            f'{source}: {numbers.lost} {frames} missing or damaged, the first after {numbers.first_lost:.2f} seconds, '
            'and left out; the others keep their index and time, and may show remains of older ones up to a key frame',
            stacklevel=2,
        )


def _live_frames(container: Any, stream: Any, source: Any) -> Iterator[tuple[int, float, Any]]:
    """Frames as they arrive, counted."""
    rate = frame_rate(stream)
    for index, frame in enumerate(_decoded(container, stream, source)):
        yield index, index / rate if frame.time is None else float(frame.time), frame


def _decoded(container: Any, stream: Any, source: Any, numbers: FrameNumbers | None = None) -> Iterator[Any]:
    """Frames that can be decoded without a fault."""
    av = import_av()
    packets, failures = container.demux(stream), 0
    while failures < _MOST_FAILURES:
        try:
            packet = next(packets)
        except (StopIteration, av.EOFError):
            return
        except av.FFmpegError:
            # A generator ends with its error.
            packets, failures = container.demux(stream), failures + 1
            continue
        failures = 0
        if numbers:
            numbers.note_packet(packet)
        try:
            frames = packet.decode()
        except av.EOFError:
            return
        except av.FFmpegError:
            frames = [None]
        for frame in frames:
            if frame is not None and not frame.is_corrupt:
                yield frame
            elif numbers:
                numbers.note_failure()
            else:
                warnings.warn(f'{source}: damaged frames are left out', stacklevel=2)
