"""The comparison of fits with what else takes as long."""

import argparse

import fit_comparison
import pytest
from fake_times import use_small_fits

from mbv3zoo.synth import SyntheticConfig, synthesize

pytest.importorskip('onnx')


@pytest.mark.slow
def test_a_table_of_all_ways(tmp_path, monkeypatch):
    use_small_fits(monkeypatch, tmp_path)
    synthesize(tmp_path / 'scenes', SyntheticConfig(train=16, val=4, image_size=96, workers=0))
    args = argparse.Namespace(
        model='mbv3_yolo_small.synth', data=str(tmp_path / 'scenes'), speedup=[1.5], runtime='onnxruntime',
        image_size=(96, 96), threads=1, precision='float32', epochs=0, out=tmp_path / 'out',
    )  # fmt: skip
    head, *lines = fit_comparison.rows(args)
    cells = [[cell.strip() for cell in line.strip('|').split('|')] for line in lines]
    assert [made[:2] for made in cells] == [['1.5', 'fit'], ['1.5', 'uniform'], ['1.5', 'smaller input']]
    assert all(len(made) >= head.splitlines()[0].count('|') - 1 for made in cells)
    assert all(float(made[3]) <= 0.67 for made in cells) and cells[2][7] == '64 x 64'
    assert all(made[4] == made[5] for made in cells)
    widths = [fit_comparison.mbv3zoo.load(tmp_path / 'out' / '1.5x' / name).config for name in ('fit', 'uniform')]
    assert not any(made[6] for made in cells)
    assert widths[0].backbone_args['widths'] != widths[1].backbone_args['widths']


@pytest.mark.slow
def test_files_of_int8_have_an_ap_of_their_own(tmp_path):
    pytest.importorskip('onnxscript')
    synthesize(tmp_path / 'scenes', SyntheticConfig(train=24, val=16, image_size=160, workers=0))
    detector = fit_comparison.mbv3zoo.load('mbv3_yolo_small.synth')
    detector.config = detector.config.model_copy(update={'image_size': (160, 160)})
    args = argparse.Namespace(precision='int8', runtime='onnxruntime', data=str(tmp_path / 'scenes'))
    quality = float(fit_comparison.in_int8(detector, args, tmp_path / 'fit').strip(' |'))
    assert (tmp_path / 'fit_int8.onnx').exists()
    assert quality == pytest.approx(fit_comparison.mbv3zoo.evaluate(detector, args.data).score, abs=0.05)
    assert fit_comparison.in_int8(detector, argparse.Namespace(precision='float32'), tmp_path) == ' |'
