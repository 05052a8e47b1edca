import sys

import numpy as np
import pytest
from PIL import Image

av = pytest.importorskip('av')

from clips import SIZE, read_number, write_clip, write_numbered  # noqa: E402

from mbv3zoo.prediction.frames import iter_frames  # noqa: E402
from mbv3zoo.prediction.video_source import is_video  # noqa: E402


@pytest.fixture(scope='module')
def clip(tmp_path_factory):
    return write_clip(tmp_path_factory.mktemp('video') / 'clip.mp4')


@pytest.mark.parametrize(
    'source',
    ['a.mp4', 'b.MOV', 'c.ts', 'd.M2TS', 'e.flv', 'f.3gp', 'g.vob', 'h.ogv', 'i.asf', 'j.mxf', 'k.divx', 'l.h264']
    + ['rtsp://host/1', 'https://host/x', 'udp://host:1', 'srt://host:1', 0, '1'],
)
def test_is_video(source):
    assert is_video(source)


@pytest.mark.parametrize('source', ['a.jpg', 'folder', 'x/*.png', 'mp4'])
def test_is_no_video(source):
    assert not is_video(source)


def test_the_content_of_a_file_of_unknown_suffix_says_what_it_is(tmp_path, clip, monkeypatch):
    Image.new('RGB', (4, 4)).save(tmp_path / 'image', 'PNG')
    Image.new('RGB', (4, 4)).save(tmp_path / 'image.download', 'JPEG')
    (tmp_path / 'folder.mp4').mkdir()
    assert not any(is_video(tmp_path / name) for name in ('image', 'image.download', 'folder.mp4', 'gone', '.'))
    for name in ('clip', 'clip.mp4.download', 'clip.movie'):
        (tmp_path / name).write_bytes(clip.read_bytes())
        assert is_video(tmp_path / name) and len(list(iter_frames(tmp_path / name))) == 20
    # Without PyAV what is told is what an image would have to be.
    monkeypatch.setitem(sys.modules, 'av', None)
    assert not is_video(tmp_path / 'clip')


@pytest.mark.parametrize(
    ('suffix', 'codec'),
    [('ts', 'mpeg2video'), ('m2ts', 'mpeg2video'), ('mts', 'mpeg2video'), ('flv', 'flv'), ('3gp', 'mpeg4')]
    + [('3g2', 'mpeg4'), ('vob', 'mpeg2video'), ('asf', 'mpeg4'), ('f4v', 'libx264'), ('mxf', 'mpeg2video')]
    + [('m2v', 'mpeg2video'), ('mjpeg', 'mjpeg'), ('nut', 'mpeg4')],
)
def test_videos_of_many_suffixes(tmp_path, suffix, codec):
    if codec not in av.codecs_available:
        pytest.skip(f'no {codec}')
    path = write_numbered(tmp_path / f'a.{suffix}', 30, codec, 1)
    assert is_video(path)
    frames = list(iter_frames(path))
    assert [frame.index for frame in frames] == [read_number(frame.image) for frame in frames] == list(range(30))


@pytest.mark.parametrize(
    ('name', 'content', 'reason'),
    [
        ('app.ts', 'export const answer: number = 42;\n' * 50, 'cannot be opened as a video'),
        ('notes.txt', 'some words\n' * 50, 'is not an image, and cannot be opened as a video'),
        ('list.ffconcat', "ffconcat version 1.0\nfile 'clip.mp4'\n", 'is not an image, and cannot be opened'),
        ('live.m3u8', '#EXTM3U\n#EXTINF:9,\nclip.mp4\n#EXT-X-ENDLIST\n', 'is not an image, and cannot be opened'),
        ('empty.mkv', '', 'cannot be opened as a video'),
        ('data.bin', '\0' * 4000, 'is not an image, and cannot be opened as a video'),
    ],
)
def test_files_that_are_no_videos_are_refused_in_one_sentence(tmp_path, clip, name, content, reason):
    (tmp_path / 'clip.mp4').write_bytes(clip.read_bytes())
    path = tmp_path / name
    path.write_text(content)
    assert is_video(path)
    with pytest.raises(ValueError) as caught:
        iter_frames(path)
    assert str(caught.value).startswith(f'{path}: {reason}') and '\n' not in str(caught.value)


@pytest.mark.parametrize(('format', 'brand'), [('AVIF', 'avif'), ('JPEG', 'jpeg'), ('PNG', 'png')])
def test_an_image_is_no_video(tmp_path, format, brand):
    path = tmp_path / 'a.mp4'
    try:
        Image.new('RGB', (64, 64)).save(path, format)
    except (KeyError, OSError):
        pytest.skip(f'Pillow writes no {format}')
    with pytest.raises(ValueError, match=rf'a.mp4: is an image \({brand}\), not a video'):
        iter_frames(path)


def test_a_pattern_is_told_that_it_may_name_images_only(tmp_path):
    with pytest.raises(ValueError, match='a pattern may name images only'):
        iter_frames(str(tmp_path / '*.mp4'))


@pytest.mark.skipif(not hasattr(av.VideoStream, 'disposition'), reason='PyAV does not tell cover pictures')
def test_a_cover_picture_is_no_video(tmp_path, clip):
    cover = av.VideoFrame.from_ndarray(np.full((16, 16, 3), 255, np.uint8), format='rgb24')
    for name, with_video in (('music.mp4', False), ('film.mp4', True)):
        with av.open(str(tmp_path / name), 'w') as container, av.open(str(clip)) as source:
            picture = container.add_stream('mjpeg', rate=1)
            picture.width = picture.height = 16
            picture.pix_fmt, picture.disposition = 'yuvj420p', 1 << 10
            if with_video:
                video = container.add_stream_from_template(source.streams.video[0])
            else:
                video = container.add_stream('aac', rate=8000)
            container.mux([*picture.encode(cover), *picture.encode(None)])
            if with_video:
                for packet in source.demux(video=0):
                    packet.stream = video
                    if packet.size:
                        container.mux(packet)
    with pytest.raises(ValueError, match=r'music.mp4: there are no pictures in it but the picture of a cover'):
        iter_frames(tmp_path / 'music.mp4')
    frames = list(iter_frames(tmp_path / 'film.mp4'))
    assert len(frames) == 20 and frames[0].image.shape == (*SIZE, 3)


@pytest.mark.parametrize('suffix', ['mkv', 'mp4'])
def test_of_two_videos_in_a_file_the_first_is_read_and_said(tmp_path, suffix):
    path = tmp_path / f'a.{suffix}'
    with av.open(str(path), 'w') as container:
        streams = [container.add_stream('mpeg4', rate=10) for _ in range(2)]
        for stream, side in zip(streams, (32, 64), strict=True):
            stream.width = stream.height = side
            stream.pix_fmt = 'yuv420p'
        for i in range(5):
            for stream in streams:
                pixels = np.zeros((stream.height, stream.width, 3), np.uint8)
                frame = av.VideoFrame.from_ndarray(pixels, format='rgb24')
                frame.pts = i
                container.mux(stream.encode(frame))
        for stream in streams:
            container.mux(stream.encode(None))
    with pytest.warns(UserWarning, match='has 2 videos in it; the first is read'):
        frames = list(iter_frames(path))
    assert [frame.index for frame in frames] == list(range(5)) and frames[0].image.shape == (32, 32, 3)
