"""Frames of cameras and of streams without an end, over connections that may be lost (PyAV)."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Iterator
from typing import Any

from mbv3zoo.prediction.decoding import decoded
from mbv3zoo.prediction.numbering import frame_rate
from mbv3zoo.prediction.video_source import named, open_video

# Pauses in seconds before a lost source is opened again.
PAUSES = (1.0, 2.0, 4.0)
# Formats whose frames have no time of their own: they count as shown when they arrive.
_TIMELESS = frozenset(['mjpeg', 'mpjpeg'])
_log = logging.getLogger(__name__)


def live_frames(container: Any, stream: Any, source: Any) -> Iterator[tuple[int, float, Any, Any]]:
    """Frames as they arrive: their count, seconds since the first one, the frame and its stream.

    A source that ends or is lost is opened again, after each of `PAUSES`; where none of them helps, a warning says so.
    """
    index, tries, last, arrived = 0, 0, 0.0, time.monotonic()
    while True:
        first = None
        for frame, moment in _timed(container, stream, source):
            if first is None:
                # The first frame of all is at 0; those of a later connection go on by the clock.
                first = moment - (last + time.monotonic() - arrived if index else 0.0)
            tries, last, arrived = 0, max(moment - first, last), time.monotonic()
            yield index, last, frame, stream
            index += 1
        if not index:
            return
        if not tries:
            _log.warning('%s: the stream stopped after %d frames; opening it again', named(source), index)
        reason = 'nothing came'
        while tries < len(PAUSES):
            time.sleep(PAUSES[tries])
            tries += 1
            try:
                container, stream = open_video(source)
                break
            except ValueError as error:
                reason = str(error)
        else:
            name = named(source)
            message = f'{name}: the stream ended after {index} frames, and {tries} tries to open it again failed'
            warnings.warn(f'{message}: {reason.removeprefix(f"{name}: ")}', stacklevel=2)
            return


def _timed(container: Any, stream: Any, source: Any) -> Iterator[tuple[Any, float]]:
    """Frames of one connection, with a time in seconds."""
    rate, timeless = frame_rate(stream), container.format.name in _TIMELESS
    with container:
        for count, frame in enumerate(decoded(container, stream, source)):
            moment = time.monotonic() if timeless else count / rate if frame.time is None else float(frame.time)
            yield frame, moment
