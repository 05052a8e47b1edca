"""The installed timm still has each private name that is used, and all of them are imported in one file."""

import ast
import importlib
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / 'mbv3zoo'
ADAPTER = PACKAGE / 'backbones' / 'timm_private.py'


def imported_from_timm(path: Path) -> list[tuple[str, str]]:
    """(module, name) of what a file imports from timm, functions included."""
    tree = ast.parse(path.read_text(encoding='utf-8'))
    found = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    names = [(node.module or '', alias.name) for node in found for alias in node.names]
    names += [(alias.name, '') for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    return [(module, name) for module, name in names if module.split('.')[0] == 'timm']


def private(module: str, name: str) -> bool:
    return any(part.startswith('_') for part in [*module.split('.'), name])


@pytest.mark.parametrize(('module', 'name'), imported_from_timm(ADAPTER))
def test_timm_has_each_private_name(module, name):
    assert private(module, name)
    assert hasattr(importlib.import_module(module), name)


def test_no_other_file_reaches_into_timm():
    reaching = {
        str(path.relative_to(PACKAGE)): names
        for path in PACKAGE.rglob('*.py')
        if (names := [found for found in imported_from_timm(path) if private(*found)])
    }
    assert list(reaching) == ['backbones/timm_private.py']
