"""Files written by torch.save: the object graph as plain records, the tensors read on demand."""

from __future__ import annotations

import io
import math
import struct
import zipfile
from pathlib import Path
from typing import Any

import torch

from mbv3zoo.convert.inert_pickle import Global, Record, Reference, read_pickle

MAX_PICKLE_BYTES = 16 * 2**20
_CHUNK_BYTES = 2**20

_DTYPES = {
    'torch.DoubleStorage': torch.float64,
    'torch.FloatStorage': torch.float32,
    'torch.HalfStorage': torch.float16,
    'torch.BFloat16Storage': torch.bfloat16,
    'torch.LongStorage': torch.int64,
    'torch.IntStorage': torch.int32,
    'torch.ShortStorage': torch.int16,
    'torch.CharStorage': torch.int8,
    'torch.ByteStorage': torch.uint8,
    'torch.BoolStorage': torch.bool,
}
_TENSOR = 'torch._utils._rebuild_tensor_v2'
# Their first argument is the tensor.
_WRAPPERS = ('torch._utils._rebuild_parameter', 'torch._utils._rebuild_parameter_with_state')

# What zipfile raises for damaged, encrypted and unknown archives.
_ZIP_ERRORS = (zipfile.BadZipFile, OSError, EOFError, RuntimeError, ValueError, OverflowError, struct.error)

_EXPECTED = 'expected a checkpoint that torch.save wrote as a zip file (torch 1.6 or newer)'


def is_tensor(value: Any) -> bool:
    """Whether a value of a file's object graph is the record of a tensor or a parameter."""
    return isinstance(value, Record) and value.class_name in (_TENSOR, *_WRAPPERS)


class _BoundedFile(io.FileIO):
    """A file of which no part is read whole that is larger than any of a checkpoint's: above all, the list of parts.

    `zipfile` reads that list at once, and makes an object of some hundred times its size for each of its entries.
    """

    def read(self, size: int | None = -1) -> bytes:
        asked = MAX_PICKLE_BYTES + 1 if size is None or size < 0 else size
        data = super().read(min(asked, MAX_PICKLE_BYTES + 1)) or b''
        if len(data) > MAX_PICKLE_BYTES:
            raise ValueError(f'a part of it, or the list of its parts, has more than {MAX_PICKLE_BYTES} bytes')
        return data


