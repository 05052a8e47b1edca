"""ONNX Runtime, on .onnx files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime

from mbv3zoo.runtimes.export_info import METADATA_KEY
from mbv3zoo.runtimes.graph_input import GraphInput

_TYPES = {
    'tensor(float)': np.float32,
    'tensor(float16)': np.float16,
    'tensor(double)': np.float64,
    'tensor(uint8)': np.uint8,
    'tensor(int8)': np.int8,
}
_PROVIDERS = {'cuda': 'CUDAExecutionProvider', 'coreml': 'CoreMLExecutionProvider', 'dml': 'DmlExecutionProvider'}


class OnnxRuntimeSession:
    """A file open in ONNX Runtime; see `mbv3zoo.runtimes.session.Session`."""

    runtime = 'onnxruntime'

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self.session = session
        self.input = session.get_inputs()[0].name
        self.metadata = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)

    @property
    def device(self) -> str:
        provider = self.session.get_providers()[0]
        names = {own: name for name, own in _PROVIDERS.items()}
        return 'cpu' if provider == 'CPUExecutionProvider' else names.get(provider, provider)

    @property
    def inputs(self) -> list[GraphInput]:
        return [graph_input(port) for port in self.session.get_inputs()]

    def __call__(self, images: np.ndarray) -> list[np.ndarray]:
        return self.session.run(None, {self.input: images})


def open(path: Path, threads: int | None, device: str | None) -> OnnxRuntimeSession:
    """Opens a file; a device is 'cpu' or a provider of ONNX Runtime's: 'cuda', 'coreml', 'dml', or its full name."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if threads:
        options.intra_op_num_threads = threads
    providers = ['CPUExecutionProvider']
    if device and device.lower() != 'cpu':
        provider = _PROVIDERS.get(device.lower(), device)
        if provider not in onnxruntime.get_available_providers():
            raise ValueError(
                f'device {device!r}: the installed ONNX Runtime has no {provider}; '
                f'it has {", ".join(onnxruntime.get_available_providers())}'
            )
        providers.insert(0, provider)
    return OnnxRuntimeSession(onnxruntime.InferenceSession(str(path), options, providers=providers))


def graph_input(port: onnxruntime.NodeArg) -> GraphInput:
    """An input of a graph; lengths that are names or below 1 are free."""
    shape = tuple(length if isinstance(length, int) and length > 0 else None for length in port.shape)
    return GraphInput(shape, np.dtype(_TYPES.get(port.type, object)))
