"""`mbv3zoo fit`: what its options become."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from mbv3zoo.cli.main import app
from mbv3zoo.fitting import fit as fit_module


@pytest.fixture
def asked(monkeypatch):
    calls = []
    record = SimpleNamespace(
        measured_ms=11.5, before_ms=20.0, measure='AP', quality_after=0.5, quality_narrowed=0.4, quality_before=0.6
    )

    def fit(model, data, **settings):
        calls.append((model, data, settings))
        return SimpleNamespace(folder=Path('fitted'), record=record)

    monkeypatch.setattr(fit_module, 'fit', fit)
    return calls


def run(*arguments):
    return CliRunner().invoke(app, ['fit', 'runs/mine/best', '--data', 'data.yaml', *arguments])


def test_one_budget_and_the_settings_of_the_training(asked):
    result = run('--ms', '12', '--runtime', 'openvino', '--image-size', '320', '--set', 'lr=0.01', '--threads', '2')
    assert result.exit_code == 0, result.output
    ((model, data, settings),) = asked
    assert (model, data) == ('runs/mine/best', 'data.yaml')
    assert settings['ms'] == 12 and settings['speedup'] is None and settings['lr'] == 0.01
    assert settings['runtime'] == 'openvino' and settings['image_size'] == (320, 320) and settings['threads'] == 2
    assert '11.50 ms, before 20.00 ms; AP 0.500, before 0.600; saved in fitted' in result.output


def test_several_budgets_are_a_family(asked):
    assert run('--speedup', '1.5', '--speedup', '2').exit_code == 0
    assert asked[0][2]['speedup'] == [1.5, 2.0] and asked[0][2]['ms'] is None
