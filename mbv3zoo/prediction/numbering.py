"""Which frame of the undamaged video each decoded one is."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from mbv3zoo.prediction.stamps import sorted_stamps, without_slips

# What writers that cannot go back to an avi's header leave there.
_UNKNOWN_LENGTH = 1 << 30
# A step between two frames that is this far from whole frames means a variable rate; in frames.
_OFF_THE_GRID = 0.2
# Rounding errors add up over longer steps.
_LONG_STEP = 10


class FrameNumbers:
    """Numbers the frames of a file, so that frames which are lost leave a gap.

    - mp4 and mov list their frames: the index is the rank of the frame's timestamp among all that are listed.
    - avi lists where each frame is stored, and has no timestamps: the list gives the index and the time.
    - Else, where the frame rate is constant, the index follows from the timestamps.
    - Else nothing tells a lost frame from a long one, and frames are counted, with those that could not be decoded.

    Args:
        container: Open for reading, at its start (PyAV).
        stream: Its video stream.

    Attributes:
        lost: Frames that are missing so far.
        first_lost: Time in seconds before the first gap.
    """

    def __init__(self, container: Any, stream: Any) -> None:
        self._stream = stream
        self._rate = frame_rate(stream)
        self._formats = _formats(container)
        self._is_avi, is_mp4 = 'avi' in self._formats, 'mp4' in self._formats
        self._chunks = _chunks(stream) if self._is_avi else {}
        self._listed: list[int] | None = sorted(self._chunks.values()) or ([] if is_mp4 and stream.frames else None)
        # An avi counts its chunks, and some of them are empty.
        self._is_constant = not self._is_avi and _has_constant_rate(stream)
        self._total = total_frames(container, stream)
        self._discarded = self._failed = 0
        self._last_chunk = self._index = -1
        self._time = 0.0
        self.lost = 0
        self.first_lost = 0.0

    def note_packet(self, packet: Any) -> None:
        """To be called with each packet before it is decoded; corrects the timestamps of an avi."""
        if not packet.size or packet.dts is None:
            return
        if getattr(packet, 'is_discard', False):
            self._discarded += 1
        elif self._is_avi:
            chunk = self._chunks.get(packet.pos)
            if chunk is None and self._last_chunk < 0:
                # Without its list, or in a layout that is not known here, FFmpeg counts.
                self._chunks, self._listed = {}, None
            if self._chunks:
                packet.dts = self._last_chunk = self._last_chunk + 1 if chunk is None else chunk
            packet.pts = packet.dts
        elif self._listed is not None and packet.pts is not None:
            insort(self._listed, packet.pts)

    def note_failure(self) -> None:
        """To be called where a packet cannot be read or decoded, and for a frame that is left out."""
        self._failed += 1

    def in_order(self, frames: Iterator[Any]) -> Iterator[Any]:
        """The frames, their timestamps put right where FFmpeg derives them."""
        if self._is_avi and self._stream.codec_context.has_b_frames:
            return sorted_stamps(frames)
        if 'mpeg' in self._formats and self._is_constant:
            return without_slips(frames, round(1 / (self._rate * self._stream.time_base)))
        return frames

    def place(self, frame: Any) -> tuple[int, float]:
        """Index, from 0, and time in seconds of the next frame."""
        before, time = self._index, frame.time
        if self._listed is not None and frame.pts is not None:
            self._index = max(before + 1, bisect_left(self._listed, frame.pts))
        elif before < 0:
            self._index = self._lost_before(time)
        else:
            self._index += self._step(time)
        if self._index > before + 1:
            self._lose(self._index - before - 1)
        self._time = self._index / self._rate if time is None else float(time)
        self._failed = 0
        return self._index, self._time

    def finish(self) -> None:
        """To be called at the end: counts what is missing there."""
        if self._listed is None and not self._is_constant:
            return
        missing = self._total - self._discarded - self._index - 1
        # Rounding, and packets without a frame, make a difference of one without any damage.
        if missing > 1 or (missing == 1 and (self.lost or self._failed)):
            self._lose(missing)

    def _step(self, time: float | None) -> int:
        """Frames from the last one to this one."""
        if self._is_constant and time is not None:
            step = (time - self._time) * self._rate
            tick = float(self._stream.time_base or 0) * self._rate
            if step > _LONG_STEP or abs(step - round(step)) <= _OFF_THE_GRID + tick:
                return max(1, round(step))
            self._is_constant = False
        return 1 + self._failed

    def _lost_before(self, time: float | None) -> int:
        """Frames before the first one that was decoded."""
        if not self._failed:
            return 0
        if self._is_constant and time is not None and self._stream.start_time is not None:
            start = float(self._stream.start_time * self._stream.time_base)
            return max(0, round((time - start) * self._rate))
        return self._failed

    def _lose(self, count: int) -> None:
        if not self.lost:
            self.first_lost = self._time
        self.lost += count


def frame_rate(stream: Any) -> float:
    """Frames per second of a stream, or 25 if it does not say."""
    return float(stream.average_rate or stream.guessed_rate or 25)


def total_frames(container: Any, stream: Any) -> int:
    """Number of frames that a file should have; 0 if it is unknown."""
    formats = _formats(container)
    if 'avi' in formats and (chunks := _chunks(stream)):
        # Without the list at the end of the file FFmpeg knows what it has read, and the header counts all chunks.
        last = max(chunks.values())
        chunks_a_frame = (last - min(chunks.values())) / max(1, len(chunks) - 1) or 1
        missing = (stream.frames - last - 1) / chunks_a_frame
        return len(chunks) + (int(missing) if 0 < missing < _UNKNOWN_LENGTH else 0)
    if 'mp4' in formats:
        # Those that are played, of all that are stored.
        return len(_entries(stream)) or stream.frames
    if stream.frames:
        return stream.frames
    # The duration of an mpg is that to its last timestamp, which is not the last frame's.
    if 'mpeg' in formats or not _has_constant_rate(stream):
        return 0
    if stream.duration:
        seconds = float(stream.duration * stream.time_base)
    elif 'DURATION' in stream.metadata:
        seconds = _seconds(stream.metadata['DURATION'])
    elif container.duration and len(container.streams) == 1:
        seconds = container.duration / 1e6
    else:
        return 0
    return round(seconds * frame_rate(stream))


def _has_constant_rate(stream: Any) -> bool:
    mean, least = stream.average_rate, stream.base_rate
    # The least rate that has all the timestamps; that of fields where a frame has two.
    return bool(mean and least) and any(abs(least / (mean * fields) - 1) < Fraction(1, 100) for fields in (1, 2))


def _formats(container: Any) -> set[str]:
    return set(container.format.name.split(','))


def _chunks(stream: Any) -> dict[int, int]:
    """Of an avi: where the content of each chunk begins -> its timestamp. Empty chunks repeat a frame."""
    # Behind 4 bytes of its name and 4 of its size.
    return {entry.pos + 8: entry.timestamp for entry in _entries(stream) if entry.size}


def _entries(stream: Any) -> Any:
    # PyAV shows them from version 17 on.
    return getattr(stream, 'index_entries', ())


def _seconds(duration: str) -> float:
    """'00:01:02.500000000', as Matroska has it -> 62.5; 0 if it is something else."""
    try:
        hours, minutes, seconds = duration.split(':')
        return 3600 * int(hours) + 60 * int(minutes) + float(seconds)
    except ValueError:
        return 0.0
