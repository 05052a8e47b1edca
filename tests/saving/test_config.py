import pytest

from mbv3zoo.config.detector import DetectorConfig
from mbv3zoo.saving.config import parse_config, read_folder_config
from mbv3zoo.zoo.configs import named_weights

CONFIG = DetectorConfig(backbone='resnet18', num_classes=2)
SAVED = {'library_name': 'mbv3zoo', 'detector': CONFIG.model_dump(mode='json')}


def test_a_config_is_read_from_what_was_saved():
    assert parse_config(SAVED, 'here') == CONFIG
    assert read_folder_config(named_weights()['mbv3_yolo_small.synth']).backbone == 'mbv3_yolo_small'


@pytest.mark.parametrize(
    ('changes', 'words'),
    [
        ({'library_name': 'timm'}, "here: config.json is for the library 'timm'"),
        ({'detector': None}, 'has no settings of a detector'),
        ({'detector': {'backbone': 'resnet18', 'num_clases': 3}}, "here: .*did you mean 'num_classes'"),
        ({'detector': {'backbone': 'resnet18', 'backbone_args': {'checkpoint_path': 'x'}}}, 'here: .*checkpoint_path'),
    ],
)
def test_another_librarys_config_and_what_it_may_not_say(changes, words):
    with pytest.raises(ValueError, match=words):
        parse_config(SAVED | changes, 'here')
