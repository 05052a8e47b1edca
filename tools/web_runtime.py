"""Renews the copy of onnxruntime-web that pages of `mbv3zoo demo` run on, or checks it against the npm package.

    python tools/web_runtime.py 1.30.0 --check
    python tools/web_runtime.py 1.31.0 ThirdPartyNotices.txt

Needs the npm client. LICENSE and ThirdPartyNotices.txt are those of the pip package onnxruntime.
"""

from __future__ import annotations

import argparse
import hashlib
import lzma
import subprocess
import tarfile
import tempfile
from pathlib import Path

from mbv3zoo.demo.runtime import FILES, FOLDER, VERSION


def fetch(version: str) -> dict[str, bytes]:
    """Name -> content of the runtime's files in a version of the npm package."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            ['npm', 'pack', '--silent', f'onnxruntime-web@{version}'], cwd=folder, check=True, capture_output=True
        )
        (archive,) = Path(folder).glob('*.tgz')
        with tarfile.open(archive) as package:
            names = [name for name in FILES if name.startswith('ort')]
            members = {name: package.extractfile(f'package/dist/{name}') for name in names}
            return {name: member.read() for name, member in members.items() if member is not None}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('version', nargs='?', default=VERSION)
    parser.add_argument('notices', nargs='?', type=Path, help='ThirdPartyNotices.txt of the pip package onnxruntime')
    parser.add_argument('--check', action='store_true', help='only compare with the copy')
    arguments = parser.parse_args()
    files = fetch(arguments.version)
    if arguments.check:
        other = [name for name, content in files.items() if hashlib.sha256(content).hexdigest() != FILES[name]]
        raise SystemExit(f'differs from onnxruntime-web {arguments.version}: {", ".join(other)}' if other else 0)
    if arguments.notices is not None:
        files['ThirdPartyNotices.txt'] = arguments.notices.read_bytes()
    print(f'VERSION = {arguments.version!r}')
    for name, content in files.items():
        (FOLDER / f'{name}.xz').write_bytes(lzma.compress(content, preset=9 | lzma.PRESET_EXTREME))
        print(f'    {name!r}: {hashlib.sha256(content).hexdigest()!r},')


if __name__ == '__main__':
    main()
