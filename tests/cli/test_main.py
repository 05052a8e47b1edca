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

from mbv3zoo.cli import main as cli
from mbv3zoo.create import create_detector
from mbv3zoo.detector import Detector

ROOT = Path(__file__).parents[2]


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

    run('val', out / 'best', '--data', scenes, '--workers', 0, '--out', tmp_path / 'report')
    assert json.loads((tmp_path / 'report' / 'metrics.json').read_text())['images'] == 3

    found = tmp_path / 'found'
    run('predict', out / 'last', scenes / 'images' / 'val', '--out', found, '--score-thresh', 0.001)
    rows = json.loads((found / 'predictions.json').read_text())
    assert [Path(row['path']).name for row in rows] == ['000000.jpg', '000001.jpg', '000002.jpg']
    for row in rows:
        with Image.open(found / row['drawn']) as drawn, Image.open(row['path']) as original:
            assert drawn.size == original.size
    again = run('predict', out / 'last', scenes / 'images' / 'val', '--out', found, ok=False)
    assert 'exists' in str(again.exception)


REPORT = ['confusion_matrix.png', 'metrics.json', 'pr_curve.png', 'predictions.png']


def test_val_prints_a_table_and_writes_a_report(tmp_path, monkeypatch, scenes, saved):
    monkeypatch.chdir(tmp_path)
    for number in (1, 2):
        lines = run('val', saved, '--data', scenes, '--workers', 0).stdout.splitlines()
        assert sorted(path.name for path in Path('runs', f'val-{number}').iterdir()) == REPORT
    figures = json.loads(Path('runs', 'val-1', 'metrics.json').read_text())
    assert figures['images'] == 3 and 0 <= figures['ap'] < 0.5 and len(figures['classes']) == 16
    assert lines[0] == f'3 pictures, {figures["objects"]} objects' and lines[-1] == 'report in runs/val-2'
    assert lines[1].split() == ['class', 'AP', 'AP50', 'AP75', 'small', 'medium', 'large', 'objects']
    assert [line.split()[0] for line in lines[2:-1]] == ['all', *(row['name'] for row in figures['classes'])]


def test_val_of_another_split_as_coco_results(tmp_path, scenes, saved):
    out = tmp_path / 'report'
    detector = Detector.from_pretrained(saved)
    for conv in detector.head.convs:
        # An untrained one starts out sure of nothing, so that it may find nothing at all.
        conv.bias.data.fill_(0)
    saved = detector.save_pretrained(tmp_path / 'eager')
    options = ['--data', scenes, '--split', 'train', '--workers', 0, '--image-size', 96, '--out', out]
    output = run('val', saved, *options, '--save-json').stdout
    assert output.startswith('6 pictures')
    assert sorted(path.name for path in out.iterdir()) == sorted([*REPORT, 'predictions.json'])
    rows = json.loads((out / 'predictions.json').read_text())
    assert rows and set(rows[0]) == {'image_id', 'category_id', 'bbox', 'score'}
    assert {row['category_id'] for row in rows} <= set(range(1, 17))
    assert len({row['image_id'] for row in rows}) == 6
    # Refused before any work is done: the model is not even looked for.
    assert 'exists' in str(run('val', 'no-such-model', *options, ok=False).exception)


def test_train_needs_a_data_set_and_known_settings(scenes):
    assert '--data' in str(run('train', ok=False).exception)
    error = str(run('train', '--data', scenes, '--set', 'mosiac=1', ok=False).exception)
    assert "'mosiac'" in error and "'mosaic'" in error
    assert 'name=value' in str(run('train', '--data', scenes, '--set', 'mosaic', ok=False).exception)


def test_preview_draws_a_batch_and_trains_nothing(tmp_path, monkeypatch, scenes):
    monkeypatch.chdir(tmp_path)
    options = ['--data', scenes, '--model', 'mbv3_yolo_small_050', '--image-size', 64]
    run('train', *options, '--preview', 'look/batch.png')
    with Image.open('look/batch.png') as image:
        assert image.format == 'PNG' and min(image.size) > 300
    assert [path.name for path in tmp_path.rglob('*') if path.is_file()] == ['batch.png']


def test_synth_with_a_shifted_split_and_other_settings(tmp_path):
    options = ['--train', 2, '--val', 1, '--shift', 2, '--image-size', 96, '--workers', 1, '--set', 'min_scale=0.2']
    run('synth', tmp_path / 'scenes', *options)
    assert yaml.safe_load((tmp_path / 'scenes/data.yaml').read_text())['shift'] == 'images/shift'
    assert len(list((tmp_path / 'scenes/images/shift').iterdir())) == 2
    assert json.loads((tmp_path / 'scenes/synthetic.json').read_text())['config']['min_scale'] == 0.2
    assert 'name=value' in str(run('synth', tmp_path / 'other', '--set', 'min_scale', ok=False).exception)


def test_pull_from_a_folder_makes_the_same_detector(tmp_path, saved):
    run('pull', saved, tmp_path / 'copy')
    for name in ('config.json', 'model.safetensors', 'detector.safetensors', 'README.md'):
        assert (tmp_path / 'copy' / name).read_bytes() == (saved / name).read_bytes()
    assert 'exists' in str(run('pull', saved, tmp_path / 'copy', ok=False).exception)


def test_the_readme_opens_with_the_two_commands_and_ci_runs_the_second():
    commands = [block.strip() for block in (ROOT / 'README.md').read_text().split('```')[1:4:2]]
    assert commands[0].startswith('pip install . && mbv3zoo predict ') and '\n' not in commands[0]
    assert commands[1] in (ROOT / '.ci' / 'run').read_text().splitlines()
    assert tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']['scripts'] == {
        'mbv3zoo': 'mbv3zoo.cli.main:main'
    }
