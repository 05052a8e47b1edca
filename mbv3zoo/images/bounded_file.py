"""An image file that is open for reading, with bounds on what its decoder may ask of it."""

from __future__ import annotations

import io
import os
from typing import IO, Any

from mbv3zoo.images.embedded import read_embedded

# A file of a gigabyte is read in 20,000 parts of 64 kilobytes; one of a million tiny chunks, comments or fill bytes has
# more, and each takes a microsecond.
MOST_READS = 1_000_000
# What is read again and again, as tags of a TIFF file may all point to the same bytes.
_MOST_TIMES = 4
MORE_BYTES = 64 * 2**20
# Bytes of a file: those of 16-bit RGBA pixels that are not compressed, and what else an image holds.
BYTES_OF_PIXEL = 8
# Scans of a progressive JPEG: each goes over all pixels again, and may be a few bytes long. Encoders write ten.
MOST_SCANS = 30
MOST_SCANNED = 4_000_000_000


class Unreadable(ValueError):
    """Why a file is not read, in words that go behind its name."""


class BoundedFile(io.BufferedReader):
    """An image file, open for reading.

    Args:
        path: The file, or one in an Arrow file (`mbv3zoo.images.embedded`).
        max_pixels: Most pixels that it may have, which bounds its bytes.

    Raises:
        Unreadable: It has more bytes; or from `read`, it was read too often or too much.
    """

    def __init__(self, path: str | os.PathLike, max_pixels: int) -> None:
        try:
            file: Any = open(path, 'rb', buffering=0)  # noqa: SIM115
        except (FileNotFoundError, NotADirectoryError):
            content = read_embedded(path)
            if content is None:
                raise
            file = io.BytesIO(content)
        super().__init__(file)
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        limit = MORE_BYTES + BYTES_OF_PIXEL * max_pixels
        if size > limit:
            self.close()
            raise Unreadable(f'it has {size} bytes, more than {limit}, which {max_pixels} pixels take')
        self._reads_left = MOST_READS
        self._bytes_left = _MOST_TIMES * size + MORE_BYTES

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        self._reads_left -= 1
        self._bytes_left -= len(data)
        if self._reads_left < 0 or self._bytes_left < 0:
            raise Unreadable('it is stored in too many parts, or they are stored on top of each other; save it anew')
        return data


def check_scans(file: IO[bytes], pixels: int) -> None:
    """Raises Unreadable where the scans of a JPEG file would go over more than `MOST_SCANNED` pixels, when decoded.

    Args:
        file: The file; where it stands afterwards is where it stood.
        pixels: Pixels of the image.
    """
    at, scans, last = file.tell(), 0, b''
    file.seek(0)
    while data := file.read(2**20):
        scans += (last + data).count(b'\xff\xda')
        last = data[-1:]
    file.seek(at)
    if scans > MOST_SCANS and scans * pixels > MOST_SCANNED:
        raise Unreadable(
            f'its {pixels} pixels are stored in {scans} scans, and a JPEG file has about ten; save it anew'
        )
