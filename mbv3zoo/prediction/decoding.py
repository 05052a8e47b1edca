"""Decodes the packets of a video, past what is damaged (PyAV)."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

from mbv3zoo.prediction.numbering import FrameNumbers
from mbv3zoo.prediction.video_source import import_av, is_file, named

# Most errors in a row until the rest counts as lost.
_MOST_FAILURES = 100


def decoded(container: Any, stream: Any, source: Any, numbers: FrameNumbers | None = None) -> Iterator[Any]:
    """Frames that can be decoded without a fault, up to the end of the file or of the connection."""
    av = import_av()
    packets, failures = container.demux(stream), 0
    while failures < _MOST_FAILURES:
        try:
            packet = next(packets)
        except (StopIteration, av.EOFError):
            return
        except av.FFmpegError as error:
            if not (is_file(source) or isinstance(error, av.InvalidDataError)):
                # A connection that is lost stays so.
                return
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
                warnings.warn(f'{named(source)}: damaged frames are left out', stacklevel=2)
