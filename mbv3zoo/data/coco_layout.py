"""Which of a folder's files is the COCO file of a split."""

from __future__ import annotations

import re
from pathlib import Path

from mbv3zoo.data.detection_set import SPLIT_NAMES, VALIDATION_NAMES

# Roboflow's, in the folder of each split.
IN_SPLIT = '_annotations.coco.json'
# COCO's own layout first.
_PLACES = ('[aA]nnotations/*.json', '*.json', '*/*.json')
# COCO's files without boxes.
_OTHER_TASKS = ('captions_', 'image_info_', 'panoptic_', 'stuff_')
# Label Studio's, beside YOLO's labels.
NOTES = 'notes.json'


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
        files = _files(folder, place)
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


def coco_splits(folder: Path) -> list[str]:
    """The splits that `find_coco` finds in a folder."""
    names = [split_of(file.stem) for place in _PLACES for file in _files(folder, place)]
    return list(dict.fromkeys(name for name in names if name in SPLIT_NAMES))


def only_coco(folder: Path) -> Path | None:
    """The one JSON file of a folder or of `annotations` in it, whatever it is called; None if there are several."""
    if (folder / IN_SPLIT).is_file():
        return folder / IN_SPLIT
    for place in _PLACES[:2]:
        files = [file for file in _files(folder, place) if file.name != NOTES]
        if files:
            return files[0] if len(files) == 1 else None
    return None


def _files(folder: Path, place: str) -> list[Path]:
    files = sorted(folder.glob(place))
    return [file for file in files if not file.name.startswith((*_OTHER_TASKS, '.', '_'))]


def _rank(stem: str, split: str) -> int:
    """How well a name fits a split, best first: as it is, as COCO calls it, without and with another prefix."""
    fits = stem == split, stem.startswith('instances_'), '_' not in stem
    return fits.index(True) if any(fits) else len(fits)
