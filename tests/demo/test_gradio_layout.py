import contextlib
import json
import re
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from browser import Watch
from clips import write_clip
from PIL import Image
from stub_segmenter import write_stub

import mbv3zoo
from mbv3zoo.demo.gradio_app import build_app, launch

gradio_client = pytest.importorskip('gradio_client')

SCENE = Path(__file__).parents[2] / 'docs' / 'scene.jpg'
MODEL = 'mbv3_yolo_small.synth'
DEFAULTS = MODEL, 0.25, 0.45, []


@pytest.fixture(scope='module')
def asked():
    """Hosts that this process looks up."""
    hosts = set()
    real = socket.getaddrinfo

    def noting(host, *args, **options):
        hosts.add(host)
        return real(host, *args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, 'getaddrinfo', noting)
        yield hosts


@pytest.fixture(scope='module')
def server(tmp_path_factory, asked):
    """The address of an app, started once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('GRADIO_TEMP_DIR', str(tmp_path_factory.mktemp('gradio')))
        app = build_app(MODEL)
        yield launch(app, wait=False)
        app.close()


def connect(server):
    with pytest.MonkeyPatch.context() as patch:
        # The client asks the Hub who it is run by, and tells that it was run.
        patch.setenv('GRADIO_ANALYTICS_ENABLED', 'False')
        patch.setattr('gradio_client.client.build_hf_headers', lambda **options: {})
        return gradio_client.Client(server, verbose=False, analytics_enabled=False)


@pytest.fixture(scope='module')
def client(server):
    return connect(server)


def picture(client, path=SCENE, settings=DEFAULTS):
    """The picture with boxes, the table's rows, the JSON, the summary."""
    drawn, table, download, summary = client.predict(gradio_client.handle_file(path), *settings, api_name='/picture')
    return Path(drawn), table['data'], json.loads(Path(download['value']).read_text()), summary


def sentence(client, path=SCENE, settings=DEFAULTS):
    with pytest.raises(gradio_client.exceptions.AppError) as told:
        picture(client, path, settings)
    return str(told.value)


def test_a_picture_has_what_predict_finds_in_it(client):
    drawn, table, found, summary = picture(client)
    expected = mbv3zoo.load(MODEL).predict(SCENE)
    assert found['path'] == 'scene.jpg' and found['image_size'] == {'height': 480, 'width': 640}
    assert [row['name'] for row in found['detections']] == [row[0] for row in table] == expected.names
    np.testing.assert_allclose([row['box'] for row in found['detections']], expected.boxes, atol=0.01)
    np.testing.assert_allclose([row[1:] for row in table], np.c_[expected.scores, expected.boxes], atol=0.06)
    with Image.open(drawn) as image:
        difference = np.abs(np.asarray(image, float) - np.asarray(expected.draw(), float))
    assert drawn.name == 'scene_found.jpg' and difference.mean() < 3
    assert summary.startswith('8 objects in 640 x 480 pixels, ') and summary.endswith(' ms')


def test_score_overlap_and_classes_are_those_of_predict(client):
    settings = MODEL, 0.1, 0.2, ['heart', 'gear']
    _, table, _, _ = picture(client, settings=settings)
    expected = mbv3zoo.load(MODEL).predict(SCENE, score_thresh=0.1, iou_thresh=0.2, classes=['heart', 'gear'])
    assert [row[0] for row in table] == expected.names


@pytest.mark.parametrize(
    ('model', 'told'),
    [
        ('no_such_model', "there is no detector called 'no_such_model'; choose one of the list"),
        ('mbv3_yolo_small', "there is no detector called 'mbv3_yolo_small'; choose one of the list"),
        ('/etc/passwd', "there is no detector called '/etc/passwd'; choose one of the list"),
        ('../detector', "there is no detector called '../detector'; choose one of the list"),
        ('here/detector', "cannot load config.json from 'here/detector' on the Hub"),
    ],
)
def test_visitors_do_not_reach_the_files_of_the_server(client, tmp_path, monkeypatch, model, told):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr('huggingface_hub.constants.HF_HUB_OFFLINE', True)
    mbv3zoo.load(MODEL).save_pretrained(tmp_path / 'here' / 'detector')
    assert sentence(client, settings=(model, *DEFAULTS[1:])).startswith(told)


def test_mistakes_are_told_in_a_sentence(client, tmp_path):
    assert sentence(client, settings=(*DEFAULTS[:3], ['haert'])).startswith("unknown class 'haert'; did you mean")
    (tmp_path / 'letter.jpg').write_text('Dear sir')
    told = sentence(client, tmp_path / 'letter.jpg')
    assert told.startswith("cannot read image file 'letter.jpg': ") and str(tmp_path) not in told


