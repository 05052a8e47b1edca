import pytest

av = pytest.importorskip('av')

from clips import write_clip  # noqa: E402

from mbv3zoo.prediction.decoding import decoded  # noqa: E402


class Lossy:
    """A container that fails once in the middle, and then goes on."""

    def __init__(self, container, error):
        self.container, self.error, self.asked = container, error, 0

    def demux(self, stream):
        for packet in self.container.demux(stream):
            self.asked += 1
            if self.asked == 10:
                raise self.error
            yield packet


@pytest.mark.parametrize(
    ('source', 'error', 'frames'),
    [
        ('a.mkv', av.error.InvalidDataError, range(15, 21)),
        ('a.mkv', av.error.TimeoutError, range(15, 21)),
        ('udp://127.0.0.1:1', av.error.InvalidDataError, range(15, 21)),
        # Nothing but waiting would follow.
        ('rtsp://127.0.0.1/x', av.error.TimeoutError, range(7, 10)),
    ],
)
def test_a_fault_in_the_middle_ends_a_connection_that_is_lost_only(tmp_path, source, error, frames):
    with av.open(str(write_clip(tmp_path / 'a.mkv'))) as container:
        found = list(decoded(Lossy(container, error(1, 'gone')), container.streams.video[0], source))
    assert len(found) in frames
