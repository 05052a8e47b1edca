"""Reads one image, from a file or from memory, as upright 8-bit pixels."""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import ExifTags, Image
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile

from mbv3zoo.images.bounded_file import BoundedFile, Unreadable, check_scans
from mbv3zoo.images.opening import open_image, orientation_of, reason
from mbv3zoo.utils.sizes import MAX_PIXELS
from mbv3zoo.utils.tensors import is_tensor

if TYPE_CHECKING:
    import torch

_16_BIT_MODES = ('I', 'I;16', 'I;16B', 'I;16L', 'I;16N')
# How stored pixels become upright, for each EXIF orientation. Not ImageOps.exif_transpose: it also writes the
# EXIF block anew, which fails, and loses a good image, where some unrelated tag is damaged.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Orientations that exchange width and height.
SIDEWAYS = frozenset([5, 6, 7, 8])
# Resizing may leave float images very slightly outside 0..1; values beyond this are of another range.
_FLOAT_SLACK = 1e-3


def read_image(
    source: Any, channels: int = 3, at_least: tuple[int, int] | None = None, max_pixels: int = MAX_PIXELS
) -> np.ndarray:
    """Reads one image as upright 8-bit pixels.

    EXIF orientation is applied, transparency is composited over white (as a page shows it), 16-bit values
    are divided by 257 and rounded (65535 becomes 255), an animation gives its first frame.

    Args:
        source: one of

            * a path, `str` or `os.PathLike`;
            * a `PIL.Image.Image` of any mode but `F`; it is not changed;
            * a numpy array, uint8 or uint16, grey `[H, W]` or `[H, W, 1]`, RGB `[H, W, 3]`
              or RGBA `[H, W, 4]`;
            * a torch tensor, uint8 (0..255) or float (0..1), grey `[1, H, W]`, RGB `[3, H, W]` or
              RGBA `[4, H, W]`, on any device.
        channels: 3 for RGB, 1 for luminance (ITU-R 601-2). With any other number only arrays and tensors
            of exactly that many channels are taken, and their values are passed on as they are.
        at_least: (height, width) in pixels that will do: a JPEG file that is at least twice, four or eight times as
            large is decoded at that fraction of its size (rounded down), which takes a fraction of the time.
        max_pixels: most pixels (width x height) of a file, which its header says. Images in memory may have more.

    Returns:
        uint8 array `[H, W, channels]`, contiguous, writable, sharing no memory with `source`.

    Raises:
        ValueError: if there is no such file, it is not an image, it is truncated or has more than `max_pixels`, or an
            in-memory image has a shape, type or range that is not listed above. A file is named.
    """
    if isinstance(source, (str, os.PathLike)):
        _check_has_colours(f'image file {os.fspath(source)!r}', channels)
        image = _file_to_rgb(source, at_least, max_pixels)
    elif isinstance(source, Image.Image):
        name = f'{source.mode} PIL image of {source.width} x {source.height} pixels'
        _check_has_colours(name, channels)
        try:
            image = pil_to_rgb(source)
        except Exception as error:
            raise ValueError(f'cannot read {name}: {reason(error)}') from error
    elif isinstance(source, np.ndarray) or is_tensor(source):
        pixels = _tensor_to_array(source) if is_tensor(source) else _array_to_8_bit(source)
        if channels not in (1, 3):
            if pixels.shape[2] != channels:
                raise ValueError(
                    f'cannot read {_describe(source)}: it has {pixels.shape[2]} channels, {channels} were expected'
                )
            return np.array(pixels, order='C')
        image = _array_to_rgb(pixels, source)
    else:
        raise ValueError(
            f'cannot read an image from {type(source).__name__}; expected a path, a PIL image, '
            'a numpy array [H, W, C] or a torch tensor [C, H, W]'
        )
    if channels == 1:
        return np.array(image.convert('L'))[:, :, None]
    return np.array(image)


