"""Runs the notebooks of examples/ and keeps what they show.

    python tools/notebooks.py                              # all of them
    python tools/notebooks.py examples/your_photos.ipynb

Each runs in a new kernel of this Python, in an empty folder. Outputs are kept in the notebook: people read them on
GitHub. Progress bars are left out, and pictures become JPEGs, so that a notebook stays under 300 KB. The code that they
are of is kept too, as a hash: tests/test_examples.py fails where a notebook was edited and not run again.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import io
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import nbformat
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from PIL import Image

TOP = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((TOP / 'examples').glob('*.ipynb'))
# Key of a notebook's metadata: the hash of the code that its outputs are of.
OUTPUTS_OF = 'outputs_of'
_SECONDS, _MOST_SIDE, _QUALITY = 600, 800, 75


class ThisPython(KernelSpecManager):
    """Every kernel is this Python, whatever kernels are installed for the user."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        command = [sys.executable, '-m', 'ipykernel_launcher', '-f', '{connection_file}']
        command += ['--HistoryManager.enabled=False', '--log-level=ERROR']
        return KernelSpec(argv=command, display_name='Python 3', language='python')


def run_notebook(
    path: Path,
    folder: Path,
    settings: Mapping[str, Any] | None = None,
    env: Mapping[str, str] | None = None,
    leave_out: str = '',
) -> nbformat.NotebookNode:
    """Runs a notebook in a new kernel.

    Args:
        path: The notebook; it is left as it is.
        folder: Its working folder.
        settings: Values of names that its cell tagged 'parameters' sets, in place of those there.
        env: Set for the kernel, on top of the environment.
        leave_out: Cells with this tag do not run.

    Returns:
        The notebook with its outputs.

    Raises:
        nbclient.exceptions.CellExecutionError: A cell failed.
    """
    notebook = nbformat.read(path, as_version=4)
    notebook.cells = [cell for cell in notebook.cells if leave_out not in cell.metadata.get('tags', ())]
    for cell in notebook.cells:
        if 'parameters' in cell.metadata.get('tags', ()):
            cell.source += ''.join(f'\n{name} = {value!r}' for name, value in (settings or {}).items())
    with TemporaryDirectory() as home, _environment(Path(home), env or {}):
        manager = AsyncKernelManager(kernel_spec_manager=ThisPython(), connection_file=str(Path(home) / 'kernel.json'))
        client = NotebookClient(
            notebook, km=manager, timeout=_SECONDS, resources={'metadata': {'path': str(folder)}}, record_timing=False
        )
        # A kernel of a manager that was given would be left running.
        return client.execute(cleanup_kc=True)


@contextmanager
def _environment(home: Path, env: Mapping[str, str]) -> Iterator[None]:
    """Where Jupyter and IPython keep files: in a folder of their own, not in the user's."""
    own = {'JUPYTER_RUNTIME_DIR': 'runtime', 'JUPYTER_CONFIG_DIR': 'config', 'JUPYTER_DATA_DIR': 'data'}
    own |= {'IPYTHONDIR': 'ipython'}
    paths = os.pathsep.join(filter(None, [str(TOP), os.environ.get('PYTHONPATH', '')]))
    given = {'PYTHONPATH': paths, 'OMP_NUM_THREADS': '1', 'PYDEVD_DISABLE_FILE_VALIDATION': '1', **env}
    with patch.dict(os.environ, {**{name: str(home / part) for name, part in own.items()}, **given}):
        yield


def code_hash(notebook: nbformat.NotebookNode) -> str:
    """A hash of all code cells."""
    code = '\0'.join(cell.source for cell in notebook.cells if cell.cell_type == 'code')
    return hashlib.sha256(code.encode()).hexdigest()[:16]


def keep_outputs(path: Path, ran: nbformat.NotebookNode) -> None:
    """Writes the outputs of a run into a notebook."""
    for cell in ran.cells:
        if cell.cell_type == 'code':
            cell.metadata.pop('execution', None)
            cell.outputs = [_small(output) for output in cell.outputs if output.get('name') != 'stderr']
    ran.metadata = {
        'kernelspec': {'display_name': 'Python 3', 'language': 'python', 'name': 'python3'},
        'language_info': {'name': 'python'},
        OUTPUTS_OF: code_hash(ran),
    }
    nbformat.write(ran, path)


def _small(output: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """An output whose PNG is a smaller JPEG."""
    if 'image/png' in output.get('data', {}):
        picture = Image.open(io.BytesIO(base64.b64decode(output.data.pop('image/png')))).convert('RGBA')
        picture = Image.alpha_composite(Image.new('RGBA', picture.size, 'white'), picture).convert('RGB')
        picture.thumbnail((_MOST_SIDE, _MOST_SIDE))
        content = io.BytesIO()
        picture.save(content, 'JPEG', quality=_QUALITY, optimize=True)
        output.data['image/jpeg'] = base64.b64encode(content.getvalue()).decode()
    return output


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('notebooks', nargs='*', type=Path, default=NOTEBOOKS)
    for path in parser.parse_args().notebooks:
        with TemporaryDirectory() as folder:
            keep_outputs(path, run_notebook(path, Path(folder), env={'HF_HUB_OFFLINE': '1'}))
        print(f'{path.name}: {path.stat().st_size / 1000:.0f} KB')


if __name__ == '__main__':
    main()
