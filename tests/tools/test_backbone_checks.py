"""Every timm model makes a detector: one of each family is composed in every run, and a sample of all in the slow one.

MBV3ZOO_TEST_ALL=1 pytest -m slow tests/tools/test_backbone_checks.py    # all of them; some families are trained else
"""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import pytest
import timm
import torch
from amount import amount, sample
from backbone_checks import CHECKS, build, composed, smallest_of_families

from mbv3zoo import create_detector
from mbv3zoo.info.backbones import backbone_row, backbone_rows, measure

FAMILIES = {row.family: row for row in smallest_of_families()}
# In every slow run our own, transformers with one size and with many, attention over windows, folded branches, state
# spaces, and limits that ONNX's exporter forgets.
ALWAYS = ('mbv3', 'narrowed', 'vision_transformer', 'naflexvit', 'hiera', 'repvit', 'mambaout', 'gemma4_vit')
in_sample = sample(0.1, lambda family: family in ALWAYS)
TRAINED = [family for family in FAMILIES if in_sample(family)]
# The smallest of these have 171 and 416 million parameters in equal blocks, of which three show the same.
FEWER_BLOCKS = {'gemma4_vit': {'depth': 3}, 'deepseek_vit': {'depth': 3}}


def test_the_table_has_every_model_and_every_family():
    if backbone_row('resnet18').timm != timm.__version__:
        pytest.skip('the table is of another timm; tools/backbone_table.py makes it anew')
    assert [row.name for row in backbone_rows()] == timm.list_models()
    assert sorted(FAMILIES) == timm.list_modules()
    assert {row.route for row in backbone_rows()} == {'native', 'completed', 'simple pyramid'}


@pytest.mark.parametrize('family', FAMILIES)
@torch.no_grad()
def test_one_of_each_family_is_composed(family):
    """At its own size, and where the table says that it takes any, at another one."""
    row = FAMILIES[family]
    detector = create_detector(row.name, device='meta').eval()
    height, width = (352, 416) if row.sizes == 'any' else detector.config.image_size
    logits = detector(torch.empty(1, 3, height, width, device='meta'))
    assert [level.shape[2:4] for level in logits] == [(height // s, width // s) for s in (8, 16, 32)]


@pytest.mark.slow
@pytest.mark.parametrize('family', TRAINED)
def test_one_of_each_family_is_trained_saved_exported_and_fused(family):
    detector, images = build(FAMILIES[family], **amount(FEWER_BLOCKS, {}).get(family, {}))
    for check in CHECKS.values():
        check(detector, images)


@pytest.mark.slow
def test_models_of_all_kinds_are_composed():
    models = timm.list_models()
    names = models[:: amount(24, 1)]
    context = multiprocessing.get_context('spawn')  # torch's threads do not survive a fork
    with ProcessPoolExecutor(2, context, torch.set_num_threads, (1,)) as pool:
        wrong = [result for result in pool.map(composed, names, chunksize=4) if result]
    assert len(models) >= 1371 and not wrong


@pytest.mark.slow
@pytest.mark.parametrize(
    'name', ['resnet18', 'crossvit_9_240', 'halonet26t', 'vit_tiny_patch16_224', 'mbv3_yolo_small']
)
def test_the_packaged_table_is_what_is_measured(name):
    assert measure(name) == backbone_row(name)
