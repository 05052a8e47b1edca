import json
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

av = pytest.importorskip('av')

import mbv3zoo  # noqa: E402
from mbv3zoo.detections import Detections  # noqa: E402
from mbv3zoo.prediction import video  # noqa: E402
from mbv3zoo.prediction.video import is_video, iter_frames, predict_video, write_video_predictions  # noqa: E402

SIZE = 48, 64


class Bright:
    """Finds the bright square of each frame, without torch."""

    def __init__(self):
        self.calls = []

    def predict(self, images, **settings):
        self.calls.append((len(images), settings))
        found = []
        for image in images:
            y, x = np.nonzero(image.mean(2) > 128)
            boxes = np.array([[x.min(), y.min(), x.max() + 1, y.max() + 1]] if len(x) else np.zeros((0, 4)), np.float32)
            scores, labels = np.full(len(boxes), 0.9, np.float32), np.zeros(len(boxes), np.int64)
            found.append(Detections(boxes, scores, labels, ('square',), image.shape[:2]))
        return found


def write(path, count=20, times=None, size=SIZE, codec='mpeg4'):
    """A square that moves by two pixels a frame; times in milliseconds."""
    with av.open(str(path), 'w') as container:
        stream = container.add_stream(codec, rate=10)
        stream.height, stream.width, stream.pix_fmt = *size, 'yuv420p'
        stream.codec_context.time_base = video.Fraction(1, 1000)
        for index in range(count):
            image = np.zeros((*size, 3), np.uint8)
            image[8:24, 2 * index : 2 * index + 16] = 255
            frame = av.VideoFrame.from_ndarray(image, format='rgb24')
            frame.pts, frame.time_base = (times[index] if times else 100 * index), video.Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(scope='module')
def clip(tmp_path_factory):
    return write(tmp_path_factory.mktemp('video') / 'clip.mp4')


@pytest.mark.parametrize('source', ['a.mp4', 'b.MOV', 'rtsp://host/1', 'https://host/x', 0, '1'])
def test_is_video(source):
    assert is_video(source)


@pytest.mark.parametrize('source', ['a.jpg', 'folder', 'x/*.png', 'mp4'])
def test_is_no_video(source):
    assert not is_video(source)


@pytest.mark.parametrize('stride', [1, 3, 100])
def test_frames(clip, stride):
    frames = list(iter_frames(clip, stride))
    assert [frame.index for frame in frames] == list(range(0, 20, stride))
    assert [frame.time for frame in frames] == pytest.approx([0.1 * frame.index for frame in frames])
    assert all(frame.image.shape == (*SIZE, 3) and frame.image.dtype == np.uint8 for frame in frames)


def test_a_variable_frame_rate_is_kept(tmp_path):
    times = [0, 40, 400, 430, 1000]
    path = write(tmp_path / 'a.mkv', 5, times)
    assert [frame.time for frame in iter_frames(path)] == pytest.approx([t / 1000 for t in times])


def test_predictions(clip):
    detector = Bright()
    found = list(predict_video(detector, clip, batch_size=8, score_thresh=0.3))
    assert [count for count, _ in detector.calls] == [8, 8, 4]
    assert detector.calls[0][1] == {'batch_size': 8, 'score_thresh': 0.3}
    for frame, detections in found:
        assert detections.path == str(clip)
        assert np.abs(detections.boxes[0] - [2 * frame.index, 8, 2 * frame.index + 16, 24]).max() <= 2


def test_reads_no_further_ahead_than_it_may(monkeypatch):
    read = []

    def frames():
        for index in range(200):
            read.append(threading.get_ident())
            yield video.Frame(index, index / 10, np.zeros((8, 8, 3), np.uint8))

    ahead = video._read_ahead(frames())
    for _ in range(5):
        next(ahead)
    time.sleep(0.2)
    assert 5 < len(read) <= 5 + video._MOST_WAITING + 2 and threading.get_ident() not in read
    ahead.close()
    assert not [thread for thread in threading.enumerate() if thread.name == 'mbv3zoo-decode']


def test_a_failure_while_decoding_is_told():
    def frames():
        yield video.Frame(0, 0.0, np.zeros((8, 8, 3), np.uint8))
        raise RuntimeError('the disk is gone')

    with pytest.raises(RuntimeError, match='the disk is gone'):
        list(video._read_ahead(frames()))


