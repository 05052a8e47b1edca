import random
import subprocess
import sys
from importlib.machinery import ModuleSpec

import pytest
import timm
from timm.models import is_model

import mbv3zoo  # noqa: F401  registers our own models with timm
from mbv3zoo.zoo import timm_names
from mbv3zoo.zoo.timm_names import is_timm_name, may_be_own_tag


def test_no_models_name_is_missed_where_only_sources_are_searched():
    names = sorted({*random.Random(0).sample(timm.list_models(), 20), *timm.list_models('*_v6_*'), 'mbv3_yolo_small'})
    old = ['tf_efficientnet_b0_ns', 'vit_huge_patch14_224_in21k']
    assert [name for name in (*names, *old) if not timm_names._may_be_model(name)] == []
    assert all(map(is_model, names))


@pytest.mark.parametrize('name', ['out', 'best', 'W', 'my_detector', './resnet18', 'runs/resnet18', '', '\0', 'é', '.'])
def test_a_folders_name_is_no_model_and_timm_is_not_asked(name):
    assert not timm_names._may_be_model(name.partition('.')[0]) and not is_timm_name(name)


def test_timm_is_imported_for_names_that_may_be_a_models_only():
    code = (
        'import sys\nfrom mbv3zoo.zoo.timm_names import is_timm_name\n'
        'assert not is_timm_name("out") and "timm" not in sys.modules\n'
        'assert is_timm_name("resnet18.a1_in1k") and "timm" in sys.modules'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_tags_of_backbones_are_told_from_others_without_timm():
    tags = {name.partition('.')[2] for name in timm.list_pretrained('mbv3*')}
    assert tags and all(map(may_be_own_tag, tags))
    assert not may_be_own_tag('coco') and not may_be_own_tag('synth')


def test_where_timms_source_is_not_found_timm_is_asked(monkeypatch):
    monkeypatch.setattr(timm_names, 'find_spec', lambda name: ModuleSpec(name, None))
    assert timm_names._may_be_model('out')
