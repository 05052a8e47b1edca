import json
import logging

import pytest

import mbv3zoo

transformers = pytest.importorskip('transformers')


@pytest.fixture(scope='module')
def saved(tmp_path_factory):
    detector = mbv3zoo.create_detector('mbv3_yolo_small', class_names=['cat', 'dog', 'bird'], image_size=64)
    return detector.save_pretrained(tmp_path_factory.mktemp('saved') / 'detector')


def test_the_config_has_what_a_pipeline_asks_for(saved):
    config = transformers.AutoConfig.from_pretrained(saved)
    assert config.model_type == 'mbv3zoo' and config.id2label == {0: 'cat', 1: 'dog', 2: 'bird'}
    assert config.label2id['bird'] == 2 and config.num_labels == 3 and config.detector['image_size'] == [64, 64]


def test_a_folder_of_an_older_version_has_no_model_type(saved):
    path = saved / 'config.json'
    stated = json.loads(path.read_text())
    assert stated.pop('model_type') == 'mbv3zoo'
    path.write_text(json.dumps(stated))
    assert transformers.AutoConfig.from_pretrained(saved).model_type == 'mbv3zoo'


def test_a_backbone_of_timms_stays_one(saved, tmp_path):
    stated = json.loads((saved / 'config.json').read_text())
    plain = {name: stated[name] for name in ('architecture', 'num_classes', 'pretrained_cfg')}
    (tmp_path / 'config.json').write_text(json.dumps({**plain, 'architecture': 'mobilenetv3_small_100'}))
    assert transformers.AutoConfig.from_pretrained(tmp_path).model_type == 'timm_wrapper'


def test_a_config_that_is_damaged_is_named(tmp_path):
    (tmp_path / 'config.json').write_text('{"library_name": "mbv3zoo", "detector": {"backbone": 5}}')
    with pytest.raises(ValueError, match=f'{tmp_path}.*backbone'):
        transformers.AutoConfig.from_pretrained(tmp_path)


def test_a_transformers_that_lacks_what_is_needed_works_on(monkeypatch, caplog):
    def fail(name):
        raise ImportError(f'no {name}')

    monkeypatch.setattr(mbv3zoo, 'import_module', fail)
    with caplog.at_level(logging.INFO, 'mbv3zoo'):
        mbv3zoo._register_with_transformers(transformers.models.auto.configuration_auto)
    assert 'not registered with this transformers: no mbv3zoo.integrations' in caplog.text
