"""Times that follow from the size of graphs: what fits are tested by where nothing is to be timed."""

import copy

import onnx
import torch
from torch.utils.flop_counter import FlopCounterMode

from mbv3zoo.fitting import fitter, graph_timer, latency_table

# A call takes 1 ms, and 1 ms more for so many operations.
OPERATIONS = 2e7


def use_fake_times(monkeypatch):
    """Layers and whole networks take a time that grows with their operations; no runtime is opened."""
    monkeypatch.setattr(latency_table, '_seconds', lambda calls: [call() for call in calls])
    monkeypatch.setattr(latency_table.LatencyTable, '_open', lambda self, model: lambda: graph_time(model))
    monkeypatch.setattr(graph_timer.GraphTimer, '_open', lambda self, network: network_time(network))
    monkeypatch.setattr(graph_timer.GraphTimer, '_time', lambda self, times: [_figures(ms, times[0]) for ms in times])


def use_small_fits(monkeypatch, folder):
    """The same for whole fits, which look at few images and keep no times; `folder` is an empty one."""
    use_fake_times(monkeypatch)
    monkeypatch.setenv('MBV3ZOO_CACHE', str(folder / 'cache'))
    monkeypatch.setattr(fitter, '_IMAGES', 16)


def network_time(network):
    """Milliseconds of a network with one image of its own size."""
    on_meta = copy.deepcopy(network).to('meta').eval()
    images = torch.empty(1, network.config.in_chans, *network.config.image_size, device='meta')
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        on_meta(images)
    return 1 + counter.get_total_flops() / OPERATIONS


def graph_time(model):
    """Milliseconds of a graph of convolutions: the operations of each, at the size of its input."""
    height, width = (axis.dim_value for axis in model.graph.input[0].type.tensor_type.shape.dim[2:])
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    # Weights in 8 bits come through a node.
    for node in model.graph.node:
        if node.op_type == 'DequantizeLinear' and node.input[0] in constants:
            constants[node.output[0]] = constants[node.input[0]]
    operations = 0
    for node in model.graph.node:
        if node.op_type == 'Conv' and node.input[1] in constants:
            strides = next(attribute.ints for attribute in node.attribute if attribute.name == 'strides')
            numbers = onnx.numpy_helper.to_array(constants[node.input[1]]).size
            operations += 2 * numbers * height * width / (strides[0] * strides[1])
    return 1 + operations / OPERATIONS


def _figures(ms, first):
    return {'ms': ms, 'ms_low': ms, 'ms_high': ms, 'relative': ms / first}
