"""The program, run as a person runs it, except where a subprocess would only cost time."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner

from mbv3zoo import cli
from mbv3zoo.detector import create_detector

ROOT = Path(__file__).parent.parent


def run(*args, ok=True):
    result = CliRunner().invoke(cli.app, list(map(str, args)))
    if ok:
        assert result.exit_code == 0, result.output + repr(result.exception)
    return result


@pytest.fixture(scope='module')
def scenes(tmp_path_factory):
    folder = tmp_path_factory.mktemp('synth') / 'scenes'
    run('synth', folder, '--train', 6, '--val', 3, '--image-size', 96, '--workers', 1)
    return folder


@pytest.fixture(scope='module')
def saved(tmp_path_factory, scenes):
    names = yaml.safe_load((scenes / 'data.yaml').read_text())['names']
    detector = create_detector('mbv3_yolo_small_050', class_names=names, image_size=64)
    return detector.save_pretrained(tmp_path_factory.mktemp('saved') / 'detector')


def test_help_names_every_command_without_importing_torch(tmp_path):
    code = """
import sys
sys.argv = ['mbv3zoo', '--help']
from mbv3zoo.cli import main
try:
    main()
except SystemExit as stop:
    assert not stop.code, stop.code
heavy = {'torch', 'torchvision', 'timm', 'numpy', 'PIL', 'accelerate', 'pydantic', 'huggingface_hub'} & set(sys.modules)
assert not heavy, heavy
"""
    result = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    for command in ('list', 'info', 'synth', 'train', 'val', 'predict', 'push', 'pull'):
        assert f'  {command} ' in result.stdout


def test_python_m_is_the_same_program_and_finds_the_configs_from_anywhere(tmp_path):
    command = [sys.executable, '-m', 'mbv3zoo', 'list', 'mbv3*']
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert result.stdout.split() == sorted(path.stem for path in (ROOT / 'configs').glob('mbv3*.yaml')), result.stderr


def test_a_mistake_ends_in_one_line(monkeypatch, capsys):
    monkeypatch.setattr(sys, 'argv', ['mbv3zoo', 'info', 'mbv3_yolo_smal'])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 1
    error = capsys.readouterr().err
    assert error.startswith('mbv3zoo: ') and 'mbv3_yolo_small' in error and error.count('\n') == 1


def test_list_and_info():
    assert 'mbv3_yolo_small' in run('list').output.split()
    assert 'mbv3_yolo_small.lamb_in1k' in run('list', 'mbv3*', '--backbones', '--pretrained').output.split()
    output = run('info', 'mbv3_yolo_small').output
    assert '[24, 48, 576]' in output and '2.20 M' in output and 'GFLOPs' in output


def test_train_val_predict(tmp_path, scenes):
    out = tmp_path / 'run'
    size = ['--image-size', 64, '--batch-size', 4, '--workers', 0]
    output = run('train', '--data', scenes, '--model', 'mbv3_yolo_small_050', '--epochs', 1, *size, '--out', out).output
    assert 'AP50' in output and str(out) in output
    again = run('train', '--data', scenes, '--epochs', 1, '--out', out, ok=False)
    assert isinstance(again.exception, ValueError) and 'exists' in str(again.exception)

    output = run('val', out / 'best', '--data', scenes, '--workers', 0, '--out', tmp_path / 'figures.json').output
    figures = json.loads((tmp_path / 'figures.json').read_text())
    assert figures['images'] == 3 and '3 pictures' in output and 'umbrella' in output and 'AP small' in output

    found = tmp_path / 'found'
    run('predict', out / 'last', scenes / 'images' / 'val', '--out', found, '--score-thresh', 0.001)
    rows = json.loads((found / 'predictions.json').read_text())
    assert [Path(row['path']).name for row in rows] == ['000000.jpg', '000001.jpg', '000002.jpg']
    for row in rows:
        with Image.open(found / row['drawn']) as drawn, Image.open(row['path']) as original:
            assert drawn.size == original.size
    again = run('predict', out / 'last', scenes / 'images' / 'val', '--out', found, ok=False)
    assert 'exists' in str(again.exception)


def test_train_needs_a_data_set_and_known_settings(scenes):
    assert '--data' in str(run('train', ok=False).exception)
    error = str(run('train', '--data', scenes, '--set', 'mosiac=1', ok=False).exception)
    assert "'mosiac'" in error and "'mosaic'" in error
    assert 'name=value' in str(run('train', '--data', scenes, '--set', 'mosaic', ok=False).exception)


def test_pull_from_a_folder_makes_the_same_detector(tmp_path, saved):
    run('pull', saved, tmp_path / 'copy')
    for name in ('config.json', 'model.safetensors'):
        assert (tmp_path / 'copy' / name).read_bytes() == (saved / name).read_bytes()
    assert 'exists' in str(run('pull', saved, tmp_path / 'copy', ok=False).exception)


def test_the_readme_opens_with_the_two_commands_and_ci_runs_the_second():
    commands = [block.strip() for block in (ROOT / 'README.md').read_text().split('```')[1:4:2]]
    assert commands[0].startswith('pip install . && mbv3zoo predict ') and '\n' not in commands[0]
    assert commands[1] in (ROOT / '.ci' / 'run').read_text().splitlines()
    assert tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']['scripts'] == {'mbv3zoo': 'mbv3zoo.cli:main'}
