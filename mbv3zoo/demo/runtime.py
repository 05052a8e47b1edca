"""onnxruntime-web, which runs the model in the browser: a copy travels with the package.

So a page can be written with neither network nor Node.js, and has the version that it was tested with. The files are
those of the npm package onnxruntime-web (its CPU build), compressed; `tools/web_runtime.py` renews them.
"""

from __future__ import annotations

import hashlib
import lzma
from pathlib import Path

VERSION = '1.30.0'
# Name -> SHA-256 of the file.
FILES = {
    'ort.wasm.min.mjs': '219e6a1fc8a9938268d18efca3c91d310bd2f4a59bbd13744df5b2b7fc6cee3b',
    'ort-wasm-simd-threaded.mjs': 'e13f7f94fc51b4ca72b12faeb1ee95f4ace6dfbc8939bc718aabdc0a27c4299b',
    'ort-wasm-simd-threaded.wasm': '3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2',
    'LICENSE': '2f07c72751aed99790b8a4869cf2311df85a860b22ded05fa22803587a48922c',
    'ThirdPartyNotices.txt': 'd8696258afcf9df7827a5e01d6b6d55ee9b461b4e82020f5f48242deb9cc2270',
}
FOLDER = Path(__file__).parent / 'onnxruntime_web'


def read_runtime() -> dict[str, bytes]:
    """The runtime's files: name -> content.

    Raises:
        ValueError: The installed package is damaged.

    Example:
        >>> from mbv3zoo.demo.runtime import read_runtime
        >>> list(read_runtime())[:2]
        ['ort.wasm.min.mjs', 'ort-wasm-simd-threaded.mjs']
    """
    return {name: _read(name, digest) for name, digest in FILES.items()}


def _read(name: str, digest: str) -> bytes:
    compressed = name != 'LICENSE'  # which people read here
    path = FOLDER / (f'{name}.xz' if compressed else name)
    try:
        content = lzma.decompress(path.read_bytes()) if compressed else path.read_bytes()
    except (OSError, lzma.LZMAError) as error:
        raise ValueError(f'{path} cannot be read ({error}); install mbv3zoo anew') from error
    if hashlib.sha256(content).hexdigest() != digest:
        raise ValueError(f'{path} is not the file that it was released with; install mbv3zoo anew')
    return content
