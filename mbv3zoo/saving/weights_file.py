"""A file of weights: tensors written as safetensors, and read with suspicion."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mbv3zoo.utils.text import is_utf8

if TYPE_CHECKING:
    # At run time in the functions: which files belong together is told without torch.
    from torch import Tensor

# Bytes; the header of a thousand tensors takes a tenth of a megabyte.
HEADER_LIMIT = 8 * 2**20


class NotTogether(ValueError):
    """Files come from different saves. While another process saves, that passes."""


def weights_bytes(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> bytes:
    """Tensors as the bytes of a safetensors file; the same for the same tensors.

    Args:
        tensors: Of any device and memory layout; no two may share memory.
        metadata: Of the header.

    Raises:
        ValueError: One is no tensor, or two share memory.
    """
    import safetensors.torch
    from torch import Tensor

    for name, tensor in tensors.items():
        if not isinstance(tensor, Tensor):
            raise ValueError(
                f'state_dict[{name!r}] is of type {type(tensor).__name__}, but only tensors can be saved: leave it out.'
            )
    # Safetensors takes no strided views, such as the weights of a model in channels_last layout.
    tensors = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    try:
        return _with_metadata(safetensors.torch.save(tensors), metadata)
    except RuntimeError as error:
        if 'share memory' not in str(error):
            raise
        raise ValueError(
            'the state dict holds tensors that share memory, which safetensors cannot express. Save only '
            f'one of them, or clone() the others. They are: {_shared_names(tensors)}'
        ) from error


def read_weights(path: Path, advice: str = '', digest: str | None = None, accept: str = '') -> dict[str, Tensor]:
    """Tensors of a safetensors file, on the CPU.

    Args:
        path: The file.
        advice: What to do where it is corrupt.
        digest: The sha256 that it must have by the config.json it was saved with, in hexadecimal; None for any.
        accept: How it is loaded where it was exchanged on purpose.

    Raises:
        NotTogether: It has another sha256, or was replaced while it was read.
        FileNotFoundError: It is not there, or was moved while it was read.
        ValueError: It is corrupt.
    """
    import safetensors.torch
    from safetensors import SafetensorError

    _check_header_size(path, advice)
    with open(path, 'rb') as file:
        opened = identity(file.fileno())
        try:
            # safetensors opens no file whose name is not UTF-8.
            tensors = safetensors.torch.load_file(path) if is_utf8(path) else safetensors.torch.load(path.read_bytes())
        except SafetensorError as error:
            raise ValueError(f'{path} is corrupt: it is not a safetensors file ({error}). {advice}') from error
        except RuntimeError as error:  # torch opens the file once more, and says so of any trouble
            if path.exists():
                raise
            raise FileNotFoundError(f'{path} was moved while it was read') from error
        found = hashlib.file_digest(file, 'sha256').hexdigest() if digest else None
    if found != digest:
        raise NotTogether(
            f'{path} is not the file that was saved with its config.json (its sha256 is {found}, expected '
            f'{digest}). {" ".join(filter(None, (advice, accept)))}'
        )
    if identity(path) != opened:
        raise NotTogether(f'{path} was replaced while it was read. Load it again.')
    return tensors


def read_metadata(path: Path) -> dict[str, str]:
    """The metadata in the header of a whole safetensors file."""
    with open(path, 'rb') as file:
        header = file.read(int.from_bytes(file.read(8), 'little'))
    return json.loads(header).get('__metadata__') or {}


def identity(file: Path | int) -> tuple[int, ...]:
    """What a file, or an open one by its descriptor, has no more when it was replaced or written since."""
    status = os.stat(file)
    return status.st_ino, status.st_size, status.st_mtime_ns


def _with_metadata(data: bytes, metadata: Mapping[str, str]) -> bytes:
    # safetensors writes several entries in a random order, and equal saves would differ.
    end = 8 + int.from_bytes(data[:8], 'little')
    header = json.dumps({'__metadata__': dict(metadata), **json.loads(data[8:end])}, separators=(',', ':')).encode()
    header += b' ' * (-len(header) % 8)
    return b''.join([len(header).to_bytes(8, 'little'), header, memoryview(data)[end:]])


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


def _shared_names(tensors: Mapping[str, Tensor]) -> list[list[str]]:
    by_storage: dict[int, list[str]] = {}
    for name, tensor in tensors.items():
        if tensor.numel():
            by_storage.setdefault(tensor.untyped_storage().data_ptr(), []).append(name)
    return [names for names in by_storage.values() if len(names) > 1]
