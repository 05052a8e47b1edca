import json

import yaml
from program import run


def test_synth_with_a_shifted_split_and_other_settings(tmp_path):
    options = ['--train', 2, '--val', 1, '--shift', 2, '--image-size', 96, '--workers', 1, '--set', 'min_scale=0.2']
    run('synth', tmp_path / 'scenes', *options)
    assert yaml.safe_load((tmp_path / 'scenes/data.yaml').read_text())['shift'] == 'images/shift'
    assert len(list((tmp_path / 'scenes/images/shift').iterdir())) == 2
    assert json.loads((tmp_path / 'scenes/synthetic.json').read_text())['config']['min_scale'] == 0.2
    assert 'name=value' in str(run('synth', tmp_path / 'other', '--set', 'min_scale', ok=False).exception)
