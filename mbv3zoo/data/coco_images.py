"""Where the images of a COCO file are."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PureWindowsPath
from urllib.parse import unquote

from mbv3zoo.data.coco_layout import split_of
from mbv3zoo.data.files import FileLookup
from mbv3zoo.utils.text import one_line

# Images that are looked for in each place, evenly chosen.
_SAMPLE = 50


def find_images(path: Path, names: Mapping[int | str, str], images: str | Path | None) -> dict[int | str, str]:
    """The file of each image, which may not exist.

    Of the usual places, the one that has most of the images is taken: for `annotations/instances_train2017.json` these
    are `images/train2017`, `train2017`, other folders called for the same split, `images`, and the folders that hold
    `annotations` and the file itself.

    Args:
        path: The annotation file.
        names: `file_name` of each image, by its id: relative to the folder of images, with any slashes. One that is
            absolute, leads upwards or is an address, and is not there, is looked for by its last part.
        images: The folder of images; None looks in the usual places.

    Raises:
        ValueError: None of the usual places has one of the images.
    """
    lookup = FileLookup()
    places = [Path(images)] if images else list(dict.fromkeys(_usual_places(path)))
    place: Path | None = places[0]
    if not images:
        every = list(names.values())
        sample = every[:: max(1, len(every) // _SAMPLE)]
        place = _fullest(places, sample, lookup) or _fullest(places, every, lookup)
        if place is None:
            known = [str(own) for own in places if os.path.isdir(own)]
            raise ValueError(
                f'{path}: {one_line(every[0], 80)} is in none of {known}; name the folder of its '
                'pictures (--images, or for --val-data --val-images)'
            )
    assert place is not None
    return {own_id: _find(str(place), name, lookup) or os.path.join(place, name) for own_id, name in names.items()}


def _fullest(places: Iterable[Path], names: Iterable[str], lookup: FileLookup) -> Path | None:
    """The first of the places with the most of the images; None if there are none."""
    counts = {place: sum(_find(str(place), name, lookup) is not None for name in names) for place in places}
    best = max(counts, key=lambda place: counts[place])
    return best if counts[best] else None


def _find(place: str, name: str, lookup: FileLookup) -> str | None:
    if found := lookup.find_text(os.path.join(place, name)):
        return found
    slashed = name.strip().replace('\\', '/')
    forms = [slashed]
    if slashed.startswith(('/', '../')) or '://' in slashed or PureWindowsPath(slashed).drive:
        # Of addresses, as Label Studio's `/data/local-files/?d=a%20b.jpg`.
        last = slashed.rpartition('/')[2].removeprefix('?d=')
        forms += [last, unquote(last)]
    return next(filter(None, (lookup.find_text(os.path.join(place, form)) for form in dict.fromkeys(forms))), None)


def _usual_places(path: Path) -> Iterator[Path]:
    # Beside the file, or beside its folder; the file may be a link to another place.
    files = [Path(os.path.abspath(path)), path.resolve()]
    roots = list(dict.fromkeys(root for file in files for root in (file.parent, file.parent.parent)))
    parts = path.stem.split('_')
    # instances_train2017, then train2017.
    names = ['_'.join(parts[i:]) for i in range(len(parts))]
    for root in roots:
        for name in names:
            yield root / 'images' / name
            yield root / name
    for root in roots:
        for folder in (root / 'images', root):
            yield from _folders(folder, split_of(path.stem))
    for root in roots:
        yield root / 'images'
        yield root


def _folders(folder: Path, split: str) -> list[Path]:
    """The folders in a folder that are called for a split."""
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return []
    return [folder / name for name in names if split and split_of(name) == split and os.path.isdir(folder / name)]
