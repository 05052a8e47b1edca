"""A page as a Space."""

import json

import pytest
import yaml
from hub_server import HubServer, in_process

from mbv3zoo.demo.page import write_page
from mbv3zoo.demo.space import publish_page, space_readme


def header(text):
    return yaml.safe_load(text.split('---\n')[1])


def test_the_header_is_that_of_a_static_space_with_threads():
    found = header(space_readme('Nuts: "a"\n<b>', 'my-own', 'org/name'))
    assert found['title'] == 'Nuts: "a"\n<b>' and found['sdk'] == 'static' and found['models'] == ['org/name']
    assert (found['license'], found['license_name']) == ('other', 'my-own')
    assert found['custom_headers']['cross-origin-opener-policy'] == 'same-origin'
    assert 'license_name' not in header(space_readme('a', 'apache-2.0'))


def test_a_segmenter_is_said_to_be_one():
    text = space_readme('a', 'apache-2.0', task='segmentation')
    assert header(text)['tags'] == ['image-segmentation', 'mbv3zoo'] and 'The segmenter runs' in text


def test_a_page_is_published_whole(exported, tmp_path, monkeypatch):
    folder = write_page(exported('onnx'), tmp_path / 'page', weights='org/name')
    assert {file.name for file in publish_page(folder, 'org/name', dry_run=True)} >= {'index.html', 'model.onnx'}
    monkeypatch.setenv('HF_TOKEN', 'hf_test')
    with HubServer() as server, in_process(server, tmp_path / 'cache'):
        publish_page(folder, 'org/name')
    files = server.repos['space:org/name'].files()
    assert files['model.onnx'] == (folder / 'model.onnx').read_bytes() and 'runtime/ort.wasm.min.mjs' in files
    assert header(files['README.md'].decode())['models'] == ['org/name']


def test_licences_are_checked_as_for_weights(exported, tmp_path):
    folder = write_page(exported('onnx'), tmp_path / 'page')
    info = json.loads((folder / 'model.json').read_text())
    (folder / 'model.json').write_text(json.dumps({**info, 'license': 'no licence!'}))
    with pytest.raises(ValueError, match='licence'):
        publish_page(folder, 'org/name', dry_run=True)


def test_a_folder_that_is_no_page(tmp_path):
    with pytest.raises(ValueError, match='is no page'):
        publish_page(tmp_path, 'org/name')
