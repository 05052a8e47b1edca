import errno
import gc
import io
import json
import os
import sys
import tracemalloc

import numpy as np
import pytest

av = pytest.importorskip('av')

from clips import SIZE, Bright, write_animation, write_clip  # noqa: E402

import mbv3zoo  # noqa: E402
from mbv3zoo.detections import Detections  # noqa: E402
from mbv3zoo.prediction import video, video_source  # noqa: E402
from mbv3zoo.prediction.frames import Frame, iter_frames  # noqa: E402
from mbv3zoo.prediction.video import predict_video, write_video_predictions  # noqa: E402
from mbv3zoo.prediction.video_file import VideoWriter  # noqa: E402


@pytest.fixture(scope='module')
def clip(tmp_path_factory):
    return write_clip(tmp_path_factory.mktemp('video') / 'clip.mp4')


def test_predictions(clip):
    detector = Bright()
    found = list(predict_video(detector, clip, batch_size=8, score_thresh=0.3))
    assert [count for count, _ in detector.calls] == [8, 8, 4]
    assert detector.calls[0][1] == {'batch_size': 8, 'score_thresh': 0.3}
    for frame, detections in found:
        assert detections.path == str(clip)
        assert np.abs(detections.boxes[0] - [2 * frame.index, 8, 2 * frame.index + 16, 24]).max() <= 2


@pytest.mark.parametrize('size', [SIZE, (49, 65)])
def test_what_is_written(tmp_path, size):
    path = write_clip(tmp_path / 'a.avi', size=size, codec='ffv1' if size != SIZE else 'mpeg4')
    (line,) = write_video_predictions(Bright(), path, tmp_path / 'out', progress=False)
    assert line == f'20 frames, 20 objects; results in {tmp_path / "out"}'
    frames = list(iter_frames(tmp_path / 'out' / 'video.mp4'))
    assert len(frames) == 20 and frames[0].image.shape == (48, 64, 3)
    assert [frame.time for frame in frames] == pytest.approx([0.1 * i for i in range(20)], abs=0.002)
    rows = [json.loads(text) for text in (tmp_path / 'out' / 'predictions.jsonl').read_text().splitlines()]
    assert [row['index'] for row in rows] == list(range(20)) and rows[3]['time'] == pytest.approx(0.3)
    assert rows[3]['detections'][0]['name'] == 'square'


def test_without_drawing_there_is_no_video(clip, tmp_path, monkeypatch):
    monkeypatch.setattr(Detections, 'draw', None)
    (line,) = write_video_predictions(Bright(), clip, tmp_path / 'out', draw=False, progress=False)
    assert line == f'20 frames, 20 objects; results in {tmp_path / "out"}'
    assert [path.name for path in (tmp_path / 'out').iterdir()] == ['predictions.jsonl']
    assert len((tmp_path / 'out' / 'predictions.jsonl').read_text().splitlines()) == 20


@pytest.mark.parametrize('draw', [True, False])
def test_a_full_disk_leaves_whole_lines_and_is_one_sentence(clip, tmp_path, monkeypatch, draw):
    class Full(io.FileIO):
        room = 2000

        def write(self, data):
            if len(data) > self.room:
                if not self.room:
                    raise OSError(errno.ENOSPC, 'No space left on device')
                data = data[: self.room]
            self.room -= len(data)
            return super().write(data)

    monkeypatch.setattr(video, 'open', lambda path, mode, buffering: Full(path, mode), raising=False)
    with pytest.raises(OSError, match=r'^\S+predictions.jsonl: cannot be written: the disk is full .*; the lines'):
        list(write_video_predictions(Bright(), clip, tmp_path / 'out', draw=draw, progress=False))
    text = (tmp_path / 'out' / 'predictions.jsonl').read_text()
    rows = [json.loads(line) for line in text.splitlines()]
    assert text.endswith('\n') and [row['index'] for row in rows] == list(range(len(rows))) and 3 < len(rows) < 20


def test_an_encoder_that_fails_leaves_whole_lines_and_is_one_sentence(clip, tmp_path, monkeypatch):
    def fail(writer, frame):
        if writer.last > 0:
            raise av.error.ExternalError(1, 'Generic error in an external library')

    monkeypatch.setattr(VideoWriter, '_write', fail)
    with pytest.raises(OSError, match=r'^\S+video.mp4: cannot be written: Generic error in an external library$'):
        list(write_video_predictions(Bright(), clip, tmp_path / 'out', progress=False))
    assert len((tmp_path / 'out' / 'predictions.jsonl').read_text().splitlines()) == 2


def test_a_name_that_is_no_utf_8_is_written(clip, tmp_path):
    path = tmp_path / os.fsdecode(b'caf\xe9.mp4')
    path.write_bytes(clip.read_bytes())
    list(write_video_predictions(Bright(), path, tmp_path / 'out', draw=False, progress=False))
    line = (tmp_path / 'out' / 'predictions.jsonl').read_text(encoding='utf-8').splitlines()[0]
    assert json.loads(line)['path'] == str(path)


