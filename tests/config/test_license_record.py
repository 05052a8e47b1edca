import json

import pytest

from mbv3zoo.config.detector import DetectorConfig
from mbv3zoo.config.license_record import LicensedPart, LicenseRecord
from mbv3zoo.config.training import DataConfig
from mbv3zoo.licenses import weights_license

SCRATCH = LicenseRecord(backbone='none', imported='none')
COCO = LicensedPart(license='cc-by-4.0', source='coco')


def test_nothing_is_known_unless_it_is_said():
    config = DetectorConfig(backbone='resnet18')
    assert config.licenses == LicenseRecord() and config.licenses != SCRATCH
    assert weights_license(config.licenses) == 'unknown' and weights_license(SCRATCH) == 'apache-2.0'
    assert config.licenses.code == 'apache-2.0' and config.licenses.data == ()
    assert DataConfig(data='a').license is None


def test_the_record_is_kept_in_the_config():
    licenses = LicenseRecord(
        backbone=LicensedPart(license='mit', source='timm/x'), imported='none', data=(COCO, 'cc0-1.0')
    )
    config = DetectorConfig(backbone='resnet18', licenses=licenses)
    assert DetectorConfig.parse(json.loads(json.dumps(config.model_dump(mode='json')))) == config
    assert DetectorConfig.parse(config.model_dump() | {'num_classes': 80}).licenses == licenses
    assert config != DetectorConfig(backbone='resnet18')
    assert config.licenses.data == (COCO, LicensedPart(license='cc0-1.0'))


def test_a_person_may_write_it_short():
    given = {'backbone': ' Apache 2.0', 'data': 'CC-BY-4.0', 'imported': {'license': 'agpl-3.0', 'source': 'yolov5n'}}
    licenses = DetectorConfig.parse({'backbone': 'resnet18', 'licenses': given}).licenses
    assert licenses.backbone.license == 'apache-2.0' and licenses.data == (LicensedPart(license='cc-by-4.0'),)
    assert licenses.imported.source == 'yolov5n'


@pytest.mark.parametrize(
    ('given', 'place'),
    [
        ({'backbone': 'a|b'}, 'licenses.backbone.license'),
        ({'backbone': ''}, 'licenses.backbone.license'),
        ({'code': 'mit'}, 'licenses.code'),
        ({'data': [{'source': 'two\nlines'}]}, 'licenses.data.0.source'),
        ({'backbon': 'mit'}, "did you mean 'backbone'"),
        ({'data': ['mit'] * 101}, 'licenses.data'),
    ],
)
def test_a_bad_record_is_refused(given, place):
    with pytest.raises(ValueError) as caught:
        DetectorConfig.parse({'backbone': 'resnet18', 'licenses': given})
    assert place in str(caught.value)


def test_a_licence_that_was_named_for_the_whole_is_written_only_where_there_is_one():
    # Earlier versions refuse a key that they do not know.
    assert 'weights' not in SCRATCH.model_dump(mode='json') and 'weights' not in SCRATCH.model_dump()
    named = LicenseRecord.parse({'backbone': 'none', 'imported': 'none', 'weights': 'AGPL 3.0'})
    assert named.weights == 'agpl-3.0' and LicenseRecord.parse(named.model_dump(mode='json')) == named
    assert weights_license(named) == 'agpl-3.0'
    with pytest.raises(ValueError, match='weights'):
        LicenseRecord.parse({'weights': 'a|b'})