def test_a_video_comes_back_with_its_boxes(client, tmp_path):
    av = pytest.importorskip('av')
    clip = write_clip(tmp_path / 'clip.mp4', count=5)
    video = {'video': gradio_client.handle_file(clip)}
    drawn, download, summary = client.predict(video['video'], MODEL, 0.0, 0.45, [], api_name='/video')
    drawn = drawn['video'] if isinstance(drawn, dict) else drawn
    with av.open(str(drawn)) as container:
        assert len(list(container.decode(video=0))) == 5
    lines = [json.loads(line) for line in Path(download['value']).read_text().splitlines()]
    assert [line['index'] for line in lines] == [0, 1, 2, 3, 4]
    assert Path(drawn).name == 'clip_found.mp4' and {line['path'] for line in lines} == {'clip.mp4'}
    assert summary.startswith('5 frames, ') and summary.endswith(' frames a second)')


def test_a_segmenter_has_shares_in_place_of_boxes_and_no_thresholds(tmp_path, monkeypatch):
    monkeypatch.setenv('GRADIO_TEMP_DIR', str(tmp_path / 'files'))
    app = build_app(write_stub(tmp_path / 'stub.onnx'))
    try:
        assert app.title == 'stub.onnx: semantic segmentation'
        widgets = {block.label: block for block in app.blocks.values() if getattr(block, 'label', None)}
        shown = [widgets[name].visible for name in ('Model', 'Classes', 'Least score', 'Most overlap (IoU)')]
        assert shown == [True, False, False, False]
        client = connect(launch(app, wait=False))
        handed = gradio_client.handle_file(SCENE)
        _, table, download, summary = client.predict(handed, 'stub.onnx', *DEFAULTS[1:], api_name='/picture')
    finally:
        app.close()
    found = json.loads(Path(download['value']).read_text())
    assert table['headers'] == ['name', '% of the picture'] and summary.startswith('4 classes in 640 x 480 pixels')
    assert table['data'] == [[row['name'], round(100 * row['share'], 2)] for row in found['classes']]


def test_a_video_without_pyav_says_what_to_install(client, tmp_path, monkeypatch):
    clip = write_clip(tmp_path / 'clip.mp4', count=2)
    monkeypatch.setattr('mbv3zoo.utils.packages.is_installed', lambda package: package != 'av')
    with pytest.raises(gradio_client.exceptions.AppError, match=r'needs av; install with: pip install "mbv3zoo\[video'):
        client.predict(gradio_client.handle_file(clip), *DEFAULTS, api_name='/video')


def test_visitors_at_once_get_their_own_results(server):
    models = [MODEL, 'mbv3_yolo_nano_v2.synth']
    # The scene has an object of score 0.25, which other numbers of threads round to either side of it.
    expected = [mbv3zoo.load(model).predict(SCENE, score_thresh=0.35).names for model in models]

    def visit(number, client):
        return [row[0] for row in picture(client, settings=(models[number % 2], 0.35, *DEFAULTS[2:]))[1]]

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(visit, range(6), [connect(server) for _ in range(6)])) == expected * 3


def test_no_other_host_is_asked_for(client, asked):
    picture(client)
    assert asked <= {'127.0.0.1', 'localhost', None}


# Takes the place of a camera: a canvas whose picture changes.
CAMERA = """
navigator.mediaDevices.enumerateDevices = async () => [{kind: 'videoinput', deviceId: 'a', label: 'a', groupId: 'a'}];
navigator.mediaDevices.getUserMedia = async () => {
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [320, 240];
    const pen = canvas.getContext('2d');
    setInterval(() => pen.fillRect(300 * Math.random(), 200 * Math.random(), 20, 20), 50);
    return canvas.captureStream(20);
};
"""


@pytest.mark.slow
def test_the_page_asks_nobody_else_and_its_sliders_and_webcam_act(server, chromium):
    with contextlib.closing(chromium.new_context(permissions=['camera'])) as context:
        watch, page = Watch(context), context.new_page()
        page.add_init_script(CAMERA)
        page.goto(server)
        page.locator('.gallery-item').click()
        page.get_by_text('8 objects in 640 x 480 pixels').wait_for()
        slider = page.get_by_role('slider').first
        slider.focus()
        slider.press('End')
        page.get_by_text('0 objects in 640 x 480 pixels').wait_for()
        slider.press('Home')
        page.get_by_text(re.compile(r'^\d{2,3} objects in 640 x 480 pixels')).wait_for()
        page.get_by_role('tab', name='Webcam').click()
        page.get_by_text('Click to Access Webcam').click()
        page.get_by_role('button', name='capture photo').click()
        page.get_by_text(re.compile(r'objects?, \d+ ms, [\d.]+ frames a second')).wait_for()
        assert watch.elsewhere(server) == [] and watch.errors == []
