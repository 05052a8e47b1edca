import warnings
from types import SimpleNamespace

import numpy as np
import pytest

av = pytest.importorskip('av')

from clips import damage, read_number, write_clip, write_numbered  # noqa: E402

from mbv3zoo.prediction.frames import frame_count, iter_frames  # noqa: E402
from mbv3zoo.prediction.numbering import _seconds, total_frames  # noqa: E402

# Suffix, codec, frames from key frame to key frame, frames in between that are predicted from both sides.
KINDS = [
    ('avi', 'mjpeg', 1, 0),
    ('avi', 'mpeg4', 5, 0),
    ('avi', 'libx264', 5, 2),
    ('mkv', 'mpeg4', 5, 0),
    ('mkv', 'libx264', 5, 2),
    ('webm', 'libvpx', 5, 0),
    ('mpg', 'mpeg2video', 5, 2),
    ('mpg', 'mpeg1video', 1, 0),
    ('mp4', 'libx264', 5, 2),
    ('mov', 'mpeg4', 1, 0),
    ('ts', 'mpeg2video', 1, 0),
    ('m2ts', 'libx264', 5, 2),
    ('flv', 'flv', 5, 0),
    ('wmv', 'wmv2', 5, 0),
]


def clip(folder, suffix, codec, key_every, b_frames):
    if codec not in av.codecs_available:
        pytest.skip(f'no {codec}')
    # Matroska is found again at its clusters, which hold five seconds if nothing is said.
    options = {'cluster_time_limit': 200} if suffix in ('mkv', 'webm') else {}
    return write_numbered(folder / f'a.{suffix}', 80, codec, key_every, b_frames, **options)


def read(path):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        frames = list(iter_frames(path))
    return frames, [str(warning.message) for warning in caught]


def suffix_without_list(suffix):
    """Whether PyAV is too old to show the list of frames of an avi."""
    return suffix == 'avi' and not hasattr(av.VideoStream, 'index_entries')


@pytest.mark.parametrize('kind', KINDS, ids=lambda kind: f'{kind[0]}-{kind[1]}')
def test_frames_after_damage_keep_index_and_time_and_the_missing_ones_are_counted(tmp_path, kind):
    path = clip(tmp_path, *kind)
    frames, messages = read(path)
    assert [frame.index for frame in frames] == [read_number(frame.image) for frame in frames] == list(range(80))
    whole = np.array([frame.time for frame in frames])
    assert whole - whole[0] == pytest.approx(np.arange(80) / 25, abs=0.002) and messages == []
    assert frame_count(path, 1) in (80, None) and frame_count(path, 7) in (12, None)

    if suffix_without_list(kind[0]):
        return
    # An mp4 has its list of frames at the end.
    frames, messages = read(damage(path, 0.4 if kind[0] in ('mp4', 'mov') else 0.6, 0.12))
    found = [frame.index for frame in frames]
    steps = np.diff([*found, 80])
    last, gap = found[int(np.argmax(steps))], steps.max()
    assert min(steps) >= 1 and found[0] == 0 and 30 < len(found) < 80
    # FFmpeg finds nothing behind damage in an asf.
    assert kind[0] == 'wmv' or found[-1] >= 77
    # After the damage, and a frame before it that is predicted from both sides, pictures are wrong until a key frame.
    shown = [frame for frame in frames if frame.index < last or frame.index > last + gap + 2 * kind[2]]
    assert [frame.index for frame in shown] == [read_number(frame.image) for frame in shown]
    assert [frame.time for frame in frames] == pytest.approx(whole[found], abs=0.002)
    (message,) = messages
    assert f'{path}: {80 - len(found)} frames are missing or damaged, the first after ' in message


