import pytest

from mbv3zoo.zoo.configs import named_weights
from mbv3zoo.zoo.resolve import resolve

FOLDER = named_weights()['mbv3_yolo_small.synth']


def test_weights_that_are_not_wanted_are_not_read(tmp_path):
    for path in FOLDER.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes() if path.name == 'config.json' else b'damaged')
    source = resolve(tmp_path)
    assert source.read_config() == resolve(FOLDER).read_config()
    with pytest.raises(ValueError, match='corrupt'):
        source.read_weights()
