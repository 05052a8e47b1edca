"""OpenVINO, on its own .xml files and on .onnx files."""

from __future__ import annotations

import threading
from functools import cache
from pathlib import Path

import numpy as np
import openvino

from mbv3zoo.runtimes.export_info import METADATA_KEY
from mbv3zoo.runtimes.graph_input import GraphInput
from mbv3zoo.runtimes.parts import digest_of, parts

# In an .xml file: the SHA-256 of the .bin file with its weights.
WEIGHTS_KEY = 'mbv3zoo_weights_sha256'


class OpenVinoSession:
    """A file open in OpenVINO; see `mbv3zoo.runtimes.session.Session`."""

    runtime = 'openvino'

    def __init__(self, model: openvino.CompiledModel, metadata: str | None, device: str) -> None:
        self.model = model
        self.device = device
        self.count = len(model.outputs)
        self.metadata = metadata
        # A request runs one call at a time and owns its outputs' memory, so each call takes one for itself: there are
        # as many as there were calls at once, whichever threads made them.
        self._free: list[openvino.InferRequest] = []

    @property
    def inputs(self) -> list[GraphInput]:
        return [_graph_input(port) for port in self.model.inputs]

    def __call__(self, images: np.ndarray) -> list[np.ndarray]:
        try:
            request = self._free.pop()
        except IndexError:
            request = self.model.create_infer_request()
        found = request.infer({0: images}, share_inputs=True, share_outputs=True)
        # Copied, as the next call that takes this request overwrites them.
        outputs = [np.array(found[i], np.float32) for i in range(self.count)]
        self._free.append(request)
        return outputs


_core_lock = threading.Lock()


def shared_core() -> openvino.Core:
    """The one `openvino.Core` of this process, which is never destroyed.

    A core's CPU plugin gives the thread a stack for signals and, when destroyed, puts back the one it found. With two
    cores, the first destroyed first, that is a stack already freed, and the next signal (SIGCHLD when a program or a
    data loader's process ends, which Python handles on that stack) ends this process in a segmentation fault.
    """
    # `cache` alone would call it once for each thread that comes before the first is done.
    with _core_lock:
        return _core()


@cache
def _core() -> openvino.Core:
    return openvino.Core()


def open(path: Path, threads: int | None, device: str | None) -> OpenVinoSession:
    """Opens a file; a device is one of OpenVINO's, 'CPU' (the default), 'GPU', 'NPU' or 'AUTO'.

    On the CPU it computes in float32, like the other runtimes, even where the CPU has bfloat16, which is faster and
    less exact; `device='CPU:bf16'` asks for that.
    """
    core = shared_core()
    name, _, precision = (device or 'CPU').upper().partition(':')
    settings: dict[str, object] = {'PERFORMANCE_HINT': 'LATENCY'}
    if name == 'CPU':
        settings |= {'NUM_STREAMS': 1, 'INFERENCE_PRECISION_HINT': (precision or 'f32').lower()}
        if threads:
            settings['INFERENCE_NUM_THREADS'] = threads
    elif name.split('.')[0] not in {*(known.split('.')[0] for known in core.available_devices), 'AUTO'}:
        raise ValueError(f'device {device!r}: OpenVINO finds {", ".join(core.available_devices)} on this machine')
    elif threads:
        raise ValueError(f'threads is {threads}, but device {device!r} is no CPU; leave one of them out')
    files = list(parts(path).values())
    model = core.read_model(*files)
    if model.has_rt_info(WEIGHTS_KEY) and digest_of(files[1]) != model.get_rt_info(WEIGHTS_KEY).astype(str):
        raise ValueError(
            f'{path}: {files[1].name} does not have the weights that were written with it: it is damaged, or from '
            f'another export; copy both files of one export, or, where it was changed on purpose, delete '
            f'{WEIGHTS_KEY} from the .xml'
        )
    metadata = _metadata(model)
    return OpenVinoSession(core.compile_model(model, name, settings), metadata, name)


def _metadata(model: openvino.Model) -> str | None:
    for place in ([METADATA_KEY], ['framework', METADATA_KEY]):  # its own files; where its ONNX reader puts metadata
        if model.has_rt_info(place):
            return str(model.get_rt_info(place).astype(str))
    return None


def _graph_input(port: openvino.ConstOutput) -> GraphInput:
    if port.partial_shape.rank.is_dynamic:
        return GraphInput((), np.dtype(object))
    shape = tuple(length.get_length() if length.is_static else None for length in port.partial_shape)
    return GraphInput(shape, np.dtype(port.element_type.to_dtype()))
