"""The program, run as a person runs it."""

import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from program import run

from mbv3zoo.cli import main as cli
from mbv3zoo.version import __version__

ROOT = Path(__file__).parents[2]


def test_help_names_every_command_without_importing_torch(tmp_path):
    code = """
import sys
sys.argv = ['mbv3zoo', '--help']
from mbv3zoo.cli.main import main
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


def test_a_package_that_is_not_installed_is_named_in_one_line(monkeypatch, capsys, saved, tmp_path):
    monkeypatch.setattr('mbv3zoo.utils.packages.is_installed', lambda package: False)
    monkeypatch.setattr(sys, 'argv', ['mbv3zoo', 'export', str(saved), str(tmp_path / 'model.onnx')])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    error = capsys.readouterr().err
    assert stop.value.code == 1 and error.startswith('mbv3zoo: writing onnx needs ') and error.count('\n') == 1


def test_the_readme_opens_with_the_two_commands_and_ci_runs_the_second():
    commands = [block.strip() for block in (ROOT / 'README.md').read_text().split('```')[1:4:2]]
    assert commands[0].startswith('pip install . && mbv3zoo predict ') and '\n' not in commands[0]
    assert commands[1] in (ROOT / '.ci' / 'run').read_text().splitlines()
    assert tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']['scripts'] == {
        'mbv3zoo': 'mbv3zoo.cli.main:main'
    }


def test_the_version_is_that_of_the_package_with_torch_and_timm():
    expected = f'mbv3zoo {__version__}, torch {version("torch")}, timm {version("timm")}\n'
    assert run('--version').output == expected
