import io
import json

import numpy as np
import pytest
from clips import Bright, write_clip
from PIL import Image
from stub_segmenter import write_stub

import mbv3zoo
from mbv3zoo.demo import gradio_predict
from mbv3zoo.demo.gradio_predict import find_in_frame, find_in_picture, find_in_video, settings_of

MODEL = 'mbv3_yolo_small.synth'


@pytest.fixture(scope='module')
def detector():
    return mbv3zoo.load(MODEL)


def test_a_picture_without_objects_has_an_empty_table(detector, tmp_path):
    Image.new('RGB', (40, 30)).save(tmp_path / 'black.png')
    found = find_in_picture(detector, str(tmp_path / 'black.png'))
    assert found.table == [] and found.summary.startswith('0 objects in 40 x 30 pixels, ')
    assert json.loads(found.json)['path'] == 'black.png'
    assert Image.open(io.BytesIO(found.picture)).size == (40, 30)


@pytest.mark.parametrize(('setting', 'value'), [('score', 2), ('overlap', -1)])
def test_settings_out_of_range_are_refused(detector, tmp_path, setting, value):
    Image.new('RGB', (40, 30)).save(tmp_path / 'black.png')
    settings = settings_of(**{'score': 0.25, 'overlap': 0.45, 'classes': [], setting: value})
    with pytest.raises(ValueError, match='thresh'):
        find_in_picture(detector, str(tmp_path / 'black.png'), **settings)


def test_a_segmenter_has_a_table_of_shares_and_no_thresholds(tmp_path):
    segmenter = mbv3zoo.load(write_stub(tmp_path / 'stub.onnx'))
    Image.new('RGB', (40, 30), 'red').save(tmp_path / 'red.png')
    settings = settings_of(0.25, 0.45, ['red'], segmenter)
    found = find_in_picture(segmenter, str(tmp_path / 'red.png'), **settings)
    assert settings == {} and found.summary.startswith('1 class in 40 x 30 pixels, ')
    ((name, share),) = found.table
    assert share == 100 and json.loads(found.json)['classes'][0]['name'] == name
    jpeg, frame = find_in_frame(segmenter, np.zeros((48, 64, 3), np.uint8))
    assert frame.image_size == (48, 64) and Image.open(io.BytesIO(jpeg)).size == (64, 48)


def test_a_frame_comes_back_drawn(detector):
    jpeg, found = find_in_frame(detector, np.zeros((48, 64, 3), np.uint8))
    assert len(found) == 0 and Image.open(io.BytesIO(jpeg)).size == (64, 48)


def test_a_long_video_ends_at_the_limit_and_tells_how_far_it_is(tmp_path, monkeypatch):
    pytest.importorskip('av')
    monkeypatch.setattr(gradio_predict, 'MOST_FRAMES', 12)
    told = []
    clip = write_clip(tmp_path / 'clip.mp4', count=20)
    mp4, lines, summary = find_in_video(Bright(), str(clip), lambda *how_far: told.append(how_far))
    assert mp4 and len(lines.splitlines()) == 12 and summary.startswith('12 frames, 12 objects, ')
    assert told == [(8, 12), (12, 12)]


@pytest.mark.parametrize('name', ['letter.mp4', 'picture.png', 'list.m3u8'])
def test_what_is_no_video_is_named_without_its_folder(tmp_path, name):
    pytest.importorskip('av')
    Image.new('RGB', (40, 30)).save(tmp_path / 'picture.png')
    clip = write_clip(tmp_path / 'secret.mp4', count=2)
    (tmp_path / 'letter.mp4').write_text('Dear sir')
    (tmp_path / 'list.m3u8').write_text(f'#EXTM3U\n#EXTINF:1,\n{clip}\n#EXT-X-ENDLIST\n')
    with pytest.raises(ValueError, match=name) as told:
        find_in_video(Bright(), str(tmp_path / name))
    assert str(tmp_path) not in str(told.value)
