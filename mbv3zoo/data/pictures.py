"""The decoded images of a dataset, optionally cached in memory or on disk."""

from __future__ import annotations

import hashlib
import math
import os
import shutil
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import nullcontext, suppress
from itertools import accumulate
from pathlib import Path
from typing import Any, BinaryIO, Literal

import torch
from torchvision.transforms.v2.functional import resize

from mbv3zoo.data.records import Record, Records
from mbv3zoo.images.embedded import holding_file
from mbv3zoo.images.letterbox import PAD_VALUE
from mbv3zoo.images.read import read_image
from mbv3zoo.images.regions import open_regions
from mbv3zoo.utils.atomic import atomic_write
from mbv3zoo.utils.sizes import MAX_PIXELS
from mbv3zoo.utils.text import utf8

# Linux's shared memory.
_SHARED_MEMORY = Path('/dev/shm')
# To be increased when images are decoded or stored differently, so that old caches are not read.
_CACHE_FORMAT = 1
_ADVICE = "use cache 'no', or set XDG_CACHE_HOME to a folder with room that can be written to"


class Pictures:
    """Images by record index: uint8 [3, H, W], no side longer than `longest_side`.

    With a cache, an image is decoded once, by the first loader process that reads it, and shared with the others.

    Args:
        records: What to read.
        longest_side: In pixels; larger images are downscaled to it.
        cache: 'memory' keeps images in shared memory; 'disk' keeps them in a file that later runs reuse, unless the
            image files change.
        folder: Folder of a 'disk' cache; by default `mbv3zoo/pictures` in the user's cache folder.

    Raises:
        ValueError: There is not enough memory or disk space for the cache.
    """

    def __init__(
        self,
        records: Sequence[Any],
        longest_side: int,
        cache: Literal['no', 'memory', 'disk'] = 'no',
        folder: str | Path | None = None,
    ) -> None:
        self.records = records
        self.sizes = _shrunk(records, longest_side)
        self.store = self.file = None
        # The tiles of each file, where images are cut into them; those of masks never are.
        self.files: dict[str, list[int]] = {}
        if isinstance(records, Records) and records.tiles is not None:
            for index, path in enumerate(records.paths):
                self.files.setdefault(path, []).append(index)
        if cache != 'no':
            # First a checksum of eight bytes per image, then the pixels, image by image.
            head = 8 * len(records)
            self.starts = list(accumulate((3 * self.sizes.prod(1)).tolist(), initial=head))
            if cache == 'memory':
                self.store = _shared(self.starts[-1], head)
            else:
                self.file = _file(self._name(), self.starts[-1], Path(folder or _user_cache()))
                self.store = _mapped(self.file, self.starts[-1])
            # Images whose checksum was verified: a file may have lost pages in a crash.
            self.ready = torch.zeros(len(records), dtype=torch.bool).share_memory_()

    def __len__(self) -> int:
        return len(self.records)

    def size(self, index: int) -> tuple[int, int]:
        """(height, width) of an image as it is given."""
        height, width = self.sizes[index].tolist()
        return height, width

    def __getitem__(self, index: int) -> torch.Tensor | None:
        """An image; None, with a warning, if its file is damaged.

        Raises:
            FileNotFoundError: The file is gone, and perhaps the whole dataset.
        """
        if self.store is None:
            return next(self._read([index]))
        if not self._is_kept(index):
            # All tiles of a file at once, as decoding it takes longer than cutting them.
            others = [other for other in self._of_same_file(index) if not self._is_kept(other)]
            for other, image in zip(others, self._read(others), strict=True):
                if image is not None:
                    self._pixels(other).copy_(image)
                    self._checksum(other).fill_(zlib.crc32(self._stored(other).numpy().data))
                    self.ready[other] = True
        return self._pixels(index).clone() if self.ready[index] else None

    def _stored(self, index: int) -> torch.Tensor:
        assert self.store is not None
        return self.store[self.starts[index] : self.starts[index + 1]]

    def _pixels(self, index: int) -> torch.Tensor:
        return self._stored(index).view(*self.size(index), 3).permute(2, 0, 1)

    def _checksum(self, index: int) -> torch.Tensor:
        assert self.store is not None
        return self.store[8 * index : 8 * index + 8].view(torch.int64)

    def _is_kept(self, index: int) -> bool:
        if not self.ready[index]:
            self.ready[index] = self._checksum(index).item() == zlib.crc32(self._stored(index).numpy().data)
        return bool(self.ready[index])

    def _of_same_file(self, index: int) -> Sequence[int]:
        return self.files[str(self.records[index].path)] if self.files else [index]

    def __getstate__(self) -> dict[str, Any]:
        # Spawned loader processes open the file themselves, as torch cannot pickle a mapped one.
        return self.__dict__ | ({'store': None} if self.file else {})

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self.file:
            self.store = _mapped(self.file, self.starts[-1])

    def _read(self, indices: Sequence[int]) -> Iterator[torch.Tensor | None]:
        """Images of one file, which is decoded once."""
        records = [self.records[index] for index in indices]
        if self.files:
            images = read_tiles(records)
        else:
            images = iter([read_or_none(records[0].path, at_least=self.size(indices[0]), size=records[0].size)])
        for index, image in zip(indices, images, strict=True):
            size = self.size(index)
            resized = image is None or tuple(image.shape[1:]) == size
            yield image if resized or image is None else resize(image, list(size), antialias=True)

    def _name(self) -> str:
        # A hash of all that the cached bytes depend on.
        digest = hashlib.sha256(f'{_CACHE_FORMAT}\n'.encode())
        for record, size in zip(self.records, self.sizes.tolist(), strict=True):
            stat = os.stat(holding_file(record.path))
            shape = (*size, *record.tile) if self.files else tuple(size)
            digest.update(utf8(f'{os.path.abspath(record.path)}|{stat.st_size}|{stat.st_mtime_ns}|{shape}\n'))
        return digest.hexdigest()[:32]


