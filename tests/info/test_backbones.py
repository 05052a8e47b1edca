import csv

import pytest
import timm
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from mbv3zoo import create_detector
from mbv3zoo.info import backbones as backbone_table
from mbv3zoo.info.backbones import BackboneRow, backbone_row, backbone_rows, measure, write_rows
from mbv3zoo.models.pyramid import PyramidBackbone


def test_a_row_says_what_the_backbone_is():
    row = measure('resnet18')
    assert (row.name, row.family, row.route, row.sizes) == ('resnet18', 'resnet', 'native', 'any')
    assert (row.strides, row.channels, row.image_size) == ('8 16 32', '128 256 512', '640 x 640')
    record = timm.get_pretrained_cfg('resnet18')
    assert (row.weights, row.trained_at, row.licence) == (record.tag, '224 x 224', record.license)
    # Without its classifier, and counted by hand: all but 512 x 1000 + 1000 of torchvision's 11 689 512.
    assert row.parameters == f'{(11_689_512 - 513_000) / 1e6:.2f}'


@pytest.mark.parametrize('name', ['mbv3_yolo_small', 'test_vit', 'mixer_s32_224'])
def test_parameters_and_operations_are_those_of_the_detectors_backbone(name):
    row = measure(name)
    detector = create_detector(name, device='meta')
    size = detector.config.image_size
    assert row.image_size == f'{size[0]} x {size[1]}'
    assert row.parameters == f'{sum(p.numel() for p in detector.backbone.parameters()) / 1e6:.2f}'
    real = PyramidBackbone(name, size).eval()
    # Some CPUs have an attention in one piece, which torch does not count.
    with FlopCounterMode(display=False) as counter, torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        real(torch.zeros(1, 3, *size))
    assert row.gflops == f'{counter.get_total_flops() / 1e9:.2f}'


def test_an_unknown_name_is_refused_with_near_ones():
    for name in ('resnet81', 'resnet18.nope'):
        with pytest.raises(ValueError, match='resnet18|a1_in1k'):
            backbone_row(name)


def test_a_tag_is_about_its_weights():
    row, base = backbone_row('resnet18.fb_swsl_ig1b_ft_in1k'), backbone_row('resnet18')
    assert row.name == 'resnet18.fb_swsl_ig1b_ft_in1k' and row.weights == 'fb_swsl_ig1b_ft_in1k'
    assert row.licence == timm.get_pretrained_cfg(row.name).license != base.licence
    assert row.parameters == base.parameters


def test_a_tag_of_another_size_is_measured():
    """The packaged line is of the size that the default tag was trained at."""
    tag = next(t for t in timm.list_pretrained('cait_xxs24*') if '384' in t)
    assert backbone_row('cait_xxs24_224').image_size == '224 x 224' and backbone_row(tag).image_size == '384 x 384'
    name = 'deepseek_vit_412m.deepseek_v4_flash_vision_exp'
    assert backbone_row(name).image_size == measure(name).image_size != backbone_row('deepseek_vit_412m').image_size


def test_rows_by_pattern():
    assert [row.name for row in backbone_rows('mbv3*')] == timm.list_models('mbv3*')
    assert [row.name for row in backbone_rows('mbv3*', pretrained=True)] == timm.list_pretrained('mbv3*')
    assert list(backbone_rows('no such model')) == []


def test_what_is_written_is_read_again(tmp_path, monkeypatch):
    row = BackboneRow(*(f'{field}, "quoted"' for field in BackboneRow._fields))._replace(name='resnet18')
    write_rows(tmp_path / 'rows.csv', [row])
    monkeypatch.setattr(backbone_table, 'table_path', lambda: tmp_path / 'rows.csv')
    backbone_table._packaged_rows.cache_clear()
    try:
        assert backbone_row('resnet18').route == row.route
        # A name that is not in it is measured.
        assert backbone_row('mbv3_yolo_small').route == 'native'
    finally:
        backbone_table._packaged_rows.cache_clear()
    assert next(csv.reader((tmp_path / 'rows.csv').open()))[0] == 'name'
