"""Each kind of place is found by its name, and nothing is read before it is asked for."""

from pathlib import Path

import pytest

from mbv3zoo import DetectorConfig
from mbv3zoo.zoo.config_source import ConfigSource
from mbv3zoo.zoo.configs import config_folder, named_weights
from mbv3zoo.zoo.resolve import resolve, resolve_saved
from mbv3zoo.zoo.saved import FolderSource, HubSource
from mbv3zoo.zoo.source import Source
from mbv3zoo.zoo.timm_source import TimmSource

FOLDER = named_weights()['mbv3_yolo_small.synth']
YAML = config_folder() / 'mbv3_yolo_small.yaml'
CONFIG = DetectorConfig(backbone='test_resnet', num_classes=2)


@pytest.mark.parametrize(
    ('name', 'kind', 'path'),
    [
        (CONFIG, ConfigSource, None),
        ('resnet18', ConfigSource, None),
        ('mbv3_yolo_small', ConfigSource, None),
        ('no_such_model', ConfigSource, None),
        ('no_such.yaml', ConfigSource, Path('no_such.yaml')),
        (str(YAML), ConfigSource, YAML),
        (YAML, ConfigSource, YAML),
        ('mbv3_yolo_small.synth', FolderSource, None),
        (FOLDER, FolderSource, FOLDER),
        (str(FOLDER), FolderSource, FOLDER),
        ('org/name', HubSource, None),
        ('hf-hub:org/name@v1', TimmSource, None),
        ('local-dir:nowhere', TimmSource, None),
    ],
)
def test_a_name_is_a_place_of_one_kind(name, kind, path):
    source = resolve(name, local_files_only=True)
    assert type(source) is kind and source.name == name and source.path == path
    assert source.is_saved == (kind in (FolderSource, HubSource)) and source.options == {'local_files_only': True}


def test_only_what_was_saved_has_whole_weights():
    assert isinstance(resolve_saved(FOLDER), Source)
    for name in ('resnet18', 'hf-hub:org/name', YAML):
        with pytest.raises(ValueError, match='no weights called'):
            resolve_saved(name)
