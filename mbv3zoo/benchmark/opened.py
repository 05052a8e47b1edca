"""Opens anything that can be timed: a detector in a runtime, or an exported file.

What is timed is the graph alone, `mbv3zoo.runtimes.session.Session`, on pixels of the type that it takes.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mbv3zoo.benchmark.graph_input import noise, read_input
from mbv3zoo.runtimes.export_info import read_info
from mbv3zoo.runtimes.graph_input import USUAL_SIZE
from mbv3zoo.runtimes.session import open_session
from mbv3zoo.runtimes.table import find_format

if TYPE_CHECKING:
    from mbv3zoo.model import Model


class Opened(NamedTuple):
    """A model that is ready to be timed.

    Attributes:
        call: Runs it once.
        size: (height, width) in pixels that it runs at.
    """

    call: Callable[[], object]
    size: tuple[int, int]


def open_model(
    name: str,
    runtime: str,
    size: tuple[int, int] | None = None,
    batch: int = 1,
    threads: int | None = None,
    device: str | None = None,
) -> Opened:
    """Opens a model.

    Args:
        name: What `mbv3zoo.create_model` takes, with its weights where that stands for some, else with random ones;
            or an exported file.
        runtime: Name of the runtime.
        size: (height, width) in pixels; None takes its own.
        batch: Images per call.
        threads, device: As for `mbv3zoo.runtimes.session.open_session`.

    Raises:
        ValueError: There is no such model, or it does not run so.
        ImportError: The runtime is not installed.
    """
    if find_format(name):
        return _open_file(Path(name), runtime, size, batch, threads, device)
    # Here, as opening a file needs no torch.
    from mbv3zoo.export.live import open_live

    detector = build(name, size)
    live = open_live(detector, runtime, batch_size=batch, threads=threads, device=device)
    images = noise((batch, live.info.in_chans, *live.info.image_size), live.info.input_dtype)
    return Opened(lambda: live.session(images), live.info.image_size)


def count(name: str, size: tuple[int, int]) -> tuple[int | None, float | None]:
    """Parameters and GFLOPs of a model at a size, as in `mbv3zoo.benchmark.rows.Row`; not known of files."""
    if find_format(name):
        return None, None
    from mbv3zoo.info.describe import cost

    parameters, operations = cost(name, image_size=size)
    return parameters, operations / 1e9


def write_model(name: str, runtime: str, size: tuple[int, int] | None, batch: int, folder: Path) -> Path:
    """Writes the file that a runtime opens for a detector, without opening it.

    Args:
        name, runtime, size, batch: As for `open_model`.
        folder: Folder of the file.
    """
    from mbv3zoo.export.live import live_info, write_live

    detector = build(name, size)
    return write_live(detector, live_info(detector, runtime, batch_size=batch), runtime, folder)


def build(name: str, size: tuple[int, int] | None) -> Model:
    """A model by its name, at a size."""
    import torch

    from mbv3zoo.create import create_model
    from mbv3zoo.zoo.resolve import resolve

    torch.manual_seed(0)
    return create_model(name, pretrained=resolve(name).is_saved, image_size=size)


def _open_file(
    path: Path, runtime: str, size: tuple[int, int] | None, batch: int, threads: int | None, device: str | None
) -> Opened:
    session = open_session(path, runtime, threads=threads, device=device)
    info = read_info(path, session.metadata)
    graph = read_input(session, path, info)
    shape = graph.fill(size, batch, info.image_size if info else USUAL_SIZE)
    # Other programs' graphs take floats in 0..1.
    images = noise(shape, graph.dtype, 255 if info else 1)
    height, width = (shape[side] for side in graph.sides)
    return Opened(lambda: session(images), (height, width))