class TorchFile:
    """A file written by torch.save, open for reading; a context manager. Nothing in it is run.

    A tensor's bytes are read when `tensor` is called with it, so the optimizer and the second copy of the model in a
    training checkpoint cost no time or memory.

    Attributes:
        root: What was saved: plain values, with records in place of objects (see `read_pickle`).
    """

    def __init__(self, path: str | Path) -> None:
        """Opens the file and reads its object graph.

        Raises:
            ValueError: The file is missing, not in torch.save's zip format, or damaged.
        """
        self._path = Path(path)
        self._size = _check_kind(self._path)
        self._storages: dict[str, torch.Tensor] = {}
        self._read_bytes = 0
        self._given_bytes = 0
        try:
            self._opened = _BoundedFile(self._path)
            self._archive = zipfile.ZipFile(self._opened)
        except _ZIP_ERRORS as error:
            raise ValueError(f'{self._path}: the file is damaged or incomplete ({error}); fetch it again') from error
        try:
            self._folder = self._find_folder()
            self.root = read_pickle(self._read_small('data.pkl', MAX_PICKLE_BYTES))
        except ValueError as error:
            self._close()
            raise ValueError(f'{self._path}: {error}') from error

    def __enter__(self) -> TorchFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def _close(self) -> None:
        # It closes no file that was opened for it.
        self._archive.close()
        self._opened.close()

    def tensor(self, record: Record) -> torch.Tensor:
        """One tensor of the graph, with its saved shape and dtype, on the CPU.

        Args:
            record: A part of `root` for which `is_tensor` is true.

        Raises:
            ValueError: Its bytes are missing or damaged, or do not match its shape. The message does not name the file.
        """
        if record.class_name in _WRAPPERS and record.args and isinstance(record.args[0], Record):
            record = record.args[0]
        if record.class_name != _TENSOR or len(record.args) < 4:
            raise ValueError(f'{record.class_name} is no tensor that can be read here; save it as a plain tensor')
        reference, offset, size, stride = record.args[:4]
        numbers = (offset, *size, *stride) if isinstance(size, tuple) and isinstance(stride, tuple) else (None,)
        if not all(type(number) is int and 0 <= number < 2**63 for number in numbers) or len(size) != len(stride):
            raise ValueError('the size of a tensor is no row of whole numbers')
        storage = self._storage(reference)
        count = math.prod(size)
        last = offset + sum((length - 1) * step for length, step in zip(size, stride, strict=True)) if count else offset
        # A tensor with more elements than its storage repeats some of them; a network's weights never do, and a copy
        # of such a tensor can have any size.
        if last >= max(len(storage), 1) or count > len(storage):
            raise ValueError(f'a tensor of size {size} lies outside the {len(storage)} numbers stored for it')
        self._given_bytes += count * storage.element_size()
        if self._given_bytes > self._size:
            raise ValueError('the tensors taken together are larger than the file')
        return storage.as_strided(size, stride, offset)

    def _storage(self, reference: Any) -> torch.Tensor:
        """All elements of one storage, [N]."""
        pid = reference.pid if isinstance(reference, Reference) else None
        if not isinstance(pid, tuple) or len(pid) != 5 or pid[0] != 'storage':
            raise ValueError('a tensor names no storage')
        _, kind, key, _, length = pid
        dtype = _DTYPES.get(kind.class_name) if isinstance(kind, Global) else None
        if dtype is None:
            known = ', '.join(sorted(name.removeprefix('torch.') for name in _DTYPES))
            raise ValueError(f'a tensor is stored as {getattr(kind, "class_name", kind)!r}; known are {known}')
        if not isinstance(key, str) or type(length) is not int:
            raise ValueError('a storage has no name or no length')
        if key not in self._storages:
            self._storages[key] = self._read_storage(f'data/{key}', dtype, length)
        storage = self._storages[key]
        if storage.dtype != dtype or len(storage) != length:
            raise ValueError(f'the storage {key} is described in two ways')
        return storage

    def _read_storage(self, name: str, dtype: torch.dtype, length: int) -> torch.Tensor:
        member = self._member(name)
        if member.file_size != length * dtype.itemsize:
            raise ValueError(
                f'{name} holds {member.file_size} bytes, and {length} numbers of {dtype.itemsize} bytes are expected'
            )
        self._read_bytes += member.file_size
        if self._read_bytes > self._size:
            raise ValueError('the parts of the file taken together are larger than the file')
        storage = torch.empty(length, dtype=dtype)
        target = storage.view(torch.uint8).numpy().data
        try:
            # Reading to the end checks the member's CRC-32.
            with self._archive.open(member) as source:
                assert isinstance(source, zipfile.ZipExtFile)
                done = 0
                while count := source.readinto(target[done : done + _CHUNK_BYTES]):
                    done += count
                whole = done == len(target) and not source.read(1)
        except _ZIP_ERRORS as error:
            raise ValueError(f'{name} is damaged or incomplete ({error}); fetch the file again') from error
        if not whole:
            raise ValueError(f'{name} is incomplete; fetch the file again')
        return storage

    def _find_folder(self) -> str:
        """The archive's top folder, ending in '/'."""
        names = self._archive.namelist()
        pickles = [name for name in names if name.count('/') == 1 and name.endswith('/data.pkl')]
        folders = [name.removesuffix('data.pkl') for name in pickles]
        if len(folders) != 1:
            raise ValueError(f'a zip file, but not one of torch.save, which has one <name>/data.pkl in it; {_EXPECTED}')
        folder = folders[0]
        if f'{folder}constants.pkl' in names or any(name.startswith(f'{folder}code/') for name in names):
            raise ValueError('a TorchScript file, which is an export; give the .pt file that it was exported from')
        if f'{folder}byteorder' in names:
            self._folder = folder
            order = self._read_small('byteorder', 16)
            if order != b'little':
                raise ValueError('written on a machine of the other byte order; save it again on an ordinary machine')
        return folder

    def _member(self, name: str) -> zipfile.ZipInfo:
        try:
            member = self._archive.getinfo(self._folder + name)
        except KeyError:
            raise ValueError(f'{name} is missing in it; fetch the file again') from None
        # torch.save never compresses, and a few compressed bytes can expand without limit.
        if member.compress_type != zipfile.ZIP_STORED or member.file_size > self._size:
            raise ValueError(f'{name} is compressed or larger than the file; torch.save writes neither')
        return member

    def _read_small(self, name: str, limit: int) -> bytes:
        member = self._member(name)
        if member.file_size > limit:
            raise ValueError(f'{name} has {member.file_size} bytes; at most {limit} are read')
        try:
            return self._archive.read(member)
        except _ZIP_ERRORS as error:
            raise ValueError(f'{name} is damaged or incomplete ({error}); fetch the file again') from error


def _check_kind(path: Path) -> int:
    """The size of a file that starts like a zip file.

    Raises:
        ValueError: It does not; the message says what it seems to be.
    """
    if path.is_dir():
        raise ValueError(f'{path}: a folder; {_EXPECTED}')
    try:
        with path.open('rb') as file:
            start = file.read(512)
        size = path.stat().st_size
    except OSError as error:
        raise ValueError(f'{path}: the file cannot be read ({error.strerror}); {_EXPECTED}') from error
    if not start.startswith(b'PK\x03\x04'):
        raise ValueError(f'{path}: {_kind(start, path.suffix.lower())}; {_EXPECTED}')
    return size


def _kind(start: bytes, suffix: str) -> str:
    """What a file that is no zip file seems to be."""
    text = start.lstrip().lower()
    if not start:
        return 'an empty file'
    # The magic number of torch's format before 1.6, as a pickle of protocol 2.
    if start.startswith(b'\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19'):
        return (
            "a file of torch's format before 1.6; load it in the tree that wrote it with a newer torch and "
            'torch.save it again'
        )
    if text.startswith(b'version https://git-lfs'):
        return 'a git-lfs pointer, not the file itself; fetch it with `git lfs pull`'
    if text.startswith((b'<!doctype', b'<html', b'<?xml')):
        return 'a web page, not the file that was meant to be fetched'
    if suffix == '.safetensors' or start[8:9] == b'{':
        return 'a safetensors file, which holds tensors and no model; give the .pt file'
    if suffix in ('.onnx', '.engine', '.tflite', '.pb', '.mlmodel'):
        return f'an exported model ({suffix}); give the .pt file that it was exported from'
    return 'a file of another kind'
