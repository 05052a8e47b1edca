"""Finds where a detector comes from by its name."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Unpack

from mbv3zoo.config.model import ModelConfig
from mbv3zoo.hub.options import PullOptions
from mbv3zoo.saving.folder import CARD_NAME, read_contents
from mbv3zoo.utils.atomic import atomic_write_all
from mbv3zoo.utils.disk import temporary_folder
from mbv3zoo.utils.folders import claimed_folder
from mbv3zoo.zoo.configs import is_config_file
from mbv3zoo.zoo.registry import detector_names, find_weights, known_weights
from mbv3zoo.zoo.runs import detector_folder, newest_run
from mbv3zoo.zoo.saved import FolderSource, HubSource, SavedSource
from mbv3zoo.zoo.source import TIMM_PREFIXES, Source
from mbv3zoo.zoo.timm_names import is_timm_name


def resolve(name: str | Path | ModelConfig, **options: Unpack[PullOptions]) -> Source:
    """Finds where a detector comes from. Nothing is read or fetched yet.

    Args:
        name: As for `mbv3zoo.create_detector`.
        **options: How files are fetched from the Hub; see `mbv3zoo.hub.PullOptions`.

    Raises:
        ValueError: The name has an unknown tag, is a checkpoint of YOLOv5's, or a training run without best weights.
        TypeError: There is no such option.
    """
    known = PullOptions.__annotations__
    if unknown := sorted(options.keys() - known.keys()):
        raise TypeError(
            f'unknown options for a saved detector: {", ".join(unknown)}; expected some of {", ".join(known)}. '
            'Settings of the detector go to create_detector(..., pretrained=True, class_names=...)'
        )
    if isinstance(name, ModelConfig):
        return _config_source(name, options)
    text = str(name)
    if isinstance(name, str) and name.startswith(TIMM_PREFIXES):
        from mbv3zoo.zoo.timm_source import TimmSource  # with timm, which is slow to import

        return TimmSource(name, options)
    weights = find_weights(text)
    if isinstance(weights, Path):
        return FolderSource(text, options, weights)
    if weights is not None:
        return HubSource(text, options, weights)
    # A folder that happens to be called like a model does not stand in its way; './name' is the folder.
    if os.path.exists(text) and not (text in detector_names() or is_timm_name(text)):
        place = detector_folder(Path(text))
        if place.is_dir():
            return FolderSource(name, options, place, is_path=True)
    is_repository = isinstance(name, str) and text.count('/') == 1 and ':' not in text and not is_config_file(text)
    folder = os.path.dirname(text)
    if folder and not os.path.exists(text) and not is_config_file(name) and (newest := newest_run(Path(folder))):
        raise ValueError(f'there is no folder {text!r}; the newest training run beside it is {newest}')
    if text.endswith('.pt') and (os.path.isfile(text) or not is_repository):
        raise ValueError(f'{text}: a YOLOv5 checkpoint is converted first: mbv3zoo convert {text} FOLDER')
    return HubSource(name, options, text) if is_repository else _config_source(name, options)


def resolve_saved(name: str | Path, **options: Unpack[PullOptions]) -> SavedSource:
    """As `resolve`, for names that stand for a whole detector's weights.

    Raises:
        ValueError: The name stands for something else, or for nothing.
    """
    source = resolve(name, **options)
    if isinstance(source, SavedSource):
        return source
    text = str(name)
    if text in detector_names() or is_timm_name(text) or (is_config_file(text) and os.path.isfile(text)):
        raise ValueError(
            f'no weights called {text!r}, which names an architecture: train it first '
            f'(mbv3zoo train --model {text} --data data.yaml), or name weights such as {list(known_weights())}'
        )
    raise ValueError(
        f'no weights called {text!r}; expected a folder that save_pretrained wrote, a Hub repository '
        f"'organisation/name', or one of {list(known_weights())}"
    )


def copy_saved(name: str | Path, folder: str | Path, **options: Unpack[PullOptions]) -> Path:
    """Copies a saved detector with its card into a new folder, as it is.

    Args:
        name: As for `Detector.from_pretrained`.
        folder: Must not exist yet, or be empty.
        **options: `revision` and the other options of `mbv3zoo.hub.PullOptions`.

    Raises:
        ValueError: There is no detector, or the folder is in use.
    """
    with claimed_folder(folder) as claimed:
        _copy(resolve_saved(name, **options), claimed)
    return claimed


@contextmanager
def saved_in_folder(name: str | Path) -> Iterator[Path]:
    """Context manager: the folder of a saved detector with its card; that of a repository is a temporary one.

    Args:
        name: As for `Detector.from_pretrained`.

    Raises:
        ValueError: There is no detector, or its repository has no card.
    """
    source = resolve(name)
    if not isinstance(source, HubSource):
        yield source.folder if isinstance(source, FolderSource) else Path(name)
        return
    with temporary_folder() as folder:
        if CARD_NAME not in _copy(source, folder):
            raise ValueError(f'{name} has no {CARD_NAME}, and nothing is published without a card; add one to it first')
        try:
            yield folder
        except ValueError as error:
            # Whoever asked knows the repository, not the folder.
            if str(folder) not in str(error):
                raise
            raise ValueError(str(error).replace(str(folder), str(name))) from error


def _copy(source: SavedSource, folder: Path) -> dict[str, bytes]:
    # What is copied is a detector, and whole.
    source.read_config(pretrained=True)
    contents = read_contents(source.all_files)
    atomic_write_all({folder / name: data for name, data in contents.items()})
    return contents


def _config_source(name: str | Path | ModelConfig, options: PullOptions) -> Source:
    from mbv3zoo.zoo.config_source import ConfigSource  # with timm, which is slow to import

    return ConfigSource(name, options)
