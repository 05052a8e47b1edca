import errno
from fractions import Fraction

import numpy as np
import pytest

av = pytest.importorskip('av')

from mbv3zoo.prediction.frames import iter_frames  # noqa: E402
from mbv3zoo.prediction.video_file import VideoWriter  # noqa: E402


def picture(size=(48, 64), value=200):
    return np.full((*size, 3), value, np.uint8)


def test_frames_keep_their_times_the_first_size_and_the_shape_of_pixels(tmp_path):
    times = [3.0, 3.1, 3.1, 3.5]
    with VideoWriter(tmp_path / 'a.mp4', (49, 65), Fraction(4, 3)) as video:
        for time, size in zip(times, [(49, 65), (49, 65), (20, 30), (100, 90)], strict=True):
            video.add(picture(size), time)
    frames = list(iter_frames(tmp_path / 'a.mp4'))
    assert [frame.time for frame in frames] == pytest.approx([0, 0.1, 0.1, 0.5], abs=1e-3)
    assert {frame.image.shape for frame in frames} == {(48, 64, 3)} and frames[0].pixel_aspect == Fraction(4, 3)
    assert all(abs(int(frame.image.mean()) - 200) < 8 for frame in frames)


def test_a_file_that_cannot_be_made_is_named(tmp_path):
    with (
        pytest.raises(OSError, match='none/a.mp4: cannot be written: No such file or directory'),
        VideoWriter(tmp_path / 'none' / 'a.mp4', (48, 64)) as video,
    ):
        for i in range(100):
            video.add(picture(), i / 10)


class FullDisk:
    """A container whose disk is full after so many packets."""

    def __init__(self, container, packets):
        self.container, self.packets, self.closed = container, packets, False

    def mux(self, packet):
        self.packets -= 1
        if self.packets < 0:
            raise av.error.OSError(errno.ENOSPC, 'No space left on device', 'a.mp4')
        self.container.mux(packet)

    def close(self):
        self.closed = True
        self.container.close()


@pytest.mark.parametrize('packets', [0, 3])
def test_a_full_disk_is_one_sentence_and_the_file_is_closed(tmp_path, packets):
    with (
        pytest.raises(OSError, match=r'^\S+a.mp4: cannot be written: No space left on device$'),
        VideoWriter(tmp_path / 'a.mp4', (48, 64)) as video,
    ):
        video.container = full = FullDisk(video.container, packets)
        for i in range(100):
            video.add(picture(value=2 * i), i / 10)
    assert full.closed


def test_an_error_that_is_under_way_is_told_and_the_file_is_whole(tmp_path):
    with pytest.raises(ZeroDivisionError), VideoWriter(tmp_path / 'a.mp4', (48, 64)) as video:
        video.add(picture(), 0)
        raise ZeroDivisionError
    assert len(list(iter_frames(tmp_path / 'a.mp4'))) == 1
