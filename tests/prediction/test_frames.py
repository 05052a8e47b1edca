import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from PIL import Image

av = pytest.importorskip('av')

from clips import SIZE, write_clip  # noqa: E402

from mbv3zoo.prediction import frames as reading  # noqa: E402
from mbv3zoo.prediction.frames import Frame, iter_frames, read_ahead  # noqa: E402
from mbv3zoo.prediction.video_source import is_video  # noqa: E402


@pytest.fixture(scope='module')
def clip(tmp_path_factory):
    return write_clip(tmp_path_factory.mktemp('video') / 'clip.mp4')


@pytest.mark.filterwarnings('error')
def test_frames_of_too_many_pixels_are_refused_before_they_are_decoded(tmp_path, clip, monkeypatch):
    assert len(list(iter_frames(clip, max_pixels=48 * 64))) == 20
    with pytest.raises(ValueError, match=r'clip.mp4: its frames of 64 x 48 have 3072 pixels, more than 3071'):
        iter_frames(clip, max_pixels=48 * 64 - 1)
    with pytest.raises(ValueError, match='max_pixels is 0'):
        iter_frames(clip, max_pixels=0)
    # Also those that come later.
    parts = [write_clip(tmp_path / f'{side}.ts', 10, size=(side, side), codec='libx264') for side in (32, 64)]
    (tmp_path / 'a.ts').write_bytes(b''.join(part.read_bytes() for part in parts))
    frames = iter_frames(tmp_path / 'a.ts', max_pixels=40 * 40)
    with pytest.raises(ValueError, match='its frames of 64 x 64 have 4096 pixels'):
        list(frames)
    # An image of unknown suffix is one, however large.
    Image.new('1', (12000, 12000)).save(tmp_path / 'large', 'PNG')
    assert not is_video(tmp_path / 'large')


def test_few_large_frames_are_read_ahead(monkeypatch):
    read = []

    def frames():
        for index in range(20):
            read.append(index)
            yield Frame(index, index / 10, np.zeros((100, 100, 3), np.uint8))

    monkeypatch.setattr(reading, '_MOST_BYTES', 100_000)
    ahead = read_ahead(frames())
    next(ahead)
    time.sleep(0.1)
    assert 3 <= len(read) <= 7
    assert [frame.index for frame in ahead] == list(range(1, 20))


def test_a_size_that_changes_in_the_middle(tmp_path):
    path = tmp_path / 'a.ts'
    data = b''
    for side in (32, 64):
        part = write_clip(tmp_path / f'{side}.ts', 10, size=(side, side), codec='libx264')
        data += part.read_bytes()
    path.write_bytes(data)
    sizes = [frame.image.shape[0] for frame in iter_frames(path)]
    assert sizes[0] == 32 and sizes[-1] == 64 and len(sizes) >= 18


@pytest.mark.parametrize('stride', [1, 3, 100])
def test_frames(clip, stride):
    frames = list(iter_frames(clip, stride))
    assert [frame.index for frame in frames] == list(range(0, 20, stride))
    assert [frame.time for frame in frames] == pytest.approx([0.1 * frame.index for frame in frames])
    assert all(frame.image.shape == (*SIZE, 3) and frame.image.dtype == np.uint8 for frame in frames)


def test_a_variable_frame_rate_is_kept(tmp_path):
    times = [0, 40, 400, 430, 1000]
    path = write_clip(tmp_path / 'a.mkv', 5, times)
    assert [frame.time for frame in iter_frames(path)] == pytest.approx([t / 1000 for t in times])


def test_reads_no_further_ahead_than_it_may(monkeypatch):
    read = []

    def frames():
        for index in range(200):
            read.append(threading.get_ident())
            yield Frame(index, index / 10, np.zeros((8, 8, 3), np.uint8))

    ahead = read_ahead(frames())
    for _ in range(5):
        next(ahead)
    time.sleep(0.2)
    assert 5 < len(read) <= 5 + reading._MOST_WAITING + 2 and threading.get_ident() not in read
    ahead.close()
    assert not [thread for thread in threading.enumerate() if thread.name == 'mbv3zoo-decode']


def test_a_failure_while_decoding_is_told():
    def frames():
        yield Frame(0, 0.0, np.zeros((8, 8, 3), np.uint8))
        raise RuntimeError('the disk is gone')

    with pytest.raises(RuntimeError, match='the disk is gone'):
        list(read_ahead(frames()))


def test_a_damaged_part_is_left_out(tmp_path):
    path = write_clip(tmp_path / 'a.mkv', 40)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 200] = bytes(200)
    path.write_bytes(data)
    with pytest.warns(UserWarning, match=r'a.mkv: \d+ frames are missing or damaged'):
        frames = list(iter_frames(path))
    assert 10 < len(frames) <= 40


def test_without_pyav(monkeypatch, clip):
    monkeypatch.setitem(sys.modules, 'av', None)
    with pytest.raises(ImportError, match=r'mbv3zoo\[video\]'):
        iter_frames(clip)


def test_torch_is_not_needed(clip):
    code = 'import sys\nfrom mbv3zoo.prediction.frames import iter_frames\n'
    code += f'assert len(list(iter_frames({str(clip)!r}))) == 20\n'
    done = subprocess.run([sys.executable, '-c', f'{code}assert "torch" not in sys.modules'], capture_output=True)
    assert done.returncode == 0, done.stderr
