import pytest
from exported_files import MAPS, SIZE

openvino = pytest.importorskip('openvino')

from mbv3zoo.runtimes.openvino import shared_core  # noqa: E402


def test_weights_are_beside_in_float32_and_sizes_are_those_of_the_file(exported):
    path = exported('openvino')
    model = shared_core().read_model(path)
    assert model.has_rt_info(['mbv3zoo']) and path.with_suffix('.bin').stat().st_size > 5e6
    assert [tuple(port.shape) for port in model.outputs] == MAPS
    assert tuple(model.input().shape) == (1, 3, *SIZE)
    constants = [node for node in model.get_ordered_ops() if node.get_type_name() == 'Constant']
    types = {node.get_element_type().to_string() for node in constants}
    assert 'f32' in types and 'f16' not in types
