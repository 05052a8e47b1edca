"""Every timm model makes a detector: one of each family in every run, all of them in the slow one."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import backbone_checks
import pytest
import timm
import torch
from backbone_checks import CHECKS, build, composed, smallest_of_families

from mbv3zoo import create_detector
from mbv3zoo.info.backbones import backbone_row, backbone_rows, measure

FAMILIES = {row.family: row for row in smallest_of_families()}
# Larger ones are trained on real numbers in the slow run only, and here on the meta device.
LARGE = 30.0


def test_the_table_has_every_model_and_every_family():
    if backbone_row('resnet18').timm != timm.__version__:
        pytest.skip('the table is of another timm; tools/backbone_table.py makes it anew')
    assert [row.name for row in backbone_rows()] == timm.list_models()
    assert sorted(FAMILIES) == timm.list_modules()
    assert {row.route for row in backbone_rows()} == {'native', 'completed', 'simple pyramid'}


@pytest.mark.parametrize('family', FAMILIES)
def test_one_of_each_family_is_composed_and_trained(family):
    row = FAMILIES[family]
    if float(row.parameters) > LARGE:
        assert composed(row.name) is None
    else:
        backbone_checks.check_train(*build(row))


@pytest.mark.parametrize('family', [family for family, row in FAMILIES.items() if row.sizes == 'any'])
@torch.no_grad()
def test_one_of_each_family_takes_other_sizes_where_the_table_says_any(family):
    detector = create_detector(FAMILIES[family].name, device='meta').eval()
    logits = detector(torch.empty(1, 3, 352, 416, device='meta'))
    assert [level.shape[2:4] for level in logits] == [(44, 52), (22, 26), (11, 13)]


@pytest.mark.slow
@pytest.mark.parametrize('family', FAMILIES)
def test_one_of_each_family_is_trained_saved_exported_and_fused(family):
    detector, images = build(FAMILIES[family])
    for check in CHECKS.values():
        check(detector, images)


@pytest.mark.slow
def test_every_model_is_composed():
    names = timm.list_models()
    context = multiprocessing.get_context('spawn')  # torch's threads do not survive a fork
    with ProcessPoolExecutor(2, context, torch.set_num_threads, (1,)) as pool:
        wrong = [result for result in pool.map(composed, names, chunksize=4) if result]
    assert len(names) >= 1371 and not wrong


@pytest.mark.slow
@pytest.mark.parametrize(
    'name', ['resnet18', 'crossvit_9_240', 'halonet26t', 'vit_tiny_patch16_224', 'mbv3_yolo_small']
)
def test_the_packaged_table_is_what_is_measured(name):
    assert measure(name) == backbone_row(name)