@pytest.mark.parametrize('size', [SIZE, (49, 65)])
def test_what_is_written(tmp_path, size):
    path = write(tmp_path / 'a.avi', size=size, codec='ffv1' if size != SIZE else 'mpeg4')
    (line,) = write_video_predictions(Bright(), path, tmp_path / 'out', progress=False)
    assert line == f'20 frames, 20 objects; results in {tmp_path / "out"}'
    frames = list(iter_frames(tmp_path / 'out' / 'video.mp4'))
    assert len(frames) == 20 and frames[0].image.shape == (48, 64, 3)
    assert [frame.time for frame in frames] == pytest.approx([0.1 * i for i in range(20)], abs=0.002)
    rows = [json.loads(text) for text in (tmp_path / 'out' / 'predictions.jsonl').read_text().splitlines()]
    assert [row['index'] for row in rows] == list(range(20)) and rows[3]['time'] == pytest.approx(0.3)
    assert rows[3]['detections'][0]['name'] == 'square'


def test_the_stream_can_be_followed_and_ended(clip, tmp_path, monkeypatch):
    lengths = []

    class Interrupted(Bright):
        def predict(self, images, **settings):
            lines = tmp_path / 'out' / 'predictions.jsonl'
            lengths.append(len(lines.read_text().splitlines()) if lines.exists() else 0)
            if len(self.calls) == 6:
                raise KeyboardInterrupt
            return super().predict(images, **settings)

    with pytest.warns(UserWarning, match='interrupted after 6 frames'):
        list(write_video_predictions(Interrupted(), clip, tmp_path / 'out', batch_size=1, progress=False))
    # The first frame is looked at before anything is written.
    assert lengths == [0, 1, 2, 3, 4, 5, 6]
    assert len(list(iter_frames(tmp_path / 'out' / 'video.mp4'))) == 6


def test_cameras(monkeypatch, clip):
    opened = []
    real = av.open

    def fake(place, *args, format=None, **kwargs):
        opened.append((place, format))
        return real(str(clip))

    monkeypatch.setattr(av, 'open', fake)
    monkeypatch.setattr(video.platform, 'system', lambda: 'Linux')
    detector = Bright()
    next(predict_video(detector, '2'))
    assert opened == [('/dev/video2', 'v4l2')] and detector.calls[0][0] == 1


def test_sources_that_are_none(tmp_path, clip):
    (tmp_path / 'text.mp4').write_text('hello')
    (tmp_path / 'cut.mp4').write_bytes(clip.read_bytes()[:400])
    with av.open(str(tmp_path / 'sound.mkv'), 'w') as container:
        stream = container.add_stream('pcm_s16le', rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format='s16', layout='mono')
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    for name, reason in (('text', 'cannot be opened'), ('cut', ''), ('gone', 'cannot be opened')):
        with pytest.raises(ValueError, match=f'{name}.mp4: .*{reason}'):
            list(write_video_predictions(Bright(), tmp_path / f'{name}.mp4', tmp_path / 'out', progress=False))
    with pytest.raises(ValueError, match='no pictures in it'):
        iter_frames(tmp_path / 'sound.mkv')
    with pytest.raises(ValueError, match='stride is 0'):
        iter_frames(clip, 0)
    assert not (tmp_path / 'out').exists()


def test_a_damaged_part_is_left_out(tmp_path):
    path = write(tmp_path / 'a.mkv', 40)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 200] = bytes(200)
    path.write_bytes(data)
    frames = list(iter_frames(path))
    assert 10 < len(frames) <= 40


def test_a_real_detector(clip):
    detector = mbv3zoo.Detector.from_pretrained('mbv3_yolo_small.synth')
    assert len(list(predict_video(detector, clip, stride=5, image_size=64))) == 4


def test_without_pyav(monkeypatch, clip):
    monkeypatch.setitem(sys.modules, 'av', None)
    with pytest.raises(ImportError, match=r'mbv3zoo\[video\]'):
        iter_frames(clip)


def test_torch_is_not_needed(clip):
    code = 'import sys\nfrom mbv3zoo.prediction.video import iter_frames\n'
    code += f'assert len(list(iter_frames({str(clip)!r}))) == 20\n'
    done = subprocess.run([sys.executable, '-c', f'{code}assert "torch" not in sys.modules'], capture_output=True)
    assert done.returncode == 0, done.stderr
