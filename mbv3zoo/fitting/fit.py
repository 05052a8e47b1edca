"""`mbv3zoo.fit`: a trained model in, one out that takes at most so many milliseconds on this machine."""

from __future__ import annotations

import copy
import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Unpack

from mbv3zoo.config.training import DataConfig, TrainConfig
from mbv3zoo.evaluation.run import check_classes
from mbv3zoo.export.live import live_info
from mbv3zoo.export.quantize import calibration_pixels
from mbv3zoo.fitting.budget import EPOCHS, RUNTIMES_THAT_FIT, Numbers, read_budgets
from mbv3zoo.fitting.family import picture_family
from mbv3zoo.fitting.input_sizes import smaller_sizes
from mbv3zoo.fitting.stages import NARROWED, SIZES, FitResult, Job, fit_to
from mbv3zoo.loading import load
from mbv3zoo.model import Model
from mbv3zoo.models.no_weights import check_has_weights
from mbv3zoo.runtimes.export_info import Precision
from mbv3zoo.runtimes.session import check_resources
from mbv3zoo.runtimes.table import LIVE_FORMATS, RUNTIMES
from mbv3zoo.training.run_data import load_data
from mbv3zoo.training.settings import TrainSettings
from mbv3zoo.utils.atomic import atomic_write
from mbv3zoo.utils.disk import make_folder
from mbv3zoo.utils.folders import claimed_folder, locked_folder
from mbv3zoo.utils.json import parse_settings
from mbv3zoo.utils.sizes import parse_image_size, whole_number
from mbv3zoo.utils.text import read_text, shown

if TYPE_CHECKING:
    from mbv3zoo.fitting.fitter import Fitter

_logger = logging.getLogger(__name__)

_MOST_EPOCHS = 100_000
# In the folder of a fit: what was asked for.
_ASKED = 'fit/asked.json'
# Images that int8 files which are only timed are calibrated on.
_CALIBRATION = 32


def fit(
    model: str | Path | Model,
    data: str | Path,
    *,
    ms: Numbers | None = None,
    speedup: Numbers | None = None,
    runtime: str = RUNTIMES_THAT_FIT[0],
    image_size: int | tuple[int, int] | None = None,
    min_image_size: int | None = None,
    precision: Literal['float32', 'int8'] = 'float32',
    val_data: str | Path | None = None,
    images: str | Path | None = None,
    val_images: str | Path | None = None,
    val_share: float | None = None,
    max_pixels: int | None = None,
    data_license: str | None = None,
    recipe: str | Path | None = None,
    out: str | Path | None = None,
    device: str | None = None,
    **settings: Unpack[TrainSettings],
) -> FitResult | list[FitResult]:
    """Makes a trained model narrower until it takes at most so many milliseconds on this machine, and trains it again.

    As in NetAdapt (Yang et al., https://arxiv.org/abs/1804.03230), by which MobileNetV3 got its widths, layers are
    timed in the runtime itself; channels that are worth least for the time they take go (first-order Taylor
    importance, https://arxiv.org/abs/1906.10771); and the whole graph is timed after each step. What is left keeps its
    weights, and learns again from the model that it was made of. A fit that was stopped goes on when it is called
    again with the same folder.

    Args:
        model: A trained detector or segmenter, or what `mbv3zoo.load` takes for one. It is not changed.
        data: Data to learn from and to measure on, as for `mbv3zoo.train`, with the model's classes.
        ms: Most milliseconds of a call with one image; several give a family of models.
        speedup: In place of that, how many times faster, such as 1.5.
        runtime: 'onnxruntime' or 'openvino', on the CPU.
        image_size: Side, or (height, width), in pixels; by default the model's own.
        min_image_size: The input may become smaller too, down to this shorter side, in steps of 32 pixels. Each size is
            narrowed to the time and trained for a tenth of the epochs, and the best goes on. None keeps the size.
        precision: What the graph computes in: 'float32' or 'int8'.
        val_data, images, val_images, val_share, max_pixels, data_license, recipe, device: As for `mbv3zoo.train`.
        out: Folder of the fitted model, new, or of a fit that goes on; of a family one folder is made in it for each,
            and `family.png` shows them beside one width multiplier for all layers. None takes the next free
            `runs/fit-N`.
        **settings: Settings of the training, as for `mbv3zoo.train`. `epochs` are 30 by default, and 0 leaves the
            training out; the teacher is the model itself by default; `threads` are also those of a call in the
            runtime, which chooses the number by default.

    Returns:
        The fitted model, its folder and the record of the fit; for several budgets a list of them.

    Raises:
        ValueError: The budget is below what can be reached, or the model, the data or a setting does not fit.
        ImportError: The runtime is not installed.

    Example:
        >>> result = mbv3zoo.fit('mbv3_yolo_small.synth', 'data.yaml', speedup=1.2, image_size=96, epochs=1)
        epoch ...
        >>> result.record.measured_ms < result.record.before_ms
        True
    """
    budgets, are_ms = read_budgets(ms, speedup)
    threads, epochs = settings.get('threads'), settings.pop('epochs', EPOCHS)
    _check_target(runtime, precision, threads)
    whole_number(epochs, 'epochs', 0, _MOST_EPOCHS)
    TrainConfig.parse(dict(settings))
    from mbv3zoo.fitting.fitter import Fitter, Target  # after it is known that ONNX is there

    opened = _open(model, image_size)
    smaller = [_at(opened, size) for size in smaller_sizes(opened.config.image_size, min_image_size)]
    places = {'data': data, 'val_data': val_data, 'images': images, 'val_images': val_images}
    texts = {name: None if place is None else str(place) for name, place in places.items()}
    job = Job(
        data={**texts, 'val_share': val_share, 'max_pixels': max_pixels},
        training={'epochs': epochs, 'data_license': data_license, 'recipe': recipe, 'device': device, **settings},
        teacher=None if isinstance(model, Model) else str(model),
    )
    asked = {
        'model': job.teacher, 'runtime': runtime, 'image_size': list(opened.config.image_size),
        'min_image_size': min_image_size, 'precision': precision,
        'ms' if are_ms else 'speedup': budgets, **job.data, **job.training,
    }  # fmt: skip
    with _folder(out, asked) as folder:
        train_set, val_set = load_data(DataConfig.parse(job.data), settings.get('seed', 0), task=opened.config.task)
        for labelled in (train_set, val_set):
            check_classes(opened, labelled)
        pixels = (lambda info: calibration_pixels(data, 'train', info, _CALIBRATION)) if precision == 'int8' else None
        target = Target(runtime, threads, precision, pixels)
        fitter = Fitter(opened, train_set, val_set, target)
        fitters = [fitter, *(Fitter(model, train_set, val_set, target, fitter) for model in smaller)]
        times = [budget if are_ms else fitter.ms / budget for budget in budgets]
        _check_reachable(fitters, min(times))
        several = isinstance(ms if are_ms else speedup, (list, tuple))
        names = [f'{budget:g}{"ms" if are_ms else "x"}' for budget in budgets]
        results = [
            fit_to(milliseconds, fitters, folder / name if several else folder, job)
            for milliseconds, name in zip(times, names, strict=True)
        ]
        if several:
            picture_family(results, fitter, folder)
    return results if several else results[0]


