"""Times models in different runtimes in one process, in alternation, such as ours in its best runtime and a peer in
eager mode.

Runs beside the peers' timing programs, whose folder it is started in; the first is what the others are compared with.

    python CHECKOUT/tools/bench_runtimes.py --size 640 seed_large:eager \
        py:CHECKOUT/tools/bench_models.py:large:ort model_int8.xml:ov

What is before the last colon is a model as those programs name it, or an OpenVINO file; what is behind it, one of their
runtimes (eager, cl, ort, ov, ov_bf16).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

import numpy as np

from mbv3zoo.benchmark.measure import figures, interleave
from mbv3zoo.runtimes.openvino import shared_core

_THREADS = 2


def open_model(name: str, size: int) -> Callable[[], object]:
    """A call of a model on one image."""
    model, _, runtime = name.rpartition(':')
    if model.endswith('.xml'):
        settings = {'PERFORMANCE_HINT': 'LATENCY', 'INFERENCE_NUM_THREADS': _THREADS, 'INFERENCE_PRECISION_HINT': 'f32'}
        request = shared_core().compile_model(model, 'CPU', settings).create_infer_request()
        images = np.random.default_rng(0).integers(0, 256, (1, 3, size, size)).astype(np.float32)
        return lambda: request.infer({0: images}, share_inputs=True, share_outputs=True)
    from bench_infer import make_runner  # the peers' program, in the folder that this is started in

    return make_runner(model, size, 1, runtime, reexport=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('models', nargs='+', metavar='model:runtime')
    parser.add_argument('--size', type=int, default=640)
    parser.add_argument('--rounds', type=int, default=15)
    parser.add_argument('--seconds', type=float, default=0.25)
    options = parser.parse_args()
    sys.path.insert(0, '.')
    blocks = interleave([open_model(name, options.size) for name in options.models], options.rounds, options.seconds)
    print(f'| {options.size} x {options.size} | ms | ratio |', '|---|---|---|', sep='\n')
    for name, own in zip(options.models, blocks, strict=True):
        found = figures(own, blocks[0], batch=1)
        print(f'| {name.rpartition("/")[2]} | {found["ms"]:.2f} | {found["relative"]:.3f} |')


if __name__ == '__main__':
    main()
