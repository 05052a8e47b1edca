import numpy as np
import pytest
from exported_files import MAPS, SIZE

pytest.importorskip('ncnn')

from mbv3zoo.runtimes import ncnn  # noqa: E402


def test_a_file_runs_and_its_record_is_in_the_certificate(exported):
    session = ncnn.open(exported('ncnn'), 1, 'cpu')
    maps = session(np.zeros((1, 3, *SIZE), np.float32))
    assert [(m.shape, m.dtype) for m in maps] == [(shape, np.float32) for shape in MAPS]
    assert (session.runtime, session.metadata, session.inputs) == ('ncnn', None, None)


def test_mistakes(tmp_path, exported):
    (tmp_path / 'm.ncnn.param').write_text('nothing')
    with pytest.raises(ValueError, match='there is no m.ncnn.bin beside it, which has the weights'):
        ncnn.open(tmp_path / 'm.ncnn.param', None, None)
    (tmp_path / 'm.ncnn.bin').touch()
    with pytest.raises(ValueError, match='m.ncnn.param: ncnn cannot read it'):
        ncnn.open(tmp_path / 'm.ncnn.param', None, None)
    with pytest.raises(ValueError, match="device 'cuda': ncnn has cpu"):
        ncnn.open(exported('ncnn'), None, 'cuda')
