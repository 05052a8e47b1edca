"""Writes a video, frame by frame (PyAV)."""

from __future__ import annotations

from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import numpy as np

from mbv3zoo.prediction.video_source import import_av

# Time stamps in the written video, in seconds.
_TIME_BASE = Fraction(1, 90_000)


class VideoWriter:
    """A video that is written frame by frame, a context manager. Frames of other sizes are scaled to the first's.

    Args:
        path: The file to write; its suffix says the format.
        size: (height, width) of the frames in pixels.
        pixel_aspect: Width of a pixel, divided by its height.

    Raises:
        OSError: The file cannot be written; the sentence names it. The same from `add`, and at the end.
    """

    def __init__(self, path: Path, size: tuple[int, int], pixel_aspect: Fraction = Fraction(1)) -> None:
        av = import_av()
        self.path = path
        try:
            self.container = av.open(str(path), 'w')
        except (av.FFmpegError, OSError) as error:
            raise self._failure(error) from error
        codec = 'libx264' if 'libx264' in av.codecs_available else 'mpeg4'
        self.stream = self.container.add_stream(codec, rate=30)
        # These codecs take even sides only.
        self.stream.height, self.stream.width = (max(side // 2 * 2, 2) for side in size)
        self.stream.pix_fmt = 'yuv420p'
        self.stream.codec_context.time_base = _TIME_BASE
        self.stream.codec_context.sample_aspect_ratio = pixel_aspect
        self.start: float | None = None
        self.last = -1

    def add(self, image: np.ndarray, time: float) -> None:
        """Writes a frame: RGB, uint8 [H, W, 3], and its time in seconds."""
        av = import_av()
        frame = av.VideoFrame.from_ndarray(image, format='rgb24')
        frame = frame.reformat(self.stream.width, self.stream.height, 'yuv420p')
        self.start = time if self.start is None else self.start
        # Strictly increasing, as some cameras repeat a timestamp.
        self.last = max(self.last + 1, round((time - self.start) / _TIME_BASE))
        frame.pts, frame.time_base = self.last, _TIME_BASE
        try:
            self._write(frame)
        except (av.FFmpegError, OSError) as error:
            raise self._failure(error) from error

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        av = import_av()
        failures = (av.FFmpegError, OSError)
        try:
            self._write(None)
            self.container.close()
        except failures as failure:
            with suppress(*failures):
                self.container.close()
            # An error that is under way is told, not what follows from it.
            if kind is None:
                raise self._failure(failure) from failure

    def _write(self, frame: object) -> None:
        for packet in self.stream.encode(frame):
            self.container.mux(packet)

    def _failure(self, error: Exception) -> OSError:
        return OSError(f'{self.path}: cannot be written: {getattr(error, "strerror", None) or error}')