def read_or_none(
    path: Path, channels: int = 3, at_least: tuple[int, int] | None = None, size: tuple[int, int] = (0, 0)
) -> torch.Tensor | None:
    """An image as uint8 [channels, H, W]; None, with a warning, if it cannot be decoded.

    One damaged image of thousands should not end a long training run. A missing file should, as the whole dataset may
    be gone.

    Args:
        path: The file.
        channels: 3 for RGB, 1 for grey.
        at_least: (height, width) needed; a larger JPEG is decoded at a half, a quarter or an eighth of its size.
        size: (height, width) that it had when the dataset was read: so many pixels are allowed.

    Raises:
        FileNotFoundError: There is no such file.
    """
    max_pixels = max(MAX_PIXELS, math.prod(size))
    try:
        return torch.from_numpy(read_image(path, channels, at_least, max_pixels)).permute(2, 0, 1)
    except ValueError as error:
        check_is_there(path, error)
        warnings.warn(f'{error}; taken as an empty picture', stacklevel=2)
        return None


def read_tiles(records: Sequence[Record]) -> Iterator[torch.Tensor | None]:
    """The tiles of one file as `read_or_none` gives images: uint8 [3, height, width]; None if it cannot be decoded.

    Args:
        records: Tiles; all of them name the same file.
    """
    path, first = records[0].path, records[0].tile
    assert first is not None
    regions = None
    with suppress(ValueError):  # said below
        regions = open_regions(path, max_pixels=max(MAX_PIXELS, math.prod(first.image_size)))
    whole = None if regions else read_or_none(path, size=first.image_size)
    with regions or nullcontext():
        for record in records:
            assert record.tile is not None
            top, left = record.tile.top, record.tile.left
            rows, columns = (top, top + record.size[0]), (left, left + record.size[1])
            if regions is None:
                yield None if whole is None else whole[:, slice(*rows), slice(*columns)]
                continue
            try:
                yield torch.from_numpy(regions.read((rows, columns)))
            except ValueError as error:
                check_is_there(path, error)
                warnings.warn(f'{error}; taken as an empty picture', stacklevel=2)
                yield None


def check_is_there(path: Path, error: Exception) -> None:
    """Raises FileNotFoundError if a file of a dataset that could not be read, for `error`, does not exist."""
    if not os.path.exists(holding_file(path)):
        raise FileNotFoundError(
            f'{path} was there when the data set was read, and is gone; put the data set back'
        ) from error


def empty_picture(channels: int, size: tuple[int, int]) -> torch.Tensor:
    """An image of padding grey, in place of one that cannot be decoded."""
    return torch.full((channels, *size), PAD_VALUE, dtype=torch.uint8)


def _shrunk(records: Sequence[Any], longest_side: int) -> torch.Tensor:
    """int64 [N, 2], (height, width) of each image with no side longer than `longest_side`."""
    if isinstance(records, Records):
        sizes = records.sizes
    else:
        sizes = torch.tensor([record.size for record in records], dtype=torch.int64).reshape(-1, 2)
    scales = (longest_side / sizes.double().amax(1, keepdim=True)).clamp(max=1)
    return (sizes * scales).round().long().clamp(min=1)


def _shared(size: int, head: int) -> torch.Tensor:
    if _SHARED_MEMORY.is_dir():
        _check_room(size, _SHARED_MEMORY, "shared memory; use cache 'disk' or 'no'")
    # Not zeros, which would take the memory twice while they are copied to shared memory.
    store = torch.empty(size, dtype=torch.uint8).share_memory_()
    store[:head] = 0
    return store


def _file(name: str, size: int, folder: Path) -> Path:
    path = folder / f'{name}.cache'
    if not path.exists():
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ValueError(f'cannot make the cache folder {folder}: {error.strerror}; {_ADVICE}') from error
        _check_room(size, folder, f'disk space; {_ADVICE}')
        try:
            # Another process may create the same file, so it appears at its full size.
            atomic_write(path, lambda file: _allocate(file, size))
        except OSError as error:
            raise ValueError(
                f'cannot make a cache of {size / 2**30:.1f} GiB in {folder}: {os.strerror(error.errno or 0)}; {_ADVICE}'
            ) from error
    return path


def _allocate(file: BinaryIO, size: int) -> None:
    file.truncate(size)
    if size and hasattr(os, 'posix_fallocate'):
        # Allocated now, as a disk that fills up under a mapped file kills the process.
        os.posix_fallocate(file.fileno(), 0, size)


def _mapped(path: Path, size: int) -> torch.Tensor:
    return torch.from_file(str(path), shared=True, size=size, dtype=torch.uint8)


def _check_room(size: int, place: Path, advice: str) -> None:
    free = shutil.disk_usage(place).free
    if size > free:
        raise ValueError(
            f'the cache of decoded pictures takes {size / 2**30:.1f} GiB, '
            f'but {place} has {free / 2**30:.1f} GiB of {advice}'
        )


def _user_cache() -> Path:
    return Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache') / 'mbv3zoo' / 'pictures'
