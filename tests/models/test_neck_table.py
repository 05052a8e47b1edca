import re
from typing import get_args

import pytest

from mbv3zoo.cards.render import render_card
from mbv3zoo.config.detector import DetectorConfig, NeckName
from mbv3zoo.create import create_detector
from mbv3zoo.info.describe import describe
from mbv3zoo.models import neck_table
from mbv3zoo.models.light_pan import LightPAN
from mbv3zoo.models.neck import PAN


def test_every_name_has_its_class():
    assert set(neck_table.NECKS) == set(get_args(NeckName))
    assert neck_table.NECKS['pan'].build is PAN and neck_table.NECKS['light'].build is LightPAN


@pytest.mark.parametrize('name', neck_table.NECKS)
def test_detector_info_and_card_read_the_table(name, monkeypatch):
    config = DetectorConfig(backbone='mbv3_yolo_small_050', neck=name, num_classes=2, image_size=64)
    neck = neck_table.NECKS[name]
    assert type(create_detector(config, device='meta').neck) is neck.build
    monkeypatch.setitem(neck_table.NECKS, name, neck._replace(shown='a thing', in_card='a thing with words'))
    assert re.search(r'^neck +a thing, to \[64, 128, 256\],', describe(config), re.MULTILINE)
    assert '| neck, head | a thing with words; anchors;' in render_card(config, 1)
