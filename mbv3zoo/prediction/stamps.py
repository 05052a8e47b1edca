"""Timestamps of decoded frames, put right where FFmpeg derives them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from heapq import heappop, heappush
from typing import Any

# Most frames that a decoder holds back to put them in the order of display (H.264, HEVC).
_MOST_REORDERED = 16
# Most frames of an mpg between two timestamps that are stored.
_MOST_LATE = 32


def sorted_stamps(frames: Iterator[Any]) -> Iterator[Any]:
    """The frames with their timestamps sorted: an avi's are those of the order in the file."""
    waiting: deque[Any] = deque()
    stamps: list[int] = []

    def next_frame() -> Any:
        frame = waiting.popleft()
        frame.pts = heappop(stamps)
        return frame

    for frame in frames:
        if frame.pts is None:
            continue
        waiting.append(frame)
        heappush(stamps, frame.pts)
        if len(waiting) > _MOST_REORDERED:
            yield next_frame()
    while waiting:
        yield next_frame()


def without_slips(frames: Iterator[Any], unit: int) -> Iterator[Any]:
    """The frames of an mpg, with timestamps put right that FFmpeg derives wrong.

    An mpg stores a timestamp every few frames. Where the bytes that begin a frame are split, those that follow are a
    frame late, or two early, up to the next one that is stored.

    Args:
        frames: In the order of display.
        unit: Timestamps from one frame to the next.
    """
    late: list[Any] = []
    has_gap = False
    excess = early = 0
    last: int | None = None

    def moved_back(count: int) -> list[Any]:
        for frame in late:
            frame.pts -= count * unit
        return late

    for frame in frames:
        step = 1 if frame.pts is None or last is None else round((frame.pts - last) / unit)
        last = frame.pts
        if step < 1 or len(late) > _MOST_LATE:
            # The frames before were late as far as this one makes up for, and this one is early for the rest.
            back = min(excess, max(0, 1 - step))
            yield from moved_back(back)
            early += max(0, 1 - step - back)
            late, excess, step = [], 0, 1
        elif step > 1:
            paid = min(early, step - 1)
            early, step = early - paid, step - paid
        if frame.pts is not None:
            frame.pts += early * unit
        if step > 1:
            yield from late
            late, excess, has_gap = [], step - 1, has_gap or step > 2
        if excess:
            late.append(frame)
        else:
            yield frame
    # At the end no frame tells late ones from a missing one, unless the file has lost others.
    yield from moved_back(1 if excess == 1 and not has_gap else 0)
