"""The detector that a command runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mbv3zoo.utils.sizes import parse_image_size


def open_detector(
    model: str,
    *,
    runtime: str | None,
    image_size: int | tuple[int, int] | None,
    threads: int | None,
    device: str | None,
    cache: bool = True,
    nms: str | None = None,
) -> Any:
    """Opens a detector by the options of a command; see `mbv3zoo.load`. In PyTorch it is fused.

    Args:
        image_size: Side, or (height, width), in pixels of what it will be given.
        cache: Whether its graph is kept in the user's cache.
        nms: None, or 'none' for predictions without NMS.
    """
    from mbv3zoo.loading import load
    from mbv3zoo.runtimes.session import check_resources
    from mbv3zoo.runtimes.table import find_format
    from mbv3zoo.utils.processes import own_device

    if nms not in (None, 'none'):
        raise ValueError(f'--nms is {nms!r}; expected none, or leave it out')
    is_file = find_format(Path(model)) is not None
    if runtime or is_file:
        # A graph is made for one size. A file has its own, and says so if it is given another.
        made_for = None if is_file else image_size
        return load(
            model, runtime=runtime, image_size=made_for, threads=threads, device=device, cache=cache, nms=nms is None
        )
    check_resources(threads, device)
    detector: Any = load(model, device=own_device(device), cache=cache, nms=nms is None)
    detector.fuse()
    if next(detector.parameters()).device.type == 'cpu':
        size = detector.config.image_size if image_size is None else parse_image_size(image_size)
        _use_threads(threads, detector, size)
    elif threads is not None:
        raise ValueError(f'threads is {threads}, but device {device!r} is no CPU; leave one of them out')
    return detector


def _use_threads(threads: int | None, detector: Any, size: tuple[int, int]) -> None:
    import torch

    from mbv3zoo.models.threads import use_fastest_threads

    image = torch.zeros(1, detector.config.in_chans, *size)
    with torch.inference_mode():
        use_fastest_threads(threads, lambda: detector(image))