def read_size(path: str | os.PathLike, max_pixels: int = MAX_PIXELS) -> tuple[int, int]:
    """Returns the (width, height) in pixels that `read_image(path)` will have, decoding no pixels.

    Args:
        path: An image file.
        max_pixels: As for `read_image`.

    Raises:
        ValueError: if there is no such file, it is not an image, or it has more than `max_pixels`. A file whose header
            is whole but whose pixels are truncated still has a size.
    """
    return upright_size(*read_stored_size(path, max_pixels))


def upright_size(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    """The (width, height) that an image has when it is turned by an EXIF orientation."""
    return size[::-1] if orientation in SIDEWAYS else size


def read_stored_size(path: str | os.PathLike, max_pixels: int = MAX_PIXELS) -> tuple[tuple[int, int], int]:
    """Returns the (width, height) of an image file as it is stored, and its EXIF orientation, 1..8.

    Raises:
        ValueError: as `read_size`.
    """
    with open_image(path, max_pixels) as image:
        if isinstance(image, PngImageFile) and 'exif' not in image.info and _png_has_exif(path, max_pixels):
            image.load()
        width, height = image.size
        if isinstance(image, TiffImageFile):
            # PIL turns TIFF by itself, and not every version turns `size` before loading.
            width, height = image.tag_v2[ExifTags.Base.ImageWidth], image.tag_v2[ExifTags.Base.ImageLength]
        return (width, height), orientation_of(image)


def _check_has_colours(name: str, channels: int) -> None:
    if channels not in (1, 3):
        raise ValueError(
            f'cannot read {name} with {channels} channels; files and PIL images give 1 or 3, '
            f'pass an array [H, W, {channels}] or a tensor [{channels}, H, W]'
        )


def _file_to_rgb(path: str | os.PathLike, at_least: tuple[int, int] | None, max_pixels: int) -> Image.Image:
    with open_image(path, max_pixels) as image:
        if isinstance(image, JpegImageFile):
            assert image.fp is not None
            check_scans(image.fp, image.width * image.height)
        covered = None
        # Phones write MPO, which is JPEG with more images behind the first one.
        if at_least is not None and isinstance(image, JpegImageFile):
            height, width = at_least[::-1] if orientation_of(image) in SIDEWAYS else at_least
            drafted = image.draft(None, (width, height))
            covered = drafted and drafted[1]
        return pil_to_rgb(image, covered)


def _png_has_exif(path: str | os.PathLike, max_pixels: int) -> bool:
    """Whether a PNG holds an EXIF chunk anywhere; some writers put it behind the pixels."""
    with BoundedFile(path, max_pixels) as file:
        file.seek(8)
        while len(head := file.read(8)) == 8:
            length, kind = struct.unpack('>I4s', head)
            if kind == b'eXIf':
                return True
            if kind == b'IEND':
                return False
            file.seek(length + 4, os.SEEK_CUR)
    return False


def pil_to_rgb(image: Image.Image, covered: tuple[float, float, float, float] | None = None) -> Image.Image:
    """`covered` is the part (left, top, right, bottom) of the decoded pixels that the image covers; None for all."""
    if image.mode == 'F':
        raise Unreadable(
            'it holds 32-bit floats (mode F) of unknown range; scale it to 0..255 and convert it to 8 bit first'
        )
    image.load()
    if covered and covered[2:] != image.size:
        # Half of 1001 pixels are decoded to 501, so that all would lie up to one pixel too far left.
        whole = (int(covered[2]), int(covered[3]))
        image = image.resize(whole, Image.Resampling.BILINEAR, box=covered)
    turn = _TURNS.get(orientation_of(image))
    if turn is not None:
        image = image.transpose(turn)
    if image.mode in _16_BIT_MODES:
        return _grey_16_bit_to_rgb(np.asarray(image))
    if image.mode == 'La':
        image = image.convert('LA')
    if image.mode in ('LA', 'PA', 'RGBA', 'RGBa') or 'transparency' in image.info:
        return _over_white(image.convert('RGBA'))
    return image.convert('RGB')


def _over_white(image: Image.Image) -> Image.Image:
    white = Image.new('RGBA', image.size, (255, 255, 255, 255))
    return Image.alpha_composite(white, image).convert('RGB')


def _grey_16_bit_to_rgb(pixels: np.ndarray) -> Image.Image:
    # Mode I holds 32 bit, but the files that open as it (PNG, PGM) carry 16.
    if pixels.min() < 0 or pixels.max() > 65535:
        raise Unreadable(f'its values {pixels.min()}..{pixels.max()} are outside 16 bit (0..65535)')
    return Image.fromarray(_from_16_bit(pixels)).convert('RGB')


def _from_16_bit(pixels: np.ndarray) -> np.ndarray:
    return ((pixels.astype(np.int32) + 128) // 257).astype(np.uint8)


def _array_to_8_bit(array: np.ndarray) -> np.ndarray:
    """uint8 [H, W, C] of a numpy image."""
    if np.issubdtype(array.dtype, np.floating):
        raise ValueError(
            f'cannot read {_describe(array)}: float arrays have no agreed range; pass uint8, '
            'for values in 0..1 multiply by 255 first: (array * 255).round().astype(numpy.uint8)'
        )
    if array.dtype not in (np.uint8, np.uint16):
        raise ValueError(f'cannot read {_describe(array)}: expected uint8 (0..255) or uint16 (0..65535)')
    if array.ndim not in (2, 3):
        raise ValueError(f'cannot read {_describe(array)}: expected one image [H, W] or [H, W, C]')
    if 0 in array.shape:
        raise ValueError(f'cannot read {_describe(array)}: it has no pixels')
    if array.ndim == 2:
        array = array[:, :, None]
    return _from_16_bit(array) if array.dtype == np.uint16 else array


def _tensor_to_array(tensor: torch.Tensor) -> np.ndarray:
    """uint8 [H, W, C] of a torch image [C, H, W]."""
    if tensor.ndim != 3:
        raise ValueError(f'cannot read {_describe(tensor)}: expected one image [C, H, W]')
    if tensor.numel() == 0:
        raise ValueError(f'cannot read {_describe(tensor)}: it has no pixels')
    tensor = tensor.detach().cpu()
    if tensor.is_floating_point():
        tensor = tensor.float()
        low, high = tensor.min().item(), tensor.max().item()
        # Written so that NaN fails it too.
        if not (low >= -_FLOAT_SLACK and high <= 1 + _FLOAT_SLACK):
            raise ValueError(
                f'cannot read {_describe(tensor)}: its values {low:g}..{high:g} are outside 0..1; '
                'pass raw pixels, not normalised ones, as uint8 or divided by 255'
            )
        tensor = (tensor.clamp(0, 1) * 255).round().byte()
    elif str(tensor.dtype) != 'torch.uint8':
        raise ValueError(f'cannot read {_describe(tensor)}: expected uint8 (0..255) or float (0..1)')
    return tensor.permute(1, 2, 0).numpy()


def _array_to_rgb(pixels: np.ndarray, source: np.ndarray | torch.Tensor) -> Image.Image:
    channels = pixels.shape[2]
    if channels not in (1, 3, 4):
        layout = '[C, H, W]' if is_tensor(source) else '[H, W, C]'
        raise ValueError(
            f'cannot read {_describe(source)}: expected 1, 3 or 4 channels laid out {layout}, got {channels}'
        )
    pixels = np.ascontiguousarray(pixels)
    if channels == 4:
        return _over_white(Image.fromarray(pixels))
    return Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels).convert('RGB')


def _describe(image: np.ndarray | torch.Tensor) -> str:
    kind = 'tensor' if is_tensor(image) else 'array'
    return f'{kind} of shape {tuple(image.shape)} and type {image.dtype}'
