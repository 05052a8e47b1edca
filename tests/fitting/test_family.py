"""What a family of fitted models has beside them."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from fitting_cases import fit_record

from mbv3zoo.fitting.family import picture_family
from mbv3zoo.fitting.stages import FitResult
from mbv3zoo.fitting.uniform import solve_uniformly


def results():
    return [FitResult(None, Path(f'out/{ms:g}ms'), fit_record(ms, 0.5)) for ms in (12.0, 8.0)]


def narrow(milliseconds, stages, choose):
    assert (stages, choose) == (1, solve_uniformly)
    if milliseconds < 10:
        raise ValueError('the narrowest network that was found takes 11 ms')
    return SimpleNamespace(config=SimpleNamespace(fit=fit_record(0.97 * milliseconds, None, 0.2)))


def test_picture_and_figures_are_written_once(tmp_path):
    picture_family(results(), SimpleNamespace(narrow=narrow), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {'family.png', 'family.json'}
    figures = json.loads((tmp_path / 'family.json').read_text())
    # One factor does not come to 8 ms.
    assert [record['measured_ms'] for record in figures['uniform']] == [pytest.approx(11.64)]
    assert [record['measured_ms'] for record in figures['fitted']] == [12.0, 8.0]
    picture_family(results(), SimpleNamespace(narrow=lambda *_: pytest.fail('it is there')), tmp_path)
