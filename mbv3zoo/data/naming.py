"""What a dataset is called, in cards and licence records."""

from __future__ import annotations

import os
import re
from pathlib import Path

from mbv3zoo.data.detection_set import SPLIT_NAMES
from mbv3zoo.data.hub_dataset import PREFIX
from mbv3zoo.utils.text import printable

# What tools call files and folders of any dataset: their own folder's name says more.
_SPLITS = '|'.join(SPLIT_NAMES)
_ANY_FILE = re.compile(
    rf'(data|dataset|obj|classes|labels?|names|labelmap|notes|result|_?annotations?([-_.]coco)?|default|'
    rf'(instances|annotations)[-_]\w+|labels_my-project-name.*|({_SPLITS})[-_]?\d*)',
    re.IGNORECASE,
)
_ANY_FOLDER = re.compile(rf'(annotations|images|labels|({_SPLITS})[-_]?\d*)', re.IGNORECASE)


def dataset_name(source: str | Path) -> str:
    """The name of a dataset: that of its folder, or of a file that has one of its own.

    Args:
        source: As of `mbv3zoo.load_dataset`.
    """
    text = str(source)
    if text.startswith(PREFIX) and not os.path.isdir(Path(text.removeprefix(PREFIX)).expanduser()):
        return text.removeprefix(PREFIX)
    path = Path(os.path.abspath(Path(text.removeprefix(PREFIX)).expanduser()))
    if os.path.isdir(path):
        places = [path, *path.parents]
    else:
        own, places = path.stem, list(path.parents)
        if not _ANY_FILE.fullmatch(own):
            return printable(own)
    name = next((place.name for place in places if place.name and not _ANY_FOLDER.fullmatch(place.name)), path.name)
    return printable(name)