def _check_target(runtime: str, precision: Precision, threads: int | None) -> None:
    if runtime not in RUNTIMES_THAT_FIT:
        raise ValueError(f'runtime is {shown(runtime)}; models are fitted to {" or ".join(RUNTIMES_THAT_FIT)}')
    if precision not in ('float32', 'int8'):
        raise ValueError(f"precision is {shown(precision)}; expected 'float32' or 'int8'")
    check_resources(threads, None)
    RUNTIMES[runtime].require(f'fitting to {runtime}')
    LIVE_FORMATS[runtime].check_installed(precision)


def _open(model: str | Path | Model, image_size: int | tuple[int, int] | None) -> Model:
    opened = copy.deepcopy(model) if isinstance(model, Model) else load(model)
    if not isinstance(opened, Model):
        raise ValueError(f'{model}: an exported file cannot be fitted; expected the model that it was exported from')
    check_has_weights(opened, 'fitted')
    opened = opened.cpu().float().eval()
    return opened if image_size is None else _at(opened, parse_image_size(image_size))


def _at(model: Model, size: tuple[int, int]) -> Model:
    """The same model, with the same weights, at another input size."""
    live_info(model, 'onnxruntime', size)  # which sizes it takes
    other = copy.deepcopy(model)
    other.config = model.config.model_copy(update={'image_size': size})
    return other


def _check_reachable(fitters: Sequence[Fitter], milliseconds: float) -> None:
    fitter = fitters[0]
    if milliseconds < (smallest := min(fitter.smallest_ms for fitter in fitters)):
        raise ValueError(
            f'{milliseconds:.3g} ms cannot be reached: the model takes {fitter.ms:.3g} ms here, and as narrow as it '
            f'can be about {smallest:.2g} ms; expected more, or a smaller image_size'
        )


@contextmanager
def _folder(out: str | Path | None, asked: dict[str, Any]) -> Iterator[Path]:
    """The folder of a fit: a new one, or one in which the same was asked for. Nothing is left of one that failed."""
    if out is None or not Path(out, _ASKED).exists():
        with claimed_folder(out, 'fit') as folder:
            make_folder((folder / _ASKED).parent)
            with _recorded(folder, asked):
                yield folder
        return
    folder = Path(out)
    with locked_folder(folder):
        if _has_begun(folder):
            _check_same(folder, asked)
            _logger.info('%s: the fit goes on', out)
        with _recorded(folder, asked):
            yield folder


@contextmanager
def _recorded(folder: Path, asked: dict[str, Any]) -> Iterator[None]:
    """Writes what was asked for, and removes it where it came to nothing."""
    atomic_write(folder / _ASKED, (json.dumps(asked, indent=2, default=str) + '\n').encode())
    try:
        yield
    finally:
        if not _has_begun(folder):
            (folder / _ASKED).unlink(missing_ok=True)
            with suppress(OSError):  # something else is in it
                (folder / _ASKED).parent.rmdir()


def _has_begun(folder: Path) -> bool:
    """Whether a model was made narrower in a folder; before that nothing is lost with it."""
    begun = (NARROWED, f'{SIZES}/*/narrowed')
    return any(any(folder.glob(f'{place}{name}')) for place in ('', '*/') for name in begun)


def _check_same(folder: Path, asked: dict[str, Any]) -> None:
    record = folder / _ASKED
    before, now = parse_settings(read_text(record)), json.loads(json.dumps(asked, default=str))
    if changed := sorted(key for key in before.keys() | now.keys() if before.get(key) != now.get(key)):
        raise ValueError(
            f'{folder} holds a fit with other settings ({", ".join(changed)}); choose another folder, or the settings '
            f'of {record}'
        )
