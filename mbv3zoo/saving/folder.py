"""A detector's folder on disk, which is a repository on the Hub as well: its files, and how each is written and read.

What the configuration and the tensors mean is the business of `mbv3zoo.models`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from mbv3zoo.utils.atomic import atomic_write_all, current
from mbv3zoo.utils.json import SETTINGS_LIMIT, parse_settings
from mbv3zoo.utils.text import is_utf8, read_text

CONFIG_NAME = 'config.json'
# The backbone alone, under timm's names: what timm itself looks for in a repository.
BACKBONE_NAME = 'model.safetensors'
# Everything else of the detector.
HEAD_NAME = 'detector.safetensors'
CARD_NAME = 'README.md'
# Predictions that the card shows, where there are some.
PICTURE_NAME = 'predictions.png'

# In the header of detector.safetensors: the sha256 of the model.safetensors that it was saved with.
_MARK = 'backbone_sha256'
LOADED_NAMES = (CONFIG_NAME, BACKBONE_NAME, HEAD_NAME)
NO_PICKLES = 'Weights are read from safetensors only, never from a pickle such as pytorch_model.bin.'

# Bytes; a file that claims more is not one of ours and is not read. Ten thousand class names take half a megabyte, the
# header of a thousand tensors a tenth.
CONFIG_LIMIT = SETTINGS_LIMIT
HEADER_LIMIT = 8 * 2**20


def save_folder(
    folder: str | Path,
    config: Mapping[str, Any],
    backbone: Mapping[str, Tensor],
    head: Mapping[str, Tensor],
    card: str,
    *,
    pictures: Mapping[str, bytes] | None = None,
    keep_card: bool = True,
) -> Path:
    """Writes `config.json`, `model.safetensors`, `detector.safetensors` and `README.md`: a folder ready to be pushed.

    All files are replaced together (`mbv3zoo.utils.atomic.staged`): a full disk or a kill leaves an earlier save whole.

    Args:
        folder: Made when missing, with its parents.
        config: Anything JSON can express.
        backbone: Tensors of model.safetensors, of any device and memory layout; no two may share memory.
        head: Tensors of detector.safetensors, likewise.
        card: Text of the model card.
        pictures: Further files, by name, that the card shows.
        keep_card: Whether an existing README.md stays: people edit their cards.

    Returns:
        The folder.

    Raises:
        ValueError: `folder` is a file, or `config` or a tensor cannot be written. Nothing was written.
        OSError: The folder cannot be written (full, read-only); the message names it.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise ValueError(f'cannot save to {str(folder)!r}: it is a file. Give a folder, new or existing.')
    contents: dict[str | Path, bytes] = {folder / CONFIG_NAME: _config_bytes(config)}
    if not (keep_card and (folder / CARD_NAME).exists()):
        contents[folder / CARD_NAME] = card.encode('utf-8')
    contents |= {folder / name: data for name, data in (pictures or {}).items()}
    # Other libraries read the format from here, and refuse a file that does not say it.
    contents[folder / BACKBONE_NAME] = _weights_bytes(backbone, {'format': 'pt'})
    # Two files cannot be replaced at one moment: a reader that came in between is told by this.
    mark = {_MARK: hashlib.sha256(contents[folder / BACKBONE_NAME]).hexdigest()}
    contents[folder / HEAD_NAME] = _weights_bytes(head, mark)
    folder.mkdir(parents=True, exist_ok=True)
    atomic_write_all(contents)
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
    paths = {name: current(folder / name) for name in LOADED_NAMES}
    missing = [name for name, path in paths.items() if not path.is_file()]
    if missing:
        raise ValueError(
            f'the folder {str(folder)!r} has no {" and no ".join(missing)}. The folder of a detector holds '
            f'{", ".join(LOADED_NAMES)}, as save_pretrained writes them. {NO_PICKLES}'
        )
    return paths


def all_files(folder: Path) -> dict[str, Path]:
    """Name -> path of all files of a detector: those of `saved_files`, of one save; card and image where they are.

    Raises:
        ValueError: As `saved_files`, or the two files of weights come from two different saves.
    """
    paths = saved_files(folder)
    check_one_save(paths[BACKBONE_NAME], paths[HEAD_NAME], 'Save the detector again.')
    more = {name: current(folder / name) for name in (CARD_NAME, PICTURE_NAME)}
    return paths | {name: path for name, path in more.items() if path.is_file()}


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


