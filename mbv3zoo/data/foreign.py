"""Files of labelling tools that are read in none of the formats here: what each is, and what to do instead."""

from __future__ import annotations

from pathlib import Path

from mbv3zoo.images.opening import IMAGE_SUFFIXES
from mbv3zoo.utils.files import find_files

_EXPORT = 'export the labels again as YOLO, COCO or Pascal VOC, and give that'
_ARCHIVES = ('.zip', '.tar', '.gz', '.tgz', '.rar', '.7z')
_BY_SUFFIX = {
    **dict.fromkeys(_ARCHIVES, 'is an archive; unpack it, and give the folder'),
    **dict.fromkeys(sorted(IMAGE_SUFFIXES), 'is a picture; give the folder that holds pictures and labels'),
    **dict.fromkeys(
        ('.csv', '.tsv', '.jsonl', '.tfrecord', '.record', '.xlsx'), f'is a format that is not read; {_EXPORT}'
    ),
}
# What each format has in the first bytes of a file; best first.
_HEAD = 65536
_CVAT = f"is CVAT's own XML; {_EXPORT}"
_LABELME = 'is a file of labelme; convert its folder to COCO, for example with the package labelme2coco, and give that'
_VIA = 'is a project of the VGG Image Annotator; export the annotations as COCO in its menu, and give that'
_MARKS = (
    (('<annotations>',), _CVAT),
    (('<annotation',), 'has the labels of one picture, in Pascal VOC; give the folder that holds all of them'),
    (('"shapes"', '"imagePath"'), _LABELME),
    (('"_via_',), _VIA),
    (('"regions"', '"shape_attributes"'), _VIA),
    (('"regions"', '"filename"', '"size"'), _VIA),
    (('"rectanglelabels"',), f"is Label Studio's own JSON; {_EXPORT}"),
    (('"coordinates"', '"annotations"'), f'is in the format of CreateML; {_EXPORT}'),
)


def foreign_file(path: Path) -> str | None:
    """What a file is that holds no dataset in a format here, and what to do; None if that is not known."""
    known = _BY_SUFFIX.get(path.suffix.lower())
    if known or path.suffix.lower() not in ('.json', '.xml'):
        return known
    with open(path, 'rb') as opened:
        head = opened.read(_HEAD).decode('utf-8', errors='replace')
    return next((what for marks, what in _MARKS if all(mark in head for mark in marks)), None)


def found_in(folder: Path) -> str:
    """What a folder holds that is no dataset, in half a sentence."""
    files = find_files(folder, [*_ARCHIVES, '.json', '.xml', '.csv', '.tfrecord'])
    pictures = len(find_files(folder, IMAGE_SUFFIXES))
    for file in files:
        if what := foreign_file(file):
            return f'{file.relative_to(folder)} in it {what}'
    return f'it has {pictures} pictures without labels' if pictures else 'there are no pictures in it'
