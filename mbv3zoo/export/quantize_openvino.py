"""int8 OpenVINO IR, by NNCF."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import openvino

from mbv3zoo.export.float_layers import Operation, float_layers
from mbv3zoo.export.openvino import replace
from mbv3zoo.runtimes.export_info import ExportInfo
from mbv3zoo.runtimes.openvino import shared_core
from mbv3zoo.utils.packages import import_package
from mbv3zoo.utils.quiet import without_log

_TORCH = 'torch.utils.cpp_extension'  # NNCF imports it
_CONVOLUTIONS = ('Convolution', 'GroupConvolution', 'ConvolutionBackpropData', 'GroupConvolutionBackpropData')


def quantize(path: Path, info: ExportInfo, batches: Sequence[np.ndarray]) -> None:
    """Replaces an .xml file and its .bin by their int8 version.

    Args:
        path: The .xml file.
        info: Record of the int8 file.
        batches: Images as the graph takes them.
    """
    nncf = import_package('int8', 'nncf')
    # Its log and its progress bars.
    with open(os.devnull, 'w') as nowhere, redirect_stdout(nowhere), without_log('nncf'), without_log(_TORCH):
        model = shared_core().read_model(path)
        model = nncf.quantize(
            model,
            nncf.Dataset(batches),
            # Symmetric for ReLU, asymmetric for others: hard-swish and SiLU go little below zero, and would lose half
            # of a symmetric range.
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(batches),
            ignored_scope=nncf.IgnoredScope(names=float_layers_of(model), validate=False),
        )
        replace(path, model, info)


def float_layers_of(model: openvino.Model) -> list[str]:
    """Names of the nodes of an OpenVINO model that stay in float; see `mbv3zoo.export.float_layers`.

    Depthwise convolutions too: NNCF gives their input one scale per channel, and OpenVINO then computes them in float,
    so that quantising them would only add rounding.
    """
    operations, constants, depthwise = [], set(), []
    for node in model.get_ordered_ops():
        name, kind = node.get_friendly_name(), node.get_type_name()
        if kind in ('Result', 'Parameter'):
            continue
        sources = [node.input_value(i).get_node() for i in range(node.get_input_size())]
        inputs = tuple(source.get_friendly_name() for source in sources)
        varying = tuple(source for source in inputs if source not in constants)
        # Weights may be stored in float16, with an operation on constants before them; shapes are no feature maps.
        if not varying or kind == 'ShapeOf':
            constants.add(name)
            continue
        if kind == 'GroupConvolution':
            depthwise.append(name)
        weighted = kind in _CONVOLUTIONS or (kind == 'MatMul' and len(varying) == 1)
        operations.append(Operation(name, (name,), varying, weighted, _pools(node)))
    return depthwise + float_layers(
        operations, [node.input_value(0).get_node().get_friendly_name() for node in model.get_results()]
    )


def _pools(node: openvino.Node) -> bool:
    """Whether it is a mean over a whole feature map; told from the shapes, as its axes may be computed."""
    given, left = node.get_input_partial_shape(0), node.get_output_partial_shape(0)
    if node.get_type_name() != 'ReduceMean' or given.rank.is_dynamic or left.rank.is_dynamic or len(left) != 4:
        return False
    return all(left[axis] == 1 and given[axis] != 1 for axis in (2, 3))
