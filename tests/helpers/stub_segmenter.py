"""An exported segmenter without training: classes by colour, from a graph of four nodes."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from mbv3zoo.runtimes.export_info import METADATA_KEY, ExportInfo

NAMES = ('Background', 'red', 'green', 'blue', 'none of them')


def write_stub(path, size=(320, 320), names=NAMES):
    """Writes an ONNX file that tells classes by colour, with its record; returns its path."""
    rng = np.random.default_rng(0)
    weights = rng.normal(0, 4, (len(names), 3, 1, 1)).astype(np.float32)
    given = {'weights': weights - weights.mean(1, keepdims=True), 'scale': np.array(1 / 255, np.float32)}
    graph = helper.make_graph(
        [
            helper.make_node('Cast', ['images'], ['float'], to=TensorProto.FLOAT),
            helper.make_node('Mul', ['float', 'scale'], ['scaled']),
            helper.make_node('AveragePool', ['scaled'], ['cells'], kernel_shape=[8, 8], strides=[8, 8]),
            helper.make_node('Conv', ['cells', 'weights'], ['map8']),
        ],
        'stub',
        [helper.make_tensor_value_info('images', TensorProto.UINT8, [1, 3, *size])],
        [helper.make_tensor_value_info('map8', TensorProto.FLOAT, [1, len(names), size[0] // 8, size[1] // 8])],
        [numpy_helper.from_array(value, name) for name, value in given.items()],
    )
    info = ExportInfo(
        library_version='1', task='segmentation', backbone='stub', class_names=names, in_chans=3, image_size=size,
        strides=(8,),
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8)
    helper.set_model_props(model, {METADATA_KEY: info.model_dump_json()})
    onnx.save(model, path)
    return path
