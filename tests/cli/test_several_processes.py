"""`torchrun -m mbv3zoo val` and `predict` in two real processes, and in one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mbv3zoo.synth import SyntheticConfig, synthesize

MODEL = 'mbv3_yolo_small.synth'


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('processes')
    synthesize(folder / 'set', SyntheticConfig(train=1, val=7, image_size=160, workers=1))
    return folder


def run(folder, processes, *arguments):
    launcher = ['-m', 'torch.distributed.run', '--standalone', f'--nproc-per-node={processes}'] if processes > 1 else []
    command = [sys.executable, *launcher, '-m', 'mbv3zoo', *arguments]
    environment = os.environ | {'OMP_NUM_THREADS': '1'}
    environment |= {'PYTHONPATH': os.pathsep.join([str(Path.cwd()), *filter(None, [os.environ.get('PYTHONPATH')])])}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=200)


def test_val_gives_the_figures_of_one_process(folder):
    ran = [run(folder, n, 'val', MODEL, '--data=set', f'--out=val{n}', '--save-json', '--workers=0') for n in (1, 2)]
    assert [each.returncode for each in ran] == [0, 0], ran[1].stderr[-2000:]
    # One of them speaks.
    assert ran[1].stdout.replace('val2', 'val1') == ran[0].stdout and 'report in val1' in ran[0].stdout
    metrics = [json.loads((folder / f'val{n}/metrics.json').read_text()) for n in (1, 2)]
    assert metrics[0]['images'] == metrics[1]['images'] == 7 and metrics[0]['ap'] > 0.1
    assert metrics[1]['ap'] == pytest.approx(metrics[0]['ap'], abs=1e-4)
    files = [sorted(path.name for path in (folder / f'val{n}').rglob('*')) for n in (1, 2)]
    assert files[0] == files[1] and 'predictions.json' in files[0]


def test_predict_writes_what_one_process_writes(folder):
    ran = [run(folder, n, 'predict', MODEL, 'set/images/val', f'--out=found{n}', '--save-txt') for n in (1, 2)]
    assert [each.returncode for each in ran] == [0, 0], ran[1].stderr[-2000:]
    assert ran[1].stdout.replace('found2', 'found1') == ran[0].stdout and '7 pictures' in ran[0].stdout
    rows = [json.loads((folder / f'found{n}/predictions.json').read_text()) for n in (1, 2)]
    assert [row['path'] for row in rows[0]] == [row['path'] for row in rows[1]] and len(rows[0]) == 7
    one, two = ([found for row in own for found in row['detections']] for own in rows)
    assert len(one) == len(two) > 0 and [found['name'] for found in one] == [found['name'] for found in two]
    for a, b in zip(one, two, strict=True):
        assert a['box'] == pytest.approx(b['box'], abs=0.01) and a['score'] == pytest.approx(b['score'], abs=1e-4)
    files = [sorted(path.name for path in (folder / f'found{n}').rglob('*')) for n in (1, 2)]
    assert files[0] == files[1] and sum(name.endswith('.txt') for name in files[0]) >= 7


def test_a_folder_that_is_in_use_ends_all_in_one_sentence(folder):
    (folder / 'mine').mkdir()
    (folder / 'mine/a.txt').write_text('mine')
    ran = run(folder, 2, 'predict', MODEL, 'set/images/val', '--out=mine')
    assert ran.returncode and 'mine exists; results are never overwritten' in ran.stderr
    assert [path.name for path in (folder / 'mine').iterdir()] == ['a.txt']
