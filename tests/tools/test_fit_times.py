"""The table of predicted and measured times of fits."""

import argparse

import fit_times
import pytest
from fake_times import use_small_fits

from mbv3zoo.synth import SyntheticConfig, synthesize

pytest.importorskip('onnx')


def test_a_row_for_each_fit(tmp_path, monkeypatch):
    use_small_fits(monkeypatch, tmp_path)
    synthesize(tmp_path / 'scenes', SyntheticConfig(train=16, val=4, image_size=96, workers=0))
    args = argparse.Namespace(
        models=['mbv3_yolo_nano_v2.synth'], data=str(tmp_path / 'scenes'), speedup=1.3, runtime=['onnxruntime'],
        image_size=[(96, 96)], threads=1, out=tmp_path / 'out',
    )  # fmt: skip
    head, *lines, last = fit_times.rows(args)
    cells = [[cell.strip() for cell in line.strip('|').split('|')] for line in lines]
    assert [made[:3] for made in cells] == [['mbv3_yolo_nano_v2.synth', 'onnxruntime', '96 x 96']]
    assert all(len(made) == head.splitlines()[0].count('|') - 1 for made in cells)
    errors = []
    for *_, before, ms, ratio, predicted, error in cells:
        assert float(ms) / float(before) == pytest.approx(float(ratio), abs=0.01) and float(ratio) <= 0.77
        errors.append(float(error.strip('%')))
        assert errors[-1] == pytest.approx(100 * (float(predicted) / float(ratio) - 1), abs=0.2)
    assert last.startswith('\n1 fits: median error') and last.endswith(f'{max(map(abs, errors)):.1f}%')
