"""A detector's folder on disk, which is a repository on the Hub as well: its files, and how each is written and read.

What the configuration and the tensors mean is the business of `mbv3zoo.models`.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mbv3zoo.saving.digests import ACCEPT, DIGESTS, check_mark, head_metadata, read_digests
from mbv3zoo.saving.settled import settled
from mbv3zoo.saving.weights_file import NotTogether, read_weights, weights_bytes
from mbv3zoo.utils.atomic import atomic_write_all, current
from mbv3zoo.utils.disk import make_folder
from mbv3zoo.utils.files import file_digest
from mbv3zoo.utils.json import SETTINGS_LIMIT, parse_settings
from mbv3zoo.utils.text import read_text

if TYPE_CHECKING:
    from torch import Tensor

CONFIG_NAME = 'config.json'
# By which transformers finds whose detector it is; folders of older versions do not say it.
MODEL_TYPE = 'mbv3zoo'
# The backbone alone, under timm's names: what timm itself looks for in a repository.
BACKBONE_NAME = 'model.safetensors'
# Everything else of the detector.
HEAD_NAME = 'detector.safetensors'
CARD_NAME = 'README.md'
# Predictions that the card shows, where there are some.
PICTURE_NAME = 'predictions.png'

WEIGHT_NAMES = (BACKBONE_NAME, HEAD_NAME)
LOADED_NAMES = (CONFIG_NAME, *WEIGHT_NAMES)
NO_PICKLES = 'Weights are read from safetensors only, never from a pickle such as pytorch_model.bin.'

# Bytes; a file that claims more is not one of ours and is not read. Ten thousand class names take half a megabyte.
CONFIG_LIMIT = SETTINGS_LIMIT


class SavedFiles(NamedTuple):
    """What the files of a detector hold, all of one save.

    Attributes:
        config: What stands in config.json.
        backbone, head: The tensors of model.safetensors and detector.safetensors.
    """

    config: dict[str, Any]
    backbone: dict[str, Tensor]
    head: dict[str, Tensor]


def save_folder(
    folder: str | Path,
    config: Mapping[str, Any],
    backbone: Mapping[str, Tensor],
    head: Mapping[str, Tensor],
    card: str,
    *,
    more: Mapping[str, bytes] | None = None,
    outdated: Iterable[str] = (),
) -> Path:
    """Writes `config.json`, `model.safetensors`, `detector.safetensors` and `README.md`: a folder ready to be pushed.

    All files are replaced together (`mbv3zoo.utils.atomic.staged`): a full disk or a kill leaves an earlier save whole.
    config.json gets the sha256 of both files of weights, by which they are checked when they are loaded.

    Args:
        folder: Made when missing, with its parents.
        config: Anything JSON can express.
        backbone: Tensors of model.safetensors, of any device and memory layout; no two may share memory.
        head: Tensors of detector.safetensors, likewise.
        card: Text of the model card.
        more: Further files, by name, such as the picture that the card shows.
        outdated: Names of files to remove, which the card shows no longer.

    Returns:
        The folder.

    Raises:
        ValueError: `folder` is a file, or `config` or a tensor cannot be written. Nothing was written.
        OSError: The folder cannot be written (full, read-only); the message names it.
    """
    folder = Path(folder)
    # Unlike Path.exists, it takes a name of any length.
    if os.path.exists(folder) and not folder.is_dir():
        raise ValueError(f'cannot save to {str(folder)!r}: it is a file. Give a folder, new or existing.')
    # Other libraries read the format from here, and refuse a file that does not say it.
    weights = {BACKBONE_NAME: weights_bytes(backbone, {'format': 'pt'})}
    digests = {BACKBONE_NAME: hashlib.sha256(weights[BACKBONE_NAME]).hexdigest()}
    weights[HEAD_NAME] = weights_bytes(head, head_metadata(digests[BACKBONE_NAME]))
    digests[HEAD_NAME] = hashlib.sha256(weights[HEAD_NAME]).hexdigest()
    contents: dict[str | Path, bytes] = {folder / CONFIG_NAME: config_bytes({**config, DIGESTS: digests})}
    contents |= {folder / name: data for name, data in {CARD_NAME: card.encode(), **(more or {}), **weights}.items()}
    make_folder(folder)
    atomic_write_all(contents)
    for name in {*outdated} - {*(more or {})}:
        with suppress(OSError):
            (folder / name).unlink()
    return folder


def saved_files(folder: Path) -> dict[str, Path]:
    """Name -> path of the files that are needed to load a detector.

    Raises:
        ValueError: There is no such folder, or one of the files is missing.
    """
    if not folder.exists():
        raise ValueError(f'there is no folder {str(folder)!r}. Check the path.')
    if not folder.is_dir():
        raise ValueError(f'{str(folder)!r} is a file. Give the folder with {CONFIG_NAME} and {BACKBONE_NAME}.')
    # Another process may just move one to its place: then it is there at the second look.
    for _ in range(3):
        paths = {name: current(folder / name) for name in LOADED_NAMES}
        if not (missing := [name for name, path in paths.items() if not path.is_file()]):
            break
    if missing:
        raise ValueError(
            f'the folder {str(folder)!r} has no {" and no ".join(missing)}. The folder of a detector holds '
            f'{", ".join(LOADED_NAMES)}, as save_pretrained writes them. {NO_PICKLES}'
        )
    return paths


def all_files(folder: Path) -> dict[str, Path]:
    """Name -> path of all files of a detector: those of `saved_files`, of one save; card and image where they are.

    Raises:
        ValueError: As `saved_files` and `read_saved`.
    """
    read_saved(lambda: saved_files(folder), 'Save the detector again.')
    more = {name: current(folder / name) for name in (CARD_NAME, PICTURE_NAME)}
    return saved_files(folder) | {name: path for name, path in more.items() if path.is_file()}


def read_saved(find: Callable[[], Mapping[str, Path]], advice: str = '', accept: str = ACCEPT) -> SavedFiles:
    """Config and weights of a detector, all of one save; where another process saves just now, after that.

    Args:
        find: Gives name -> path of the files.
        advice: What to do where one of them is damaged.
        accept: How weights that were exchanged on purpose are loaded.

    Raises:
        ValueError: A file is damaged, or is not the one that was saved with config.json.
    """
    return settled(find, lambda files: _read_once(files, advice, accept))


def read_contents(find: Callable[[], Mapping[str, Path]]) -> dict[str, bytes]:
    """Name -> bytes of all files of a detector, all of one save, as they are copied.

    Args:
        find: Gives name -> path of the files.

    Raises:
        ValueError: A file is not the one that was saved with config.json.
    """
    return settled(find, _read_contents)


def _read_contents(files: Mapping[str, Path]) -> dict[str, bytes]:
    contents = {name: path.read_bytes() for name, path in files.items()}
    stated = read_digests(read_config(files[CONFIG_NAME]), WEIGHT_NAMES, files[CONFIG_NAME])
    _check_digests(files, stated or {}, {name: hashlib.sha256(contents[name]).hexdigest() for name in stated or {}})
    return contents


def _check_digests(files: Mapping[str, Path], stated: Mapping[str, str], found: Mapping[str, str]) -> None:
    for name, digest in stated.items():
        if found[name] != digest:
            raise NotTogether(f'{files[name]} is not the file that was saved with its config.json. {ACCEPT}')


def _read_once(files: Mapping[str, Path], advice: str, accept: str) -> SavedFiles:
    path = files[CONFIG_NAME]
    config = read_config(path, advice)
    digests = read_digests(config, WEIGHT_NAMES, path)
    backbone, head = (read_weights(files[name], advice, (digests or {}).get(name), accept) for name in WEIGHT_NAMES)
    if digests is None:
        check_mark(files[BACKBONE_NAME], files[HEAD_NAME], advice)
    return SavedFiles(config, backbone, head)


def read_identity(find: Callable[[], Mapping[str, Path]]) -> tuple[dict[str, Any], dict[str, str]]:
    """What says which detector is saved, without reading its tensors: neither torch nor safetensors is imported.

    Args:
        find: Gives name -> path of the files.

    Returns:
        What stands in config.json; and name -> SHA-256 of each file of weights, as it is on the disk.

    Raises:
        ValueError: As `read_saved`, as far as that is seen without the tensors.
    """
    return settled(find, _identity_once)


def _identity_once(files: Mapping[str, Path]) -> tuple[dict[str, Any], dict[str, str]]:
    config = read_config(files[CONFIG_NAME])
    found = {name: file_digest(files[name]) for name in WEIGHT_NAMES}
    stated = read_digests(config, WEIGHT_NAMES, files[CONFIG_NAME])
    if stated is None:
        check_mark(files[BACKBONE_NAME], files[HEAD_NAME], '')
    _check_digests(files, stated or {}, found)
    return config, found


def no_card(folder: Path) -> ValueError:
    """The folder lacks the card that it would be published with."""
    return ValueError(
        f'the folder {str(folder)!r} has no {CARD_NAME}, and nothing is published without a card. Save the '
        'detector again to get one, or write it.'
    )


def read_config(path: Path, advice: str = '') -> dict[str, Any]:
    """A configuration, which is a JSON object.

    Args:
        path: The file.
        advice: What to do where it is corrupt.

    Raises:
        ValueError: It is corrupt, too large, or something else.
    """
    check_config_size(path.stat().st_size, str(path))
    try:
        config = parse_settings(read_text(path, SETTINGS_LIMIT, 'settings'))
    except ValueError as error:
        raise ValueError(f'{path} is corrupt: it is not JSON ({error}). {advice}') from error
    if not isinstance(config, dict):
        raise ValueError(
            f'{path} is not a configuration: it holds a {type(config).__name__} and should hold a dict. {advice}'
        )
    return config


def check_config_size(size: int, failed: str) -> None:
    """Raises ValueError where a configuration has more bytes than any of ours."""
    if size > CONFIG_LIMIT:
        raise ValueError(
            f"{failed}: {CONFIG_NAME} has {size} bytes, expected at most {CONFIG_LIMIT}. It is not a detector's."
        )


def config_bytes(config: Mapping[str, Any]) -> bytes:
    """A configuration as the bytes of config.json.

    Raises:
        ValueError: JSON cannot express it, or it is larger than what is read again.
    """
    try:
        text = json.dumps(dict(config), indent=2, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f'the configuration cannot be written as JSON ({error}). Use only finite numbers, strings, '
            'booleans, None, and lists and dicts of these.'
        ) from error
    data = (text + '\n').encode('utf-8')
    if len(data) > CONFIG_LIMIT:
        raise ValueError(
            f'the configuration would have {len(data)} bytes as JSON, and is read again up to {CONFIG_LIMIT}: give the '
            'classes shorter names'
        )
    return data