@pytest.mark.parametrize(('codec', 'b_frames'), [('mpeg2video', 0), ('mpeg2video', 2), ('mpeg1video', 0)])
@pytest.mark.filterwarnings('error')
def test_no_frame_of_a_whole_mpg_is_missing(tmp_path, codec, b_frames):
    for count in (60, 132, 249):
        frames = list(iter_frames(write_numbered(tmp_path / 'a.mpg', count, codec, 6 if b_frames else 1, b_frames)))
        assert [frame.index for frame in frames] == list(range(count))
        times = np.array([frame.time for frame in frames])
        assert times - times[0] == pytest.approx(np.arange(count) / 25, abs=0.002)


def test_gaps_at_a_variable_rate_are_no_loss(tmp_path):
    times = [0, 40, 400, 430, 1000, 1020]
    for suffix in ('mkv', 'mp4', 'flv'):
        frames, messages = read(
            write_clip(tmp_path / f'a.{suffix}', 6, times, codec='flv' if suffix == 'flv' else 'mpeg4')
        )
        assert [frame.index for frame in frames] == list(range(6)) and messages == []
        assert [frame.time for frame in frames] == pytest.approx([t / 1000 for t in times])


def test_frames_of_an_mp4_of_variable_rate_that_cannot_be_decoded_leave_a_gap(tmp_path):
    times = [0, 40, 400, 430, 1000, 1020, 1500, 1530, 1700, 1720]
    path = write_clip(tmp_path / 'a.mp4', 10, times, codec='mjpeg')
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    data = bytearray(path.read_bytes())
    for packet in packets[4:6]:
        data[packet.pos : packet.pos + packet.size] = bytes(packet.size)
    path.write_bytes(data)
    frames, messages = read(path)
    assert [frame.index for frame in frames] == [0, 1, 2, 3, 6, 7, 8, 9]
    assert [frame.time for frame in frames] == pytest.approx([times[frame.index] / 1000 for frame in frames])
    assert '2 frames are missing or damaged, the first after 0.43 seconds' in messages[0]


@pytest.mark.parametrize('suffix', ['avi', 'mp4', 'mkv'])
def test_the_end_of_a_video_that_was_cut_off_is_missing(tmp_path, suffix):
    options = {'movflags': 'faststart'} if suffix == 'mp4' else {}
    path = write_numbered(tmp_path / f'a.{suffix}', 80, 'mjpeg', **options)
    data = path.read_bytes()
    path.write_bytes(data[: round(len(data) * 0.6)])
    frames, messages = read(path)
    found = [frame.index for frame in frames]
    assert found == list(range(len(found))) == [read_number(frame.image) for frame in frames] and 30 < len(found) < 60
    assert (
        f'{80 - len(found)} frames are missing or damaged, the first after {frames[-1].time:.2f} seconds' in messages[0]
    )


def test_a_first_frame_that_is_lost_leaves_the_others_their_index(tmp_path):
    path = clip(tmp_path, 'avi', 'mjpeg', 1, 0)
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    data = bytearray(path.read_bytes())
    for packet in packets[:2]:
        data[packet.pos : packet.pos + packet.size] = bytes(packet.size)
    path.write_bytes(data)
    frames, messages = read(path)
    assert [frame.index for frame in frames] == list(range(2, 80)) == [read_number(frame.image) for frame in frames]
    assert '2 frames are missing or damaged, the first after 0.00 seconds' in messages[0]


@pytest.mark.parametrize(
    ('text', 'seconds'), [('00:01:02.500000000', 62.5), ('1:00:00', 3600), ('', 0), ('4.2', 0), ('a:b:c', 0)]
)
def test_durations_of_matroska(text, seconds):
    assert _seconds(text) == seconds


def test_the_number_of_frames_is_unknown_where_nothing_says_it():
    container = SimpleNamespace(format=SimpleNamespace(name='matroska,webm'), duration=None, streams=[1])
    stream = SimpleNamespace(frames=0, average_rate=25, base_rate=25, duration=None, metadata={})
    assert total_frames(container, stream) == 0
    container.duration = 3_200_000
    assert total_frames(container, stream) == 80
    container.streams = [1, 2]
    assert total_frames(container, stream) == 0
    stream.metadata = {'DURATION': '00:00:02.000000000'}
    assert total_frames(container, stream) == 50
