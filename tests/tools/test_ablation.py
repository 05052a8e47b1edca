"""The table of what the recipe's parts are worth."""

import argparse
import json

import ablation
import pytest
import yaml
from tiny_sets import write_yolo_set

from mbv3zoo.config.training import TrainConfig


def test_every_row_changes_something():
    default = TrainConfig()
    for name, row in ablation.ROWS.items():
        changed = TrainConfig(**row.settings) != default
        prepared = row.prepare in (ablation.no_prior, ablation.fitted)
        assert (changed or prepared) == (name != 'default'), name
    changes = [row[:2] for row in ablation.ROWS.values()]
    assert len(set(changes)) == len(changes)


def test_the_learning_rates_are_half_and_double_of_the_default():
    for name, factor in (('lr-half', 0.5), ('lr-double', 2)):
        assert ablation.ROWS[name].settings['lr'] == TrainConfig().lr * factor


def test_the_table_compares_with_the_default(tmp_path):
    for name, ap in (('default', 0.2), ('yolov5-loss', 0.05)):
        (tmp_path / name).mkdir()
        figures = {'ap': ap, 'ap50': 2 * ap, 'shift_ap': ap / 2, 'seconds': 1.0}
        (tmp_path / name / 'ablation.json').write_text(json.dumps(figures))
    lines = list(ablation.table(tmp_path))
    assert lines[2] == '|  | the default recipe | 20.0 | 40.0 | 10.0 |  |'
    assert lines[3] == "| loss | YOLOv5's, with its assignment | 5.0 | 10.0 | 2.5 | -15.0 |"
    assert len(lines) == 4


@pytest.mark.parametrize('name', ['no-prior', 'fitted'])
def test_a_row_is_trained_and_scored(tmp_path, name):
    data = write_yolo_set(tmp_path / 'shapes', {'train': 16, 'val': 2, 'shift': 2}, (64, 64))
    assert 'shift' in yaml.safe_load(data.read_text())
    args = argparse.Namespace(
        data=str(data), model='mbv3_yolo_small_050', epochs=1, image_size=64, workers=0, seed=0, out=tmp_path
    )
    ablation.train(ablation.ROWS[name], args, tmp_path / name)
    assert json.loads((tmp_path / name / 'ablation.json').read_text()).keys() == {'ap', 'ap50', 'shift_ap', 'seconds'}
