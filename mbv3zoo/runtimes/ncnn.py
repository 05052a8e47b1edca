"""ncnn, on .ncnn.param files with their .ncnn.bin beside them."""

from __future__ import annotations

from pathlib import Path

import ncnn
import numpy as np

from mbv3zoo.runtimes.parts import parts


class NcnnSession:
    """A file open in ncnn; see `mbv3zoo.runtimes.session.Session`. One image per call."""

    runtime = 'ncnn'
    metadata = None
    inputs = None

    def __init__(self, net: ncnn.Net) -> None:
        self.net = net
        self.device = 'vulkan' if net.opt.use_vulkan_compute else 'cpu'

    def __call__(self, images: np.ndarray) -> list[np.ndarray]:
        extractor = self.net.create_extractor()
        # A Mat does not keep its array alive: without a name it could be freed before it is copied.
        pixels = np.ascontiguousarray(images[0], np.float32)
        # pnnx names inputs in0, in1, ... and outputs out0, out1, ...
        extractor.input(self.net.input_names()[0], ncnn.Mat(pixels).clone())
        found = []
        for name in sorted(self.net.output_names(), key=lambda name: int(name.removeprefix('out'))):
            failed, output = extractor.extract(name)
            if failed:
                raise RuntimeError(f'ncnn could not compute {name}')
            found.append(np.array(output, np.float32)[None])
        return found


def open(path: Path, threads: int | None, device: str | None) -> NcnnSession:
    """Opens a file; a device is 'cpu' (the default) or 'vulkan'."""
    graph, weights = parts(path).values()
    if not weights.is_file():
        raise ValueError(f'{path}: there is no {weights.name} beside it, which has the weights')
    if device not in (None, 'cpu', 'vulkan') or (device == 'vulkan' and not ncnn.get_gpu_count()):
        raise ValueError(f'device {device!r}: ncnn has cpu{", vulkan" if ncnn.get_gpu_count() else " only here"}')
    net = ncnn.Net()
    net.opt.use_vulkan_compute = device == 'vulkan'
    # Half precision would be faster on some phones, but not the same numbers.
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    net.opt.use_bf16_storage = False
    if threads:
        net.opt.num_threads = threads
    if net.load_param(str(graph)) or net.load_model(str(weights)):
        raise ValueError(f'{path}: ncnn cannot read it')
    return NcnnSession(net)
