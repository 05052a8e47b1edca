"""What `save_pretrained` wrote, wherever it is: a folder, the package, the Hub's cache, the Hub."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, NamedTuple, Unpack

from timm.models import is_model

from mbv3zoo import hub
from mbv3zoo.config.detector import DetectorConfig
from mbv3zoo.models.weights import SavedWeights
from mbv3zoo.saving import folder as saved_folder
from mbv3zoo.saving.config import parse_config
from mbv3zoo.utils.atomic import atomic_write_all
from mbv3zoo.utils.folders import check_new_folder
from mbv3zoo.zoo import registry as zoo
from mbv3zoo.zoo.configs import is_config_file

# Arguments of timm.create_model that say where weights come from or where the model is put: true of one build only.
BUILD_ARGS = ('cache_dir', 'pretrained_cfg', 'pretrained_cfg_overlay', 'checkpoint_path', 'device', 'dtype')
# Arguments of hub.pull; cache_dir is one of them too.
HUB_ARGS = tuple(sorted(hub.PullOptions.__optional_keys__ - {'cache_dir'}))


class Saved(NamedTuple):
    """A saved detector.

    Attributes:
        config: Its config.
        weights: Its weights.
    """

    config: DetectorConfig
    weights: SavedWeights


def find_saved(name: Any) -> Path | zoo.HubWeights | str | None:
    """Where a detector's weights are, for names that stand for weights: a folder, or a repository on the Hub.

    Raises:
        ValueError: The name is a tag that there is not, or a checkpoint of YOLOv5's.
    """
    if isinstance(name, DetectorConfig):
        return None
    text = str(name)
    if (place := zoo.find_weights(text)) is not None:
        return place
    # A folder that happens to be called like a model does not stand in its way; './name' is the folder.
    if Path(text).is_dir() and not (text in zoo.detector_names() or is_model(text)):
        return Path(text)
    is_repository = isinstance(name, str) and text.count('/') == 1 and ':' not in text and not is_config_file(text)
    if text.endswith('.pt') and (Path(text).is_file() or not is_repository):
        raise ValueError(f'{text}: a YOLOv5 checkpoint is converted first: mbv3zoo convert {text} FOLDER')
    return text if is_repository else None


def read_saved(place: Path | zoo.HubWeights | str, **options: Unpack[hub.PullOptions]) -> Saved:
    """Reads a detector from where `find_saved` found it.

    Args:
        place: A folder, or a repository.
        **options: Those of `mbv3zoo.hub.pull`; `revision` for a repository only.

    Raises:
        ValueError: There is no detector, or one of its files is corrupt.
    """
    return _read_files(_find_files(place, options), place)


def copy_saved(source: str | Path, folder: str | Path, **options: Unpack[hub.PullOptions]) -> Path:
    """Copies a saved detector with its card into a new folder, as it is.

    Args:
        source: As for `Detector.from_pretrained`.
        folder: Must not exist yet, or be empty.
        **options: `revision` and the other options of `mbv3zoo.hub.pull`.

    Raises:
        ValueError: There is no detector, or the folder is in use.
    """
    folder = Path(folder)
    check_new_folder(folder)
    place = find_saved(source)
    if place is None:
        raise ValueError(
            f'no weights called {str(source)!r}; expected a folder, a name with a tag, or a Hub repository'
        )
    files = _find_files(place, options)
    _read_files(files, place)  # a detector, and whole
    if isinstance(place, Path):
        files = saved_folder.all_files(place)
    else:
        options['revision'] = files[saved_folder.CONFIG_NAME].parent.name
        repo_id = place.repo_id if isinstance(place, zoo.HubWeights) else place
        for name in (saved_folder.CARD_NAME, saved_folder.PICTURE_NAME):
            with contextlib.suppress(ValueError):  # there is none
                files |= hub.pull(repo_id, (name,), **options)
    folder.mkdir(parents=True, exist_ok=True)
    atomic_write_all({folder / name: path.read_bytes() for name, path in files.items()})
    return folder


def _find_files(place: Path | zoo.HubWeights | str, options: hub.PullOptions) -> dict[str, Path]:
    if isinstance(place, zoo.HubWeights):
        return zoo.pull_weights(place, **options)
    if isinstance(place, str):
        return hub.pull(place, **options)
    known = hub.PullOptions.__optional_keys__
    if unknown := sorted(options.keys() - known):
        raise TypeError(
            f'unknown options of the Hub: {", ".join(unknown)}; expected some of {", ".join(sorted(known))}'
        )
    if (revision := options.get('revision')) is not None:
        raise ValueError(
            f'revision={revision!r} was given for the folder {str(place)!r}, but only repositories on the Hub have '
            'revisions: leave it out.'
        )
    return saved_folder.saved_files(place)


def _read_files(files: dict[str, Path], place: Path | zoo.HubWeights | str) -> Saved:
    if isinstance(place, Path):
        advice = 'Save the detector again, or copy the file again from where it is whole.'
    else:
        advice = 'If the repository itself is whole, load it once more with force_download=True.'
    source = place.repo_id if isinstance(place, zoo.HubWeights) else place
    config = parse_config(saved_folder.read_config(files[saved_folder.CONFIG_NAME], advice), source)
    backbone, head = files[saved_folder.BACKBONE_NAME], files[saved_folder.HEAD_NAME]
    weights = SavedWeights(saved_folder.read_weights(backbone, advice), saved_folder.read_weights(head, advice))
    if (matching := saved_folder.matching_head(backbone, head, advice)) != head:
        weights = SavedWeights(weights.backbone, saved_folder.read_weights(matching, advice))
    return Saved(config, weights)
