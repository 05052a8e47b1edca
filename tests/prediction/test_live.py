import time

import pytest

av = pytest.importorskip('av')

from clips import write_clip  # noqa: E402
from stream_servers import folder_server, picture_stream, rtsp_stream  # noqa: E402

from mbv3zoo.prediction import live, video_source  # noqa: E402
from mbv3zoo.prediction.frames import iter_frames, open_frames, read_ahead  # noqa: E402


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr(live, 'PAUSES', (0.01, 0.02, 0.03))


def test_pictures_over_http_are_read_and_opened_again_when_the_stream_drops(caplog):
    told = r'stream: the stream ended after 30 frames, and 3 tries .* 5XX Server'
    with picture_stream(frames=10, pause=0.01, connections=3) as address, pytest.warns(UserWarning, match=told):
        frames = list(iter_frames(address))
    assert [frame.index for frame in frames] == list(range(30))
    times = [frame.time for frame in frames]
    # By the clock, as these pictures have no time of their own.
    assert times[0] == 0 and times == sorted(times) and 0.3 < times[-1] < 10
    assert [frame.image.shape for frame in frames] == [(48, 64, 3)] * 30
    assert [record.args[1] for record in caplog.records] == [10, 20, 30]


def test_rtsp_is_read_and_opened_again_when_the_stream_drops(tmp_path):
    path = write_clip(tmp_path / 'a.ts', 40, codec='libx264', size=(48, 128))
    told = r'stream: the stream ended after \d+ frames, and 3 tries'
    with rtsp_stream(path, connections=2, seconds=0.2) as address, pytest.warns(UserWarning, match=told):
        frames = list(iter_frames(address))
    times = [frame.time for frame in frames]
    assert [frame.index for frame in frames] == list(range(len(frames))) and 70 <= len(frames) <= 80
    assert times == sorted(times) and times[0] == 0 and times[20] == pytest.approx(2.0, abs=0.01) and times[-1] > 7
    left = (frames[-5].image.mean((0, 2)) > 64).argmax()
    assert abs(left - 2 * 34) <= 6


def test_a_stream_that_stands_still_counts_as_lost(monkeypatch):
    monkeypatch.setattr(video_source, '_TIMEOUT', (5.0, 0.3))
    with picture_stream(frames=10, pause=0.0, connections=1, hang=5) as address:
        start = time.monotonic()
        with pytest.warns(UserWarning, match='the stream ended after'):
            frames = list(iter_frames(address))
        assert len(frames) >= 8 and time.monotonic() - start < 4


def test_a_stream_without_any_frame_is_not_waited_for(tmp_path):
    with picture_stream(frames=0) as address, pytest.raises(ValueError, match='cannot be opened as a video'):
        iter_frames(address)


def test_a_slow_reader_gets_new_frames_and_a_file_loses_none(tmp_path):
    with picture_stream(frames=60, pause=0.005, connections=1) as address:
        frames, is_live = open_frames(address, 1, None)
        ahead, seen = read_ahead(frames, newest=is_live), []
        with pytest.warns(UserWarning, match='ended after 60 frames'):
            for frame in ahead:
                seen.append(frame.index)
                time.sleep(0.03)
    assert is_live and seen[-1] == 59 and seen == sorted(set(seen)) and len(seen) < 30
    frames, is_live = open_frames(write_clip(tmp_path / 'a.mp4'), 2, None)
    assert not is_live and [frame.index for frame in read_ahead(frames, newest=is_live)] == list(range(0, 20, 2))


def test_the_password_of_an_address_is_not_told():
    address = 'http://me:secret@127.0.0.1:9/stream'
    with pytest.raises(ValueError, match=r'^http://me:\*\*\*@127.0.0.1:9/stream: cannot be opened') as caught:
        iter_frames(address)
    assert 'secret' not in str(caught.value)


def test_a_file_on_a_server_is_no_live_stream(tmp_path):
    write_clip(tmp_path / 'a.mp4')
    with folder_server(tmp_path) as address:
        frames, is_live = open_frames(f'{address}/a.mp4', 3, None)
        assert not is_live and [frame.index for frame in frames] == list(range(0, 20, 3))
