"""Times our segmenters against torchvision's LR-ASPP in OpenVINO, in alternation, for docs/segmentation.md.

    python tools/segmentation_speed.py --size 512 --threads 2

torchvision's `lraspp_mobilenet_v3_large` is exported by hand, as its users do: `torch.onnx.export` of the model as it
is, which takes a normalised picture and gives logits at the picture's size. The first column is the graph alone, whose
outputs are not copied; the second has what comes before and after it: from a picture's pixels at that size to a label
map of it, ours by `predict`, torchvision's by NumPy.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torchvision.models.segmentation import lraspp_mobilenet_v3_large

from mbv3zoo import create_segmenter
from mbv3zoo.benchmark.measure import figures, interleave
from mbv3zoo.loading import load
from mbv3zoo.runtimes.openvino import OpenVinoSession
from mbv3zoo.runtimes.session import open_session

PEER = "torchvision's lraspp_mobilenet_v3_large"
_MEAN, _STD = (np.array(values, np.float32)[:, None, None] for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))


def opened(path: Path, threads: int) -> Callable[[np.ndarray], list[np.ndarray]]:
    """An exported file in OpenVINO, with the settings of our runtime; its outputs are overwritten by the next call."""
    session = open_session(path, 'openvino', threads=threads)
    assert isinstance(session, OpenVinoSession)
    request = session.model.create_infer_request()
    return lambda pixels: list(request.infer({0: pixels}, share_inputs=True, share_outputs=True).values())


class Contender:
    """A model's file, open, with the two calls that are timed."""

    def __init__(self, name: str, graph: Callable[[], object], whole: Callable[[], object]) -> None:
        self.name, self.graph, self.whole = name, graph, whole


def peer(folder: Path, image: np.ndarray, classes: int, threads: int) -> Contender:
    """torchvision's, of which a user normalises the picture and takes the classes of the highest logits."""
    model = lraspp_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=classes).eval()
    path = folder / 'lraspp.onnx'
    pixels = np.ascontiguousarray(image.transpose(2, 0, 1))
    normalised = ((pixels.astype(np.float32) / 255 - _MEAN) / _STD)[None]
    torch.onnx.export(model, (torch.from_numpy(normalised),), path, dynamo=True, verbose=False)
    session = opened(path, threads)

    def whole() -> np.ndarray:
        (logits,) = session(((pixels.astype(np.float32) / 255 - _MEAN) / _STD)[None])
        return logits[0].argmax(0).astype(np.uint8)

    return Contender(PEER, lambda: session(normalised), whole)


def ours(name: str, folder: Path, image: np.ndarray, classes: int, threads: int) -> Contender:
    """One of ours, exported with its defaults, and opened by `mbv3zoo.load`."""
    torch.manual_seed(0)
    segmenter = create_segmenter(name, num_classes=classes, image_size=image.shape[:2])
    path = folder / f'{name}.xml'
    segmenter.export(path)
    session = opened(path, threads)
    pixels = np.ascontiguousarray(image.transpose(2, 0, 1))[None]
    exported = load(path, threads=threads)
    return Contender(name, lambda: session(pixels), lambda: exported.predict(image))


def table(models: list[Contender], rounds: int, seconds: float) -> Iterator[str]:
    """Medians in milliseconds, with ratios to the first model, as Markdown."""
    graphs, wholes = (
        interleave(calls, rounds, seconds) for calls in zip(*((m.graph, m.whole) for m in models), strict=True)
    )
    yield '| | graph, ms | ratio | picture to label map, ms | ratio |'
    yield '|---|---|---|---|---|'
    for model, graph, whole in zip(models, graphs, wholes, strict=True):
        found = [figures(own, first, batch=1) for own, first in ((graph, graphs[0]), (whole, wholes[0]))]
        yield f'| {model.name} | ' + ' | '.join(f'{each["ms"]:.2f} | {each["relative"]:.3f}' for each in found) + ' |'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('models', nargs='*', default=['mbv3_lraspp_large', 'mbv3_lraspp_small'])
    parser.add_argument('--size', type=int, default=512)
    parser.add_argument('--classes', type=int, default=21)
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--rounds', type=int, default=15)
    parser.add_argument('--seconds', type=float, default=0.5)
    args = parser.parse_args()
    image = np.random.default_rng(0).integers(0, 256, (args.size, args.size, 3), np.uint8)
    with TemporaryDirectory() as folder:
        common = (Path(folder), image, args.classes, args.threads)
        models = [peer(*common), *(ours(name, *common) for name in args.models)]
        print(*table(models, args.rounds, args.seconds), sep='\n')


if __name__ == '__main__':
    main()
