"""Which of a folder's files is the COCO file of a split."""

from __future__ import annotations

import re
from pathlib import Path

from mbv3zoo.data.records import VALIDATION_NAMES

# COCO's own layout first.
_PLACES = ('[aA]nnotations/*.json', '*.json', '*/*.json')
# COCO's files without boxes.
_OTHER_TASKS = ('captions_', 'image_info_', 'panoptic_', 'stuff_')


def is_coco(source: str | Path) -> bool:
    """Whether a dataset is named by a COCO file, which is one split."""
    return Path(source).suffix.lower() == '.json'


def split_of(stem: str) -> str:
    """The split that a file or folder is called for: 'train' of 'instances_train2017', 'val' also of 'valid'."""
    name = re.sub(r'[-_.]?\d+$', '', stem.lower()).rpartition('_')[2]
    return 'val' if name in VALIDATION_NAMES else name


def find_coco(folder: Path, split: str) -> Path | None:
    """The COCO file of a split: `annotations/instances_train2017.json`, `annotations/train.json`, `train.json`, ...

    Raises:
        ValueError: There are several, or `annotations` has COCO files, but none of this split.
    """
    for place in _PLACES:
        files = sorted(folder.glob(place))
        files = [file for file in files if not file.name.startswith((*_OTHER_TASKS, '.', '_'))]
        own = [file for file in files if split_of(file.stem) == split_of(split)]
        if own:
            ranks = [_rank(file.stem, split) for file in own]
            best = [file for file, rank in zip(own, ranks, strict=True) if rank == min(ranks)]
            if len(best) > 1:
                names = [file.relative_to(folder).as_posix() for file in best]
                raise ValueError(f'{folder}: {names} are all of split {split!r}; name one of them as the data set')
            return best[0]
        if files and place == _PLACES[0]:
            raise ValueError(
                f'{folder}: has no split {split!r}; its COCO files are of {sorted({split_of(f.stem) for f in files})}'
            )
    return None


def _rank(stem: str, split: str) -> int:
    """How well a name fits a split, best first: as it is, as COCO calls it, without and with another prefix."""
    fits = stem == split, stem.startswith('instances_'), '_' not in stem
    return fits.index(True) if any(fits) else len(fits)
