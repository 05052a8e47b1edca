"""Whether a name is a timm model's, told without importing timm where it cannot be one."""

from __future__ import annotations

import re
import sys
from importlib.util import find_spec
from pathlib import Path

_OURS = Path(__file__).parents[1] / 'backbones'


def is_timm_name(name: str) -> bool:
    """Whether timm has a model of this name, with or without a tag.

    timm takes seconds to import, and torch with it. So where it has not been imported, its source is searched first: a
    name that is defined nowhere in it is no model's.

    Args:
        name: Any text, such as 'resnet18' or the path of a folder.
    """
    if 'timm' not in sys.modules and not _may_be_model(name.partition('.')[0]):
        return False
    from timm.models import is_model

    return is_model(name)


def may_be_own_tag(tag: str) -> bool:
    """Whether one of this package's backbones may have weights of a tag, told without importing timm."""
    ending = f"{tag}'".encode()
    return any(ending in file.read_bytes() for file in _OURS.glob('*.py'))


def _may_be_model(name: str) -> bool:
    if not re.fullmatch(r'\w+', name, re.ASCII):
        return False
    # A model is a function, or an old name in a table.
    wanted = [text.encode() for text in (f'def {name}(', f"'{name}':", f'"{name}":')]
    spec = find_spec('timm')
    timms = [Path(place, 'models') for place in (spec and spec.submodule_search_locations) or ()]
    # Ours are registered with timm when it is imported.
    sources = (file.read_bytes() for folder in (_OURS, *timms) for file in folder.glob('*.py'))
    return not timms or any(text in source for source in sources for text in wanted)
