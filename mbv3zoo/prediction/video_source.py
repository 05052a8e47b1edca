"""Opens videos: files, URLs and cameras (PyAV)."""

from __future__ import annotations

import glob
import platform
import re
import sys
import warnings
from pathlib import Path
from typing import Any

from mbv3zoo.images.animation import is_animation
from mbv3zoo.images.opening import IMAGE_SUFFIXES
from mbv3zoo.images.read import read_size
from mbv3zoo.utils.packages import import_package, is_installed
from mbv3zoo.utils.text import without_password

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
# The number of a camera, or its device as Linux names it.
_CAMERA = re.compile(r'(?:/dev/video)?(\d+)')
# Seconds until a server that does not answer, or a stream that stands still, counts as lost.
_TIMEOUT = (10.0, 30.0)
# What FFmpeg reads as videos and is none: text, lists of other files, and what it knows by suffix only.
_NO_VIDEOS = frozenset(
    'adf bin bitpacked concat dash hls idf lavfi rawvideo sdp tty v210 v210x xbin'.split()  # noqa: SIM905
)
# Images that are stored as videos are, often as tiles: HEIF and AVIF.
_STILL_BRANDS = frozenset(['avif', 'heic', 'heim', 'heis', 'heix', 'mif1'])
# Of FFmpeg's AV_DISPOSITION_ATTACHED_PIC: the cover of a piece of music, or of a video.
_ATTACHED_PICTURE = 1 << 10


def is_video(source: Any) -> bool:
    """Whether a source is read as a video.

    That is a URL, a camera number, a name with a video's suffix, an animation (GIF, WebP, APNG), and where PyAV is
    installed also a file of an unknown suffix whose content is no image's.
    """
    text = str(source)
    if not is_file(source):
        return True
    path = Path(text)
    suffix = path.suffix.lower()
    if suffix in VIDEO_SUFFIXES:
        return not path.is_dir()
    if not path.is_file():
        return False
    if is_animation(path):
        return True
    if suffix in IMAGE_SUFFIXES or not is_installed('av'):
        return False
    return not _is_image(path)


def is_file(source: Any) -> bool:
    """Whether a source is a file, not a URL or a camera."""
    return not (_CAMERA.fullmatch(str(source)) or str(source).lower().startswith(_ADDRESSES))


def is_live(source: Any, container: Any) -> bool:
    """Whether frames come when they come: from a camera, or from a URL whose length nobody knows."""
    return bool(_CAMERA.fullmatch(str(source))) or (not is_file(source) and not container.duration)


def named(source: Any) -> str:
    """A source as messages and results name it: a URL without its password."""
    return without_password(str(source))


def import_av() -> Any:
    """The package PyAV.

    Raises:
        ImportError: It is not installed, or does not work.
    """
    return import_package('a video', 'av')


def check_installed(source: Any, draw: bool) -> None:
    """Raises ImportError, with what to install, where a video cannot be read, or not be drawn, without PyAV."""
    if draw or not (is_file(source) and is_animation(str(source))):
        import_package(f'{named(source)}: a video', 'av')


def open_video(source: str | int | Path) -> tuple[Any, Any]:
    """A source, opened, and its video stream."""
    av = import_av()
    place, format = str(source), None
    options: dict[str, Any] = {}
    if camera := _CAMERA.fullmatch(place):
        if platform.system() not in _CAMERAS:
            raise ValueError(f'camera {source}: cameras are known on {", ".join(_CAMERAS)} only')
        pattern, format = _CAMERAS[platform.system()]
        place = pattern.format(camera[1])
    elif not is_file(source):
        options['timeout'] = _TIMEOUT
        if place.lower().startswith('rtsp'):
            # Over UDP, which FFmpeg would try first, packets are lost, and pictures with them.
            options['options'] = {'rtsp_flags': 'prefer_tcp'}
    try:
        container = av.open(place, format=format, **options)
    except (av.FFmpegError, ValueError, OSError) as error:
        reason = getattr(error, 'strerror', None) or error
        if isinstance(error, (av.InvalidDataError, av.EOFError)):
            reason = 'it is damaged, incomplete, empty or no video'
        raise ValueError(f'{named(source)}: {_expected(source)}: {reason}') from error
    try:
        _check_format(container, source)
        return container, _video_stream(container, source)
    except ValueError:
        container.close()
        raise


def _check_format(container: Any, source: str | int | Path) -> None:
    """Refuses what FFmpeg reads and is no video."""
    name, brand = container.format.name, container.metadata.get('major_brand', '')
    address = named(source)
    if name.endswith('_pipe') or name == 'image2' or brand in _STILL_BRANDS:
        kind = brand or name.removesuffix('_pipe')
        raise ValueError(f'{address}: is an image ({kind}), not a video; save it as a JPEG or PNG, with that suffix')
    if is_file(source) and name in _NO_VIDEOS:
        raise ValueError(f'{source}: {_expected(source)}: FFmpeg takes it for {name}')


def _expected(source: str | int | Path) -> str:
    if glob.has_magic(str(source)) and not Path(str(source)).exists():
        return 'cannot be opened as a video; a pattern may name images only'
    if _CAMERA.fullmatch(str(source)):
        return 'the camera of this number cannot be opened'
    if is_file(source) and Path(str(source)).suffix.lower() not in VIDEO_SUFFIXES:
        return 'is not an image, and cannot be opened as a video'
    return 'cannot be opened as a video'


def _video_stream(container: Any, source: str | int | Path) -> Any:
    streams = [stream for stream in container.streams.video if not _is_attached(stream)]
    if not streams:
        only = 'but the picture of a cover' if container.streams.video else 'but sound or data'
        raise ValueError(f'{named(source)}: there are no pictures in it {only}; expected a video')
    if len(streams) > 1:
        warnings.warn(f'{named(source)}: has {len(streams)} videos in it; the first is read', stacklevel=2)
    return streams[0]


def _is_image(path: Path) -> bool:
    try:
        read_size(path, max_pixels=sys.maxsize)
    except ValueError:
        return False
    return True


def _is_attached(stream: Any) -> bool:
    # Older versions of PyAV do not tell; there the picture is a video of one frame.
    return bool(getattr(stream, 'disposition', 0) & _ATTACHED_PICTURE)
