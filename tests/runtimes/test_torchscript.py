import numpy as np
import pytest
from exported_files import MAPS, SIZE

from mbv3zoo.runtimes import torchscript
from mbv3zoo.runtimes.export_info import ExportInfo
from mbv3zoo.runtimes.session import open_session


def test_a_file_runs_and_holds_its_record(exported):
    session = torchscript.open(exported('torchscript'), None, None)
    maps = session(np.zeros((1, 3, *SIZE), np.uint8))
    assert [(m.shape, m.dtype) for m in maps] == [(shape, np.float32) for shape in MAPS]
    assert session.runtime == 'torchscript' and ExportInfo.model_validate_json(session.metadata).image_size == SIZE


def test_a_device_that_is_not_there(exported):
    with pytest.raises(ValueError, match='torchscript cannot open it: .*cuda'):
        open_session(exported('torchscript'), device='cuda:77')
