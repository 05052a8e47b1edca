"""The one interface that runs a model: uint8 images in, what is found in them out.

Prediction, evaluation and the certificates of exported files call it. What runs may be a torch model (`TorchEngine`)
or an exported file (`mbv3zoo.runtimes.exported_detector.ExportedDetector`); this module imports no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np

from mbv3zoo.detections import Detections
from mbv3zoo.detections.segmentation import Segmentation
from mbv3zoo.images.letterbox import Letterbox
from mbv3zoo.models.postprocess.decoding import Kept
from mbv3zoo.models.postprocess.label_map import label_map
from mbv3zoo.models.postprocess.thresholds import PREDICTION, Thresholds
from mbv3zoo.utils.sizes import LEAST_SIDE, parse_image_size

if TYPE_CHECKING:
    from torch import Tensor

    from mbv3zoo.config.model import Task
    from mbv3zoo.models.base_network import ModelNetwork


class EngineInfo(Protocol):
    """What an engine says about its model: a `ModelConfig` or an `ExportInfo`.

    Attributes:
        class_names: Name of each class.
        in_chans: Channels of the input.
        image_size: (height, width) in pixels that images are letterboxed to by default.
    """

    @property
    def class_names(self) -> tuple[str, ...]: ...
    @property
    def in_chans(self) -> int: ...
    @property
    def image_size(self) -> tuple[int, int]: ...


class Engine(Protocol):
    """A detector or a segmenter, ready to run.

    Attributes:
        info: What is known about it.
        thresholds: Those that a detector is used with by default.
        tensors: Whether it gives torch tensors (on the CPU) or NumPy arrays to its users.
    """

    @property
    def info(self) -> EngineInfo: ...
    @property
    def thresholds(self) -> Thresholds: ...
    @property
    def tensors(self) -> bool: ...

    def detect(self, images: np.ndarray, thresholds: Thresholds) -> list[Kept[Any]]:
        """Finds objects in a batch.

        Args:
            images: uint8 [B, C, H, W], letterboxed.
            thresholds: What is kept.

        Returns:
            One `Kept` per image: boxes (xyxy, in pixels of the letterbox), scores and labels.

        Raises:
            ValueError: The detector does not take this size, or cannot keep what is asked for.
        """

    def run(self, images: np.ndarray) -> list[np.ndarray]:
        """The maps of a batch, float32, which are a segmenter's logits [B, K, h, w]; `images` as for `detect`."""


class TorchEngine:
    """A torch model as an `Engine`.

    Args:
        detector: Has a `config`, and `postprocess` or `maps`, as the networks of `mbv3zoo.models`. It runs on the
            device and in the type of its weights, without gradients and in evaluation mode, which its training flags do
            not show (`mbv3zoo.models.modes.evaluating`). Any number of threads may call it, and train it meanwhile.

    Raises:
        ValueError: The detector is on the meta device.
    """

    thresholds = PREDICTION
    tensors = True

    def __init__(self, detector: Any) -> None:
        if any(part.is_meta for part in chain(detector.parameters(), detector.buffers())):
            from mbv3zoo.models.no_weights import check_has_weights

            check_has_weights(detector, 'run')
        self.detector = detector
        self.info: EngineInfo = detector.config

    def check_size(self, image_size: tuple[int, int]) -> None:
        """Raises ValueError where a side is no multiple of the coarsest stride."""
        unit = max([LEAST_SIDE, *getattr(self.detector, 'strides', ())])
        if any(side % unit for side in image_size):
            height, width = (-(-side // unit) * unit for side in image_size)
            raise ValueError(
                f'image_size is {image_size}, and the sides must be multiples of {unit}; give ({height}, {width})'
            )

    def detect(self, images: np.ndarray, thresholds: Thresholds) -> list[Kept[Tensor]]:
        kept = self._called(
            images, lambda network, pixels: self.detector.postprocess(network(pixels), **thresholds.options())
        )
        # Cloned outside of inference mode: ordinary tensors, which may be changed and sent to other processes.
        return [Kept(*(part.cpu().clone() for part in parts)) for parts in kept]

    def run(self, images: np.ndarray) -> list[np.ndarray]:
        return [
            part.float().cpu().numpy() for part in self._called(images, lambda network, pixels: network.maps(pixels))
        ]

    def _called(self, images: np.ndarray, call: Callable[[Any, Tensor], Any]) -> Any:
        import torch

        from mbv3zoo.models.modes import evaluating

        # The device and type of the weights; a detector without weights or buffers runs on the CPU in float32.
        parts = chain(self.detector.parameters(), self.detector.buffers())
        weight = next((part for part in parts if part.is_floating_point()), torch.zeros(0))
        with evaluating(self.detector) as network, torch.inference_mode():
            pixels = (torch.from_numpy(images).to(weight.device).float() / 255).to(weight.dtype)
            return call(network, pixels)


def as_engine(detector: ModelNetwork | Engine) -> Engine:
    """A model as what runs it: itself where it has `detect` or `run`, as an exported one does, else a `TorchEngine`."""
    return cast(Engine, detector) if hasattr(detector, 'detect') or hasattr(detector, 'run') else TorchEngine(detector)


def task_of(model: Any) -> Task:
    """What a model, or an engine that runs it, finds."""
    known = getattr(model, 'info', None) or getattr(model, 'config', None)
    return getattr(known, 'task', 'detection')


def finds_labels(model: Any) -> bool:
    """Whether a model is a segmenter, whose results are `Segmentation`s."""
    return task_of(model) == 'segmentation'


def check_detects(model: Any, options: Iterable[str]) -> None:
    """Raises ValueError where options of detectors, by the names that a user gave them by, are given to a segmenter."""
    if finds_labels(model) and (names := ', '.join(options)):
        raise ValueError(f'{names}: of detectors only, and this model is a segmenter; leave it out')


def find(
    engine: Engine, images: np.ndarray, places: Iterable[tuple[Letterbox, str | None]], thresholds: Thresholds
) -> Iterator[Any]:
    """What a model finds in a batch, in pixels of the original images.

    Args:
        images: uint8 [B, C, H, W], letterboxed.
        places: Of each image where it lies in its letterbox, and its file.
        thresholds: What is kept of detections.

    Yields:
        `Detections` or a `Segmentation` for each image.
    """
    names = engine.info.class_names
    if finds_labels(engine):
        (logits,) = engine.run(images)
        for own, (letterbox, path) in zip(logits, places, strict=True):
            yield Segmentation(label_map(own, letterbox), names, path)
        return
    for (boxes, scores, labels), (letterbox, path) in zip(engine.detect(images, thresholds), places, strict=True):
        yield Detections(letterbox.boxes_to_original(boxes), scores, labels, names, letterbox.original, path)


def input_size(engine: Engine, image_size: int | tuple[int, int] | None) -> tuple[int, int]:
    """(height, width) that images are letterboxed to: what is asked for, a side or both, or the detector's own.

    Raises:
        ValueError: It is no input size (see `mbv3zoo.utils.sizes.parse_image_size`), or the detector does not take it.
    """
    size = engine.info.image_size if image_size is None else parse_image_size(image_size)
    if check := getattr(engine, 'check_size', None):
        check(size)
    return size
