"""Several processes train as one with all their pictures would."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tiny_sets import CLASS_NAMES, write_yolo_set

from mbv3zoo.config.training import DataConfig, RunConfig, TrainConfig
from mbv3zoo.create import create_detector
from mbv3zoo.data.load import load_dataset
from mbv3zoo.detector import Detector
from mbv3zoo.evaluation.run import run_evaluation as evaluate
from mbv3zoo.training import run

EPOCHS, PICTURES = 3, 8
# Small steps of plain SGD: large ones make large differences of those in rounding, within an epoch.
SETTINGS = {
    'epochs': EPOCHS, 'optimizer': 'sgd', 'lr': 1e-4, 'warmup_epochs': 0, 'workers': 0, 'mosaic': 0.5,
    'mosaic_off_epochs': 1,
}  # fmt: skip


@pytest.fixture(scope='module', params=['simota', pytest.param('yolov5', marks=pytest.mark.slow)])
def runs(request, tmp_path_factory):
    """The same run in one process and in two with half the batch each, and its data.yaml."""
    folder = tmp_path_factory.mktemp('processes')
    data = write_yolo_set(folder / 'shapes', {'train': 4 * PICTURES, 'val': 5}, (96, 96))
    settings = SETTINGS | {'loss': request.param}
    config = RunConfig(
        model='mbv3_yolo_small_050',
        image_size=96,
        data=DataConfig(data=str(data)),
        train=TrainConfig(batch_size=PICTURES, **settings),
    )
    run.start(config, folder / 'one')
    pairs = [f'--set={name}={value}' for name, value in settings.items()]
    command = [
        sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc-per-node=2', '-m', 'mbv3zoo',
        'train', f'--data={data}', '--model=mbv3_yolo_small_050', '--image-size=96', f'--batch-size={PICTURES // 2}',
        *pairs,
    ]  # fmt: skip
    environment = os.environ | {'ACCELERATE_USE_CPU': 'true', 'OMP_NUM_THREADS': '1'}
    environment |= {'PYTHONPATH': os.pathsep.join([str(Path.cwd()), *filter(None, [os.environ.get('PYTHONPATH')])])}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr[-2000:]
    # One of them speaks, and one of them chose the folder.
    assert done.stdout.count('saved in runs/train-1') == 1
    assert [path.name for path in (folder / 'runs').iterdir()] == ['train-1']
    (folder / 'runs' / 'train-1').rename(folder / 'two')
    return folder, data


def rows_of(folder):
    with open(folder / 'results.csv', newline='') as file:
        return list(csv.DictReader(file))


def test_the_loss_curve_is_the_same(runs):
    one, two = (rows_of(runs[0] / name) for name in ('one', 'two'))
    assert len(one) == len(two) == EPOCHS
    for row, other in zip(one, two, strict=True):
        for name in ('lr', 'box', 'objectness', 'classes'):
            assert float(other[name]) == pytest.approx(float(row[name]), rel=1e-3, abs=2e-5), (row, other)


def test_the_weights_are_the_same(runs):
    states = [Detector.from_pretrained(runs[0] / name / 'last').state_dict() for name in ('one', 'two')]
    torch.manual_seed(0)
    first = create_detector('mbv3_yolo_small_050', class_names=CLASS_NAMES, image_size=96).state_dict()
    assert states[0].keys() == states[1].keys() == first.keys()
    for name, value in states[0].items():
        # By how much they were moved by training, of which the differences are a small part.
        moved, apart = (value - first[name]).double().norm(), (value - states[1][name]).double().norm()
        # Some means are nothing but rounding (those of what follows a norm without activation): they are as large as
        # rounding is beside the values whose means they are.
        rounding = 1e-6
        if name.endswith('running_mean'):
            rounding += 1e-5 * states[0][name.replace('mean', 'var')].double().sqrt().norm()
        assert apart <= 0.1 * moved + rounding, (name, moved, apart, rounding)
    assert sum(not torch.equal(value, first[name]) for name, value in states[0].items()) > 0.9 * len(first)


def test_the_evaluation_is_that_of_one_process(runs):
    """Both looked at a part of the pictures: five of them, so not at equally many."""
    folder, data = runs
    metrics = evaluate(Detector.from_pretrained(folder / 'two' / 'last'), load_dataset(data, 'val')).metrics
    last = rows_of(folder / 'two')[-1]
    assert metrics.images == 5
    for name in ('ap', 'ap50', 'ap75'):
        assert float(last[name]) == pytest.approx(getattr(metrics, name), abs=1e-4)
