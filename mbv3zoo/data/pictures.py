"""The pictures of a data set as training takes them: decoded, shrunk to what is needed, kept if asked."""

from __future__ import annotations

import hashlib
import os
import shutil
import warnings
import zlib
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, Literal

import torch
from torchvision.transforms.v2.functional import resize

from mbv3zoo.data.records import Record
from mbv3zoo.images.letterbox import PAD_VALUE
from mbv3zoo.images.read import read_image

# Where Linux keeps the memory that processes share.
_SHARED_MEMORY = Path('/dev/shm')
# Counts up when pictures are decoded or laid out in another way, so that no old cache is read as a new one.
_CACHE_FORMAT = 1


class Pictures:
    """Pictures by the index of their record: uint8 [3, H, W], no side longer than `longest_side`.

    With a cache, a picture is decoded once, by whichever loader process comes first, and kept where the others
    find it.

    Args:
        records: What to read.
        longest_side: Larger pictures are shrunk to it, pixels.
        cache: 'memory' keeps pictures in memory that all loader processes share; 'disk' keeps them in a file that later
            runs find again, as long as the pictures' files stay as they are.
        folder: Where a 'disk' cache lies; by default `mbv3zoo/pictures` in the user's cache folder.

    Raises:
        ValueError: There is not enough memory, or disk, for the cache.
    """

    def __init__(
        self,
        records: Sequence[Record],
        longest_side: int,
        cache: Literal['no', 'memory', 'disk'] = 'no',
        folder: str | Path | None = None,
    ) -> None:
        self.records = records
        self.sizes = [_shrunk(record.size, longest_side) for record in records]
        self.store = self.file = None
        if cache != 'no':
            # A checksum of each picture, eight bytes; the pixels follow, picture by picture.
            head = 8 * len(records)
            self.starts = list(accumulate((3 * height * width for height, width in self.sizes), initial=head))
            if cache == 'memory':
                self.store = _shared(self.starts[-1], head)
            else:
                self.file = _file(self._name(), self.starts[-1], Path(folder or _user_cache()))
                self.store = _mapped(self.file, self.starts[-1])
            # Pictures whose checksum is known to be right: a file may have lost pages when a computer failed.
            self.ready = torch.zeros(len(records), dtype=torch.bool).share_memory_()

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> torch.Tensor | None:
        """A picture; None, and a warning that names it, where its file is damaged.

        Raises:
            FileNotFoundError: The file is gone: so may be all the others.
        """
        if self.store is None:
            return self._read(index)
        height, width = self.sizes[index]
        stored = self.store[self.starts[index] : self.starts[index + 1]]
        pixels = stored.view(height, width, 3).permute(2, 0, 1)
        if not self.ready[index]:
            checksum = self.store[8 * index : 8 * index + 8].view(torch.int64)
            if checksum.item() != zlib.crc32(stored.numpy().data):
                image = self._read(index)
                if image is None:
                    return None
                pixels.copy_(image)
                checksum.fill_(zlib.crc32(stored.numpy().data))
            self.ready[index] = True
        return pixels.clone()

    def __getstate__(self) -> dict[str, Any]:
        # Loader processes that are no forks open the file themselves: torch cannot hand on a mapped one.
        return self.__dict__ | ({'store': None} if self.file else {})

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self.file:
            self.store = _mapped(self.file, self.starts[-1])

    def _read(self, index: int) -> torch.Tensor | None:
        record, size = self.records[index], self.sizes[index]
        image = read_or_none(record.path, at_least=size)
        if image is None or tuple(image.shape[1:]) == size:
            return image
        return resize(image, list(size), antialias=True)

    def _name(self) -> str:
        # Of all that the cached bytes depend on.
        digest = hashlib.sha256(f'{_CACHE_FORMAT}\n'.encode())
        for record, size in zip(self.records, self.sizes, strict=True):
            stat = os.stat(record.path)
            digest.update(f'{os.path.abspath(record.path)}|{stat.st_size}|{stat.st_mtime_ns}|{size}\n'.encode())
        return digest.hexdigest()[:32]


def read_or_none(path: Path, channels: int = 3, at_least: tuple[int, int] | None = None) -> torch.Tensor | None:
    """A picture as uint8 [channels, H, W]; None, and a warning that names it, where it cannot be decoded.

    Headers were read when the set was loaded, so such a file is damaged further in. One bad picture of thousands
    should not end a night's training. A file that is gone should: the whole data set may have gone with it.

    Args:
        path: The file.
        channels: 3 for RGB, 1 for grey.
        at_least: (height, width) that will do: a larger JPEG is decoded at a half, a quarter or an eighth.

    Raises:
        FileNotFoundError: There is no such file.
    """
    try:
        return torch.from_numpy(read_image(path, channels, at_least)).permute(2, 0, 1)
    except ValueError as error:
        if not os.path.exists(path):
            raise FileNotFoundError(
                f'{path} was there when the data set was read, and is gone; put the data set back'
            ) from error
        warnings.warn(f'{error}; taken as an empty picture', stacklevel=2)
        return None


def empty_picture(channels: int, size: tuple[int, int]) -> torch.Tensor:
    """What stands in for a picture that cannot be decoded: the padding's grey."""
    return torch.full((channels, *size), PAD_VALUE, dtype=torch.uint8)


def _shrunk(size: tuple[int, int], longest_side: int) -> tuple[int, int]:
    scale = min(1.0, longest_side / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _shared(size: int, head: int) -> torch.Tensor:
    if _SHARED_MEMORY.is_dir():
        _check_room(size, _SHARED_MEMORY, "shared memory; use cache 'disk' or 'no'")
    # Zeros would take the room twice, until they are copied to the shared memory: empty pages take none.
    store = torch.empty(size, dtype=torch.uint8).share_memory_()
    store[:head] = 0
    return store


def _file(name: str, size: int, folder: Path) -> Path:
    path = folder / f'{name}.cache'
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        _check_room(size, folder, "disk space; use cache 'no', or set XDG_CACHE_HOME to a folder with room")
        # Another process may make the same file: it appears at its full size.
        unfinished = path.with_suffix(f'.{os.getpid()}')
        try:
            with open(unfinished, 'wb') as file:
                file.truncate(size)
                if size and hasattr(os, 'posix_fallocate'):
                    # Takes the room now: a disk that fills up under a mapped file kills the process.
                    os.posix_fallocate(file.fileno(), 0, size)
            os.replace(unfinished, path)
        except OSError as error:
            raise ValueError(f'cannot make a cache of {size / 2**30:.1f} GiB in {folder}: {error.strerror}') from error
        finally:
            unfinished.unlink(missing_ok=True)
    return path


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
