from typer.testing import CliRunner
from yolov5_tree import MULTIPLES, OFFICIAL_LAYERS, yolov5_checkpoint

import mbv3zoo
from mbv3zoo.cli.main import app

SMALL = {**OFFICIAL_LAYERS, **MULTIPLES['n'], 'nc': 2}


def test_the_command(tmp_path):
    yolov5_checkpoint(tmp_path / 'best.pt', SMALL, names=['cat', 'dog'])
    command = ['convert', str(tmp_path / 'best.pt'), str(tmp_path / 'out')]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert 'EMA weights on cspdarknet_v6_n, 2 classes' in result.output and 'agpl-3.0' in result.output
    before = {path: path.read_bytes() for path in (tmp_path / 'out').iterdir()}
    again = CliRunner().invoke(app, command)
    assert again.exit_code != 0 and 'never overwritten' in str(again.exception)
    assert before == {path: path.read_bytes() for path in (tmp_path / 'out').iterdir()}
    owned = CliRunner().invoke(app, [*command[:2], str(tmp_path / 'own'), '--license', 'MIT'])
    assert owned.exit_code == 0
    assert mbv3zoo.Detector.from_pretrained(tmp_path / 'own').config.licenses.imported.license == 'mit'
