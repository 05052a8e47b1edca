import numpy as np
import pytest
from exported_files import MAPS, SIZE

pytest.importorskip('ncnn')

from mbv3zoo.runtimes import ncnn  # noqa: E402

# A graph in ncnn's own text format: twice its input and three times its input, not in the order of their numbers.
PARAM = """7767517
4 5
Input input 0 1 in0
Split split 1 2 in0 a b
BinaryOp twice 1 1 a out1 0=2 1=1 2=2.0
BinaryOp thrice 1 1 b out0 0=2 1=1 2=3.0
"""


def test_a_file_runs_and_its_record_is_in_the_certificate(exported):
    session = ncnn.open(exported('ncnn'), 1, 'cpu')
    maps = session(np.zeros((1, 3, *SIZE), np.float32))
    assert [(m.shape, m.dtype) for m in maps] == [(shape, np.float32) for shape in MAPS]
    assert (session.runtime, session.device, session.metadata, session.inputs) == ('ncnn', 'cpu', None, None)


def test_mistakes(tmp_path, exported):
    (tmp_path / 'm.ncnn.param').write_text('nothing')
    with pytest.raises(ValueError, match='there is no m.ncnn.bin beside it, which has the weights'):
        ncnn.open(tmp_path / 'm.ncnn.param', None, None)
    (tmp_path / 'm.ncnn.bin').touch()
    with pytest.raises(ValueError, match='m.ncnn.param: ncnn cannot read it'):
        ncnn.open(tmp_path / 'm.ncnn.param', None, None)
    with pytest.raises(ValueError, match="device 'cuda': ncnn has cpu"):
        ncnn.open(exported('ncnn'), None, 'cuda')


def test_pixels_of_another_type_are_converted_and_outputs_come_in_order(tmp_path):
    """ncnn reads the memory of an array that it does not keep alive."""
    (tmp_path / 'm.ncnn.param').write_text(PARAM)
    (tmp_path / 'm.ncnn.bin').touch()
    session = ncnn.open(tmp_path / 'm.ncnn.param', 1, 'cpu')
    for seed in range(5):
        images = np.random.default_rng(seed).integers(0, 256, (1, 3, 32, 32), np.uint8)
        thrice, twice = session(images)
        np.testing.assert_array_equal(thrice, 3 * images.astype(np.float32))
        np.testing.assert_array_equal(twice, 2 * images.astype(np.float32))
