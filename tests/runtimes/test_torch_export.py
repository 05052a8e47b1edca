from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from exported_files import MAPS, SIZE

from mbv3zoo.runtimes import torch_export
from mbv3zoo.runtimes.export_info import ExportInfo


def test_a_file_runs_and_holds_its_record(exported):
    session = torch_export.open(exported('torch_export'), None, None)
    maps = session(np.zeros((1, 3, *SIZE), np.uint8))
    assert [(m.shape, m.dtype) for m in maps] == [(shape, np.float32) for shape in MAPS]
    assert session.runtime == 'torch_export' and ExportInfo.model_validate_json(session.metadata).image_size == SIZE


def test_threads_may_open_files_at_once(exported):
    path, images = exported('torch_export'), np.zeros((1, 3, *SIZE), np.uint8)
    with ThreadPoolExecutor(4) as threads:
        sessions = list(threads.map(lambda _: torch_export.open(path, None, None), range(4)))
    maps = [session(images)[0] for session in sessions]
    assert all(np.array_equal(found, maps[0]) for found in maps)


def test_a_device_that_is_not_there(exported):
    with pytest.raises(ValueError, match="device 'cuda:77': torch cannot use it"):
        torch_export.open(exported('torch_export'), None, 'cuda:77')
