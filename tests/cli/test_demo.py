"""`mbv3zoo demo`."""

import json

import pytest
from hub_server import HubServer, in_process
from program import run


def test_a_page_is_written_and_how_to_serve_it_is_said(exported, tmp_path):
    folder = tmp_path / 'page'
    result = run('demo', str(exported('onnx')), str(folder), '--title', 'Parts')
    assert result.exit_code == 0 and f'saved in {folder}' in result.output
    assert json.loads((folder / 'model.json').read_text())['title'] == 'Parts'


def test_open_serves_the_page_until_it_is_interrupted(exported, tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr('webbrowser.open', opened.append)
    monkeypatch.setattr('http.server.ThreadingHTTPServer.serve_forever', lambda server: None)
    result = run('demo', str(exported('onnx')), str(tmp_path / 'page'), '--open')
    assert result.exit_code == 0 and len(opened) == 1 and f'on {opened[0]} until' in result.output


def test_gradio_starts_an_app_and_with_a_folder_writes_its_space(tmp_path, monkeypatch):
    pytest.importorskip('gradio')
    asked = {}

    def launch(app, on_start, **options):
        asked.update(options, title=app.title)
        on_start('http://127.0.0.1:7860/')

    monkeypatch.setattr('mbv3zoo.demo.gradio_app.launch', launch)
    started = run('demo', 'mbv3_yolo_small.synth', '--gradio', '--title', 'Shapes', '--port', '7861')
    assert started.exit_code == 0 and 'on http://127.0.0.1:7860/ until you press Ctrl-C' in started.output
    assert asked == {'title': 'Shapes', 'host': None, 'port': 7861, 'open_browser': False}
    for more in ([], ['--overwrite', '--title', 'Again']):
        written = run('demo', 'mbv3_yolo_small.synth', str(tmp_path / 'space'), '--gradio', *more)
        assert written.exit_code == 0 and f'saved in {tmp_path / "space"}' in written.output
    assert "title='Again'" in (tmp_path / 'space' / 'app.py').read_text()


@pytest.mark.parametrize(
    ('options', 'told'),
    [
        ([], 'name a new folder for the page, or add --gradio'),
        (['page', '--host', '0.0.0.0'], '--host: for --gradio only'),
        (
            ['--gradio', '--precision', 'int8', '--calibration', 'photos'],
            '--precision, --calibration: for the page only',
        ),
        (['space', '--gradio', '--open'], '--open, --port and --host: to start the app'),
        (['page', '--private'], '--private and --allow-license: to publish'),
        (['page', '--port', '8000'], '--port and --open: to serve'),
        (['--push', 'org/name', '--open'], '--port and --open: to serve'),
        (['--push', 'name'], "'name'"),
        (['--gradio', '--overwrite'], '--overwrite: there is nothing to replace'),
        (['--gradio', '--push', 'org/name', '--open'], '--open, --port and --host: to start the app'),
        (['--push', 'org/name', '--overwrite'], '--overwrite: there is nothing to replace'),
        (['page', '--open', '--port', '70000'], 'port 70000 cannot be used'),
    ],
)
def test_options_that_do_not_go_together_are_told(tmp_path, monkeypatch, options, told):
    monkeypatch.chdir(tmp_path)
    result = run('demo', 'mbv3_yolo_small.synth', *options, ok=False)
    assert result.exit_code and told in str(result.exception)
    assert not list(tmp_path.iterdir())


@pytest.fixture
def hub(tmp_path, monkeypatch):
    monkeypatch.setenv('HF_TOKEN', 'hf_test')
    with HubServer() as server, in_process(server, tmp_path / 'cache'):
        yield server


def test_a_page_and_an_app_are_published_as_spaces(hub, exported, tmp_path):
    published = run('demo', str(exported('onnx')), '--push', 'org/page', '--title', 'Parts', '--private')
    assert f'published: {hub.url}/spaces/org/page/commit/' in published.output
    files = hub.repos['space:org/page'].files()
    assert {'index.html', 'app.js', 'model.json', 'model.onnx', 'runtime/LICENSE'} <= files.keys()
    assert b'sdk: static' in files['README.md'] and hub.repos['space:org/page'].private
    pytest.importorskip('gradio')
    run('demo', 'mbv3_yolo_small.synth', str(tmp_path / 'app'), '--gradio', '--push', 'org/app')
    files = hub.repos['space:org/app'].files()
    assert {'app.py', 'requirements.txt'} <= files.keys() and b'sdk: gradio' in files['README.md']


@pytest.mark.slow
def test_push_with_demo_publishes_the_weights_and_their_page(hub):
    listed = run('push', 'mbv3_yolo_small.synth', 'org/parts', '--demo', '--dry-run').output
    assert 'spaces/org/parts' in listed and 'worker.js' in listed and not hub.repos
    run('push', 'mbv3_yolo_small.synth', 'org/parts', '--demo')
    files = hub.repos['space:org/parts'].files()
    info = json.loads(files['model.json'])
    assert 'detector.safetensors' in hub.repos['org/parts'].files()
    assert info['title'] == 'parts' and len(files['model.onnx']) == info['bytes']
    assert b'- org/parts' in files['README.md'] and b'license: apache-2.0' in files['README.md']
