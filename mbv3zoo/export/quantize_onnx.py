"""int8 ONNX files, by ONNX Runtime's static quantisation with our own ranges."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from mbv3zoo.export.float_layers import Operation, first_layers, float_layers
from mbv3zoo.runtimes.export_info import METADATA_KEY, ExportInfo

_WEIGHTED = ('Conv', 'ConvTranspose', 'Gemm', 'MatMul')
# Operations between them too, so that feature maps stay in int8.
_QUANTIZED = (*_WEIGHTED, 'Relu', 'Add', 'MaxPool', 'Concat', 'Resize', 'Mul', 'Sigmoid')
_POOLS = ('GlobalAveragePool', 'GlobalMaxPool')


def quantize(path: Path, info: ExportInfo, batches: Sequence[np.ndarray]) -> None:
    """Replaces an .onnx file by its int8 version.

    Args:
        path: The file.
        info: Record of the int8 file.
        batches: Images as the graph takes them.
    """
    with tempfile.TemporaryDirectory(dir=path.parent) as folder, _quiet():
        prepared, written = Path(folder) / 'prepared.onnx', Path(folder) / path.name
        # Without optimisation, which splits hard-swish, for which the runtime has an operator.
        quant_pre_process(path, prepared, skip_optimization=True, skip_symbolic_shape=True)
        model = onnx.load(prepared)
        ranges = _ranges(model, batches)
        quantize_static(
            prepared,
            written,
            # Any batch does, as the ranges are given.
            _Reader(model.graph.input[0].name, batches[0]),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(_QUANTIZED),
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=float_layers_of(model),
            extra_options={
                'TensorQuantOverrides': {name: [{'rmin': low, 'rmax': high}] for name, (low, high) in ranges.items()},
                'MatMulConstBOnly': True,
            },
        )
        quantized = onnx.load(written)
        del quantized.metadata_props[:]
        quantized.metadata_props.append(onnx.StringStringEntryProto(key=METADATA_KEY, value=info.model_dump_json()))
        onnx.save(quantized, written)
        os.replace(written, path)


def float_layers_of(model: onnx.ModelProto) -> list[str]:
    """Names of the nodes of an ONNX model that stay in float; see `mbv3zoo.export.float_layers`."""
    constants = {tensor.name for tensor in model.graph.initializer} | {''}
    operations = []
    for node in model.graph.node:
        varying = tuple(name for name in node.input if name not in constants)
        if not varying:
            constants.update(node.output)
            continue
        weighted = node.op_type in _WEIGHTED and len(varying) == 1
        operations.append(Operation(node.name, tuple(node.output), varying, weighted, node.op_type in _POOLS))
    return [*float_layers(operations, [output.name for output in model.graph.output]), *first_layers(operations)]


def _ranges(model: onnx.ModelProto, batches: Sequence[np.ndarray]) -> dict[str, tuple[np.float32, np.float32]]:
    """Lowest and highest value of each input and output of the quantised operations: means over the images.

    ONNX Runtime takes the extremes over all images, so that one odd image widens the range for all others.
    """
    constants = {tensor.name for tensor in model.graph.initializer} | {''}
    used = [name for node in model.graph.node if node.op_type in _QUANTIZED for name in (*node.input, *node.output)]
    names = [name for name in dict.fromkeys(used) if name not in constants]
    shown = deepcopy(model)
    del shown.graph.output[:]
    shown.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    session = onnxruntime.InferenceSession(shown.SerializeToString(), providers=['CPUExecutionProvider'])
    source = model.graph.input[0].name
    sums = np.zeros((len(names), 2))
    for batch in batches:
        values = session.run(names, {source: batch})
        sums += [[_mean_extreme(value, np.min), _mean_extreme(value, np.max)] for value in values]
    means = (sums / len(batches)).astype(np.float32)
    return dict(zip(names, map(tuple, means), strict=True))


def _mean_extreme(value: np.ndarray, extreme: Callable[..., np.ndarray]) -> float:
    """The extreme of each image, averaged over the batch."""
    return float(extreme(value.reshape(len(value), -1), axis=1).mean())


class _Reader(CalibrationDataReader):
    def __init__(self, name: str, batch: np.ndarray) -> None:
        self.items = iter([{name: batch}])

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self.items, None)


@contextmanager
def _quiet() -> Iterator[None]:
    """Context manager: without the advice on the root logger and the runtime's warnings of unused constants."""
    disabled = logging.root.manager.disable
    onnxruntime.set_default_logger_severity(3)
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(disabled)
        onnxruntime.set_default_logger_severity(2)  # its default
