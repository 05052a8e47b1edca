import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from stub_segmenter import write_stub

import mbv3zoo
from mbv3zoo.config.license_record import LicensedPart
from mbv3zoo.demo import gradio_space
from mbv3zoo.demo.gradio_space import publish_app, write_app

TOP = Path(__file__).parents[2]
SCENE = TOP / 'docs' / 'scene.jpg'
MODEL = 'mbv3_yolo_small.synth'


def header(folder):
    return yaml.safe_load((folder / 'README.md').read_text(encoding='utf-8').split('---\n')[1])


def requirements(folder):
    lines = (folder / 'requirements.txt').read_text().splitlines()
    return [Requirement(line) for line in lines if not line.startswith('#')]


def test_the_space_says_what_it_runs_with(tmp_path):
    folder = write_app(MODEL, tmp_path / 'space', title='Shapes: "found"')
    says = header(folder)
    assert says['title'] == 'Shapes: "found"' and says['sdk'] == 'gradio' and says['app_file'] == 'app.py'
    assert says['license'] == 'apache-2.0' and 'mbv3zoo' in says['tags']
    assert says['sdk_version'].startswith('6.') and says['python_version'] == '3.11'
    project = tomllib.loads((TOP / 'pyproject.toml').read_text())['project']
    (needed,) = requirements(folder)
    assert needed.name == 'mbv3zoo' and needed.extras == {'demo', 'video'}
    assert needed.url == f'git+{project["urls"]["Homepage"]}@v{mbv3zoo.__version__}'
    assert f"MODEL = '{MODEL}'" in (folder / 'app.py').read_text()


def test_a_commit_is_named_where_mbv3zoo_came_from_one(tmp_path, monkeypatch):
    class Installed:
        def read_text(self, name):
            return json.dumps({'vcs_info': {'commit_id': 'f' * 40}}) if name == 'direct_url.json' else None

    monkeypatch.setattr(gradio_space, 'distribution', lambda name: Installed())
    (needed,) = requirements(write_app(MODEL, tmp_path / 'space'))
    assert needed.url.endswith('@' + 'f' * 40)


def test_a_file_is_copied_beside_the_app(exported, tmp_path):
    path = exported('onnx')
    folder = write_app(path, tmp_path / 'space')
    assert (folder / 'model' / path.name).read_bytes() == path.read_bytes()
    assert requirements(folder)[0].extras == {'demo', 'export', 'video'}


def test_a_segmenter_is_said_to_be_one(tmp_path):
    folder = write_app(write_stub(tmp_path / 'stub.onnx'), tmp_path / 'space')
    assert header(folder)['title'] == 'stub.onnx: semantic segmentation'
    assert header(folder)['tags'] == ['image-segmentation', 'mbv3zoo'] and gradio_space.is_app(folder)


def test_nothing_is_left_where_there_is_no_detector(tmp_path):
    with pytest.raises(ValueError, match='no_such'):
        write_app('no_such', tmp_path / 'space')
    assert not (tmp_path / 'space').exists()


def test_weights_that_may_not_be_given_on_are_not_pushed(tmp_path):
    detector = mbv3zoo.create_detector('mbv3_yolo_small_050', class_names=['cat'], image_size=64)
    config = detector.config
    imported = config.licenses.model_copy(update={'imported': LicensedPart(license='agpl-3.0', source='yolov5s.pt')})
    detector.config = config.model_copy(update={'licenses': imported})
    source = detector.save_pretrained(tmp_path / 'mine', card_data={'license': 'apache-2.0'})
    folder = write_app(source, tmp_path / 'space')
    with pytest.raises(ValueError, match='org/name: the weights of the app are not to be published under'):
        publish_app(source, folder, 'org/name')


@pytest.mark.slow
def test_the_written_app_runs_with_its_own_detector(tmp_path):
    client = pytest.importorskip('gradio_client')
    source = mbv3zoo.load(MODEL).save_pretrained(tmp_path / 'runs' / "o'neil" / 'best')
    folder = write_app(source, tmp_path / 'space', title='Mine')
    # Away from the run that it was copied from, on a port that the system chose.
    source.rename(tmp_path / 'away')
    program = 'import app; print(app.launch(app.demo, wait=False), flush=True); input()'
    env = {**os.environ, 'PYTHONPATH': str(TOP), 'GRADIO_TEMP_DIR': str(tmp_path / 'files')}
    command = [sys.executable, '-c', program]
    with subprocess.Popen(command, cwd=folder, env=env, text=True, stdin=-1, stdout=-1) as running:
        try:
            address = running.stdout.readline().strip()
            found = client.Client(address, verbose=False, analytics_enabled=False).predict(
                client.handle_file(SCENE), "o'neil", 0.25, 0.45, [], api_name='/picture'
            )
        finally:
            running.kill()
    assert [row[0] for row in found[1]['data']] == mbv3zoo.load(tmp_path / 'away').predict(SCENE).names