def test_frames_of_another_size_are_written_and_found_in_their_own_pixels(tmp_path):
    path = tmp_path / 'a.ts'
    parts = [write_clip(tmp_path / f'{w}.ts', 10, size=(48, w), codec='libx264').read_bytes() for w in (64, 96)]
    path.write_bytes(b''.join(parts))
    list(write_video_predictions(Bright(), path, tmp_path / 'out', progress=False))
    rows = [json.loads(line) for line in (tmp_path / 'out' / 'predictions.jsonl').read_text().splitlines()]
    assert {row['image_size']['width'] for row in rows} == {64, 96}
    assert {frame.image.shape for frame in iter_frames(tmp_path / 'out' / 'video.mp4')} == {(48, 64, 3)}


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
    monkeypatch.setattr(video_source.platform, 'system', lambda: 'Linux')
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
    with pytest.raises(ValueError, match='batch_size is 0; expected at least 1'):
        predict_video(Bright(), clip, batch_size=0)
    assert not (tmp_path / 'out').exists()


@pytest.fixture
def tracked(monkeypatch):
    pytest.importorskip('trackers')

    class Timid(Bright):
        """Is unsure about the frames from 8 to 11."""

        def predict(self, images, **settings):
            found = super().predict(images, **settings)
            for detections in found:
                left = detections.boxes[0, 0]
                detections.scores[:] = 0.15 if 15 < left < 23 else 0.9
            return found

    return Timid()


def test_numbers_of_objects_are_written_and_drawn(clip, tmp_path, monkeypatch, tracked):
    captions = []
    monkeypatch.setattr('mbv3zoo.detections.detections.draw_captioned', lambda canvas, rows, **_: captions.extend(rows))
    (line,) = write_video_predictions(tracked, clip, tmp_path / 'out', track=True, progress=False)
    assert line.startswith('20 frames, 19 objects')
    # The detector gives boxes of low scores too, for tracks to go on.
    assert {settings['score_thresh'] for _, settings in tracked.calls} == {0.1}
    rows = [json.loads(text) for text in (tmp_path / 'out' / 'predictions.jsonl').read_text().splitlines()]
    assert [[one['track_id'] for one in row['detections']] for row in rows] == [[]] + [[1]] * 19
    assert [caption for _, _, caption in captions][:2] == ['#1 square 0.90'] * 2
    # Each source is counted anew.
    assert [found.track_ids.tolist() for _, found in predict_video(tracked, clip, track=True, stride=2)][1:] == [
        [1]
    ] * 9


def test_memory_stays_flat_over_frames(tmp_path, monkeypatch, tracked):
    def frames():
        image = np.zeros((48, 64, 3), np.uint8)
        for index in range(300):
            image[8:24] = 0
            image[8:24, index % 40 : index % 40 + 16] = 255
            if index in (100, 200, 299):
                gc.collect()
                sizes.append((tracemalloc.get_traced_memory()[0], len(gc.get_objects())))
            yield Frame(index, index / 30, image.copy())

    sizes = []
    monkeypatch.setattr(video, 'open_frames', lambda *_: (frames(), False))
    monkeypatch.setattr(video, 'frame_count', lambda *_: None)
    tracemalloc.start()
    try:
        list(write_video_predictions(tracked, 'made-up.mp4', tmp_path / 'out', track=True, draw=False, progress=False))
    finally:
        tracemalloc.stop()
    # What each of 100 frames would leave, its pixels or its row, is more.
    (least, objects), *later = sizes
    assert all(size < least + 300_000 and count < objects + 100 for size, count in later)


def test_an_animation_is_a_video_alone_and_one_image_in_a_folder(tmp_path, monkeypatch):
    from mbv3zoo.images.sources import expand_source

    (tmp_path / 'in').mkdir()
    path = write_animation(tmp_path / 'in' / 'a.gif', 5, [100, 200, 50, 100, 100])
    list(write_video_predictions(Bright(), path, tmp_path / 'out', progress=False))
    with av.open(str(tmp_path / 'out' / 'video.mp4')) as video:
        assert [frame.time for frame in video.decode(video=0)] == pytest.approx([0, 0.1, 0.3, 0.35, 0.45], abs=0.001)
    assert expand_source(tmp_path / 'in') == ([path], False)
    # Without PyAV there is no video to write, and nothing is left behind.
    monkeypatch.setitem(sys.modules, 'av', None)
    assert video_source.is_video(path)
    (line,) = write_video_predictions(Bright(), path, tmp_path / 'rows', progress=False, draw=False, stride=2)
    assert line.startswith('3 frames, 3 objects')
    with pytest.raises(ImportError, match=r'mbv3zoo\[video\]'):
        list(write_video_predictions(Bright(), path, tmp_path / 'none', progress=False))
    assert not (tmp_path / 'none').exists()


def test_a_real_detector(clip):
    detector = mbv3zoo.Detector.from_pretrained('mbv3_yolo_small.synth')
    assert len(list(predict_video(detector, clip, stride=5, image_size=64))) == 4
