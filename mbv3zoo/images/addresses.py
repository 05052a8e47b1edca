"""Addresses of images, which are not fetched: what to do instead, in a sentence."""

from __future__ import annotations

import os
import re
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from mbv3zoo.images.opening import IMAGE_SUFFIXES
from mbv3zoo.utils.text import one_line, printable, without_password

_SCHEME = re.compile(r'([A-Za-z][A-Za-z0-9+.-]+):(//|(?<=data:))', re.IGNORECASE)
_DRIVE = re.compile(r'[A-Za-z]:[\\/]')
# How files of other places are fetched, by their scheme.
_FETCH = {
    'http': 'curl -LO {}',
    'https': 'curl -LO {}',
    'ftp': 'curl -O {}',
    's3': 'aws s3 cp {} .',
    'gs': 'gcloud storage cp {} .',
    'hf': 'hf download, of huggingface_hub',
}


def check_no_address(source: Any) -> None:
    """Raises ValueError where a text is no path but an address, in a sentence that says what to do instead."""
    if not isinstance(source, (str, os.PathLike)):
        return
    text = os.fspath(source)
    if isinstance(text, bytes) or os.path.exists(text):
        return
    if isinstance(source, os.PathLike):
        # Path('https://host/a.jpg') has lost a slash.
        text = re.sub(r'^([A-Za-z][A-Za-z0-9+.-]+):/(?!/)', r'\1://', text)
    if _DRIVE.match(text) and os.name != 'nt':
        drive, rest = text[0].lower(), text[3:].replace('\\', '/')
        raise ValueError(
            f'there is no file {text!r}, which is a path of Windows, and this is another system; give its path here, '
            f'in WSL /mnt/{drive}/{rest}'
        )
    if match := _SCHEME.match(text):
        raise ValueError(_advice(match.group(1).lower(), text))


def is_image_address(text: str) -> bool:
    """Whether an address says that it is an image's: by its suffix, whatever its query is."""
    match = _SCHEME.match(text)
    return match is not None and (match.group(1).lower() == 'data' or _path(text).suffix.lower() in IMAGE_SUFFIXES)


def _advice(scheme: str, text: str) -> str:
    shown = printable(one_line(without_password(text), 200))
    if scheme == 'data':
        return (
            f'{one_line(shown, 60)} is an image inside an address, which is not read; decode it and pass the image: '
            "PIL.Image.open(io.BytesIO(base64.b64decode(address.partition(',')[2])))"
        )
    if scheme == 'file':
        return f'{shown} is an address, not a path; give the path: {url2pathname(unquote(urlsplit(text).path))}'
    fetch = _FETCH.get(scheme, '').format(f"'{shown}'") or 'any program that can'
    name = printable(PurePosixPath(re.split('[?#]', text)[0]).name) or 'the file'
    return f'{shown} is an address, and images are read from files; fetch it first ({fetch}), then give {name}'


def _path(text: str) -> PurePosixPath:
    try:
        return PurePosixPath(unquote(urlsplit(text).path))
    except ValueError:  # such as half an IPv6 address
        return PurePosixPath()
