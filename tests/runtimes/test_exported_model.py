"""What files of both tasks have in common; what they find is in the tests of each."""

import pytest
from exported_files import RUNNABLE

import mbv3zoo
from mbv3zoo.runtimes.export_info import ExportInfo
from mbv3zoo.runtimes.exported_model import ExportedModel


def test_a_file_opens_as_what_it_is(exported):
    path = exported('onnx')
    assert isinstance(ExportedModel.open(path), mbv3zoo.ExportedDetector)
    with pytest.raises(ValueError, match=r'model\.onnx holds a detector; open it with mbv3zoo\.load, or ExportedDet'):
        mbv3zoo.ExportedSegmenter.open(path)


@pytest.mark.parametrize('name', RUNNABLE)
def test_files_of_before_there_were_segmenters_are_detectors(name):
    info = ExportInfo.of(mbv3zoo.create_detector('mbv3_yolo_small', device='meta').config, (8, 16, 32), '1')
    before = info.model_dump(exclude={'task'})
    assert ExportInfo.parse(before, name) == info and info.task == 'detection'