def read_weights(path: Path, advice: str = '') -> dict[str, Tensor]:
    """Tensors of a safetensors file, on the CPU.

    Args:
        path: The file.
        advice: What to do where it is corrupt.

    Raises:
        ValueError: It is corrupt.
    """
    _check_header_size(path, advice)
    try:
        # safetensors opens no file whose name is not UTF-8.
        return safetensors.torch.load_file(path) if is_utf8(path) else safetensors.torch.load(path.read_bytes())
    except SafetensorError as error:
        raise ValueError(f'{path} is corrupt: it is not a safetensors file ({error}). {advice}') from error


def check_one_save(backbone: Path, head: Path, advice: str = '') -> None:
    """Checks that a model.safetensors and a detector.safetensors were saved together.

    Args:
        backbone, head: The two files.
        advice: What to do where they were not.

    Raises:
        ValueError: They come from two different saves.
    """
    with open(backbone, 'rb') as file:
        wanted = hashlib.file_digest(file, 'sha256').hexdigest()
    if _metadata(head).get(_MARK) != wanted:
        raise ValueError(f'{backbone} and the {head.name} beside it come from two different saves. {advice}')


def _metadata(path: Path) -> dict[str, str]:
    if is_utf8(path):
        with safetensors.safe_open(path, 'pt') as file:
            return file.metadata() or {}
    data = path.read_bytes()
    safetensors.torch.load(data)  # raises if it is not whole
    return json.loads(data[8 : 8 + int.from_bytes(data[:8], 'little')]).get('__metadata__', {})


def check_config_size(size: int, failed: str) -> None:
    """Raises ValueError where a configuration has more bytes than any of ours."""
    if size > CONFIG_LIMIT:
        raise ValueError(
            f"{failed}: {CONFIG_NAME} has {size} bytes, expected at most {CONFIG_LIMIT}. It is not a detector's."
        )


def _check_header_size(path: Path, advice: str) -> None:
    """A safetensors file begins with the size of its header (8 bytes, little endian), which is read as a whole."""
    with open(path, 'rb') as file:
        size = int.from_bytes(file.read(8), 'little')
    limit = min(HEADER_LIMIT, path.stat().st_size - 8)
    if size > limit:
        raise ValueError(
            f'{path} is corrupt: it is not a safetensors file (a header of {size} bytes, expected at most '
            f'{max(limit, 0)}). {advice}'
        )


def _config_bytes(config: Mapping[str, Any]) -> bytes:
    try:
        text = json.dumps(dict(config), indent=2, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f'the configuration cannot be written as JSON ({error}). Use only finite numbers, strings, '
            'booleans, None, and lists and dicts of these.'
        ) from error
    return (text + '\n').encode('utf-8')


def _weights_bytes(state_dict: Mapping[str, Tensor], metadata: dict[str, str]) -> bytes:
    # One entry of metadata only: of several, safetensors writes the order at random, and equal saves would differ.
    for name, tensor in state_dict.items():
        if not isinstance(tensor, Tensor):
            raise ValueError(
                f'state_dict[{name!r}] is of type {type(tensor).__name__}, but only tensors can be saved: leave it out.'
            )
    # Safetensors takes no strided views, such as the weights of a model in channels_last layout.
    tensors = {name: tensor.detach().contiguous() for name, tensor in state_dict.items()}
    try:
        return safetensors.torch.save(tensors, metadata)
    except RuntimeError as error:
        if 'share memory' not in str(error):
            raise
        raise ValueError(
            'the state dict holds tensors that share memory, which safetensors cannot express. Save only '
            f'one of them, or clone() the others. They are: {_shared_names(tensors)}'
        ) from error


def _shared_names(tensors: dict[str, Tensor]) -> list[list[str]]:
    by_storage: dict[int, list[str]] = {}
    for name, tensor in tensors.items():
        if tensor.numel():
            by_storage.setdefault(tensor.untyped_storage().data_ptr(), []).append(name)
    return [names for names in by_storage.values() if len(names) > 1]
