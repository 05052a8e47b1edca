"""Our detectors' networks as functions of the image's side, for the peers' timing programs (docs/performance.md).

`bench_infer.py --models yolov5n,py:tools/bench_models.py:large` calls `large(640)`, which stands for `mbv3_yolo_large`,
and times the module that it gives: the network as it is exported, folded, with pixels of 0..255 coming in, the
normalisation included, and raw maps going out.
"""

from collections.abc import Callable
from functools import partial

import torch

from mbv3zoo.create import create_detector
from mbv3zoo.export.graph import DeployedNetwork
from mbv3zoo.runtimes.export_info import ExportInfo
from mbv3zoo.version import __version__


def _network(name: str, side: int) -> DeployedNetwork:
    torch.manual_seed(0)
    detector = create_detector(name, image_size=side)
    info = ExportInfo.of(detector.config, detector.strides, __version__, input_dtype='float32')
    return DeployedNetwork(detector, info).eval()


def __getattr__(name: str) -> Callable[[int], DeployedNetwork]:
    return partial(_network, f'mbv3_yolo_{name}')
