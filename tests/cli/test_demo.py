"""`mbv3zoo demo`."""

import json

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
