"""Pascal VOC datasets: one XML file of objects per image."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

import torch
from torchvision.ops import box_area

from mbv3zoo.data.records import DetectionSet, LabelProblems, Record, clean_boxes, find_split
from mbv3zoo.images.read import IMAGE_SUFFIXES, read_size

_NAME_FILES = ('classes.txt', 'labels.txt')


def is_voc(folder: Path) -> bool:
    """Whether a folder has the layout of Pascal VOC, or split folders with XML files in them."""
    # By its listing, as macOS ignores case and COCO has a folder `annotations`.
    return any(entry.name == 'Annotations' for entry in folder.iterdir()) or bool(_split_folders(folder))


def load_voc(folder: str | Path, split: str) -> DetectionSet:
    """Reads one split of a Pascal VOC dataset.

    The classes are those of `classes.txt` or `labels.txt` in the folder, one name per line. Without such a file they
    are the names in the annotations of all splits, in alphabetical order, as in VOC itself.

    Objects marked `difficult` become crowd boxes: no training targets, and ignored in evaluation. Coordinates are those
    of the first and last pixel in the box, counted from 1.

    Args:
        folder: A year of VOC (`Annotations/`, `JPEGImages/`, `ImageSets/Main/<split>.txt`), or a folder of split
            folders (`train/`, `valid/`, ...) that hold images and XML files side by side.
        split: 'train', 'val' (also finds 'valid' and 'validation'), ...

    Raises:
        ValueError: The folder, the split or its images are missing, or no class is named.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f'{folder}: no such folder; expected one of a Pascal VOC data set')
    if (folder / 'Annotations').is_dir():
        pictures, xml_files = _by_name(folder / 'JPEGImages'), _by_name(folder / 'Annotations', ['.xml'])
        every_xml = list(xml_files.values())
        # Some lists have a second column; some names have a space in them.
        names = [row if row in xml_files else row.split()[0] for row in _listed(folder, split)]
    else:
        place = _split_folder(folder, split)
        pictures, xml_files = _by_name(place), _by_name(place, ['.xml'])
        names = sorted(pictures.keys() | xml_files.keys())
        every_xml = [path for other in _split_folders(folder) for path in _by_name(other, ['.xml']).values()]

    problems = LabelProblems(folder)
    parsed = {path: _read_xml(path) for path in every_xml}
    found = {each.name for annotation in parsed.values() if not annotation.error for each in annotation.objects}
    classes = _listed_classes(folder) or tuple(sorted(found - {''}))
    if not classes:
        raise ValueError(f'{folder}: no annotation of it names a class')
    index = {name: i for i, name in enumerate(classes)}
    records: list[Record] = []
    for name in names:
        path, picture = xml_files.get(name), pictures.get(name)
        if path is None:
            problems.add(name, 'left out: it has no XML file; a picture without objects needs one without <object>')
        elif parsed[path].error:
            problems.add(f'{path}:{parsed[path].error_line}', f'left out: {parsed[path].error}')
        elif picture is None:
            problems.add(str(path), 'left out: there is no picture of that name')
        else:
            try:
                size = read_size(picture)[::-1]
            except ValueError as error:
                problems.add(str(path), f'left out: {error}')
                continue
            boxes, labels, difficult = _targets(path, parsed[path].objects, size, index, problems)
            records.append(Record(picture, size, boxes, labels, box_area(boxes), difficult, len(records) + 1))
    if not records:
        raise ValueError(
            f'{folder}: split {split!r} has no picture with annotations that can be read; {len(problems.lines)} '
            f'problems, such as {problems.lines[:1]}'
        )
    problems.report()
    return DetectionSet(records, classes, tuple(problems.lines))


@dataclass
class _Object:
    """An <object>: its line, and the texts in it by path, such as 'bndbox/xmin'."""

    line: int
    texts: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.texts.get('name', '')


@dataclass
class _Annotation:
    objects: list[_Object] = field(default_factory=list)
    error: str = ''
    error_line: int = 0


def _targets(
    path: Path, objects: list[_Object], size: tuple[int, int], index: dict[str, int], problems: LabelProblems
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Boxes float32 [N, 4] xyxy pixels, labels int64 [N], difficult bool [N]."""
    rows, labels, difficult, where = [], [], [], []
    for found in objects:
        place = f'{path}:{found.line}'
        corners = [found.texts.get(f'bndbox/{side}') for side in ('xmin', 'ymin', 'xmax', 'ymax')]
        try:
            left, top, right, bottom = [float(corner or '') for corner in corners]
        except ValueError:
            problems.add(place, f'bndbox {corners} is not xmin, ymin, xmax, ymax in numbers; dropped')
            continue
        if found.name not in index:
            problems.add(place, f'class {found.name!r} is not one of {list(index)[:20]}; dropped')
            continue
        rows.append([left - 1, top - 1, right, bottom])
        labels.append(index[found.name])
        difficult.append(found.texts.get('difficult') == '1')
        where.append(place)
    boxes, keep = clean_boxes(torch.tensor(rows, dtype=torch.float32).reshape(-1, 4), size, where, problems)
    return boxes, torch.tensor(labels, dtype=torch.int64)[keep], torch.tensor(difficult, dtype=torch.bool)[keep]


def _read_xml(path: Path) -> _Annotation:
    """Reads the objects of an annotation file with their line numbers, which ElementTree does not give."""
    parser = expat.ParserCreate()
    result = _Annotation()
    open_tags: list[str] = []
    text: list[str] = []

    def start(tag: str, attributes: dict[str, str]) -> None:
        if not open_tags and tag != 'annotation':
            raise ValueError(f'the file holds <{tag}>, not the <annotation> of Pascal VOC')
        open_tags.append(tag)
        text.clear()
        if open_tags == ['annotation', 'object']:
            result.objects.append(_Object(parser.CurrentLineNumber))

    def end(tag: str) -> None:
        if open_tags[1:2] == ['object'] and len(open_tags) > 2:
            result.objects[-1].texts.setdefault('/'.join(open_tags[2:]), ''.join(text).strip())
        open_tags.pop()
        text.clear()

    def refuse_entity(name: str, *_: object) -> None:
        raise ValueError(f'it declares the entity {name!r}, which no annotation needs')

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = text.append
    # Entities may read other files, or expand without limit.
    parser.EntityDeclHandler = refuse_entity
    try:
        parser.Parse(path.read_bytes(), True)
    except expat.ExpatError as error:
        result.error, result.error_line = f'broken XML: {expat.ErrorString(error.code)}', error.lineno
    except (ValueError, LookupError) as error:
        result.error, result.error_line = str(error), parser.CurrentLineNumber
    return result


def _listed(folder: Path, split: str) -> list[str]:
    """The names of images in ImageSets/Main/<split>.txt."""
    main = folder / 'ImageSets' / 'Main'
    # There are also files of one class each, `cat_train.txt`, with a second column.
    known = sorted(path.stem for path in main.glob('*.txt')) if main.is_dir() else []
    key = find_split(split, known)
    if key is None:
        raise ValueError(f'{folder}: has no split {split!r}; {main} lists {[k for k in known if "_" not in k]}')
    rows = (main / f'{key}.txt').read_text(encoding='utf-8').splitlines()
    return [row.strip() for row in rows if row.strip()]


def _split_folders(folder: Path) -> list[Path]:
    places = (place for place in folder.iterdir() if place.is_dir() and not place.name.startswith('.'))
    return sorted(place for place in places if any(place.glob('*.xml')))


def _split_folder(folder: Path, split: str) -> Path:
    known = [place.name for place in _split_folders(folder)]
    key = find_split(split, known)
    if key is None:
        raise ValueError(f'{folder}: has no split {split!r}; folders in it with XML files are {known}')
    return folder / key


def _by_name(folder: Path, suffixes: Iterable[str] = IMAGE_SUFFIXES) -> dict[str, Path]:
    """Files below a folder by their relative path without suffix; hidden ones (macOS metadata) are left out."""
    paths = (p for p in sorted(folder.rglob('*')) if p.suffix.lower() in suffixes and not p.name.startswith('.'))
    return {path.relative_to(folder).with_suffix('').as_posix(): path for path in paths}


def _listed_classes(folder: Path) -> tuple[str, ...]:
    for file in (folder / name for name in _NAME_FILES):
        if file.is_file():
            names = [row.strip() for row in file.read_text(encoding='utf-8').splitlines() if row.strip()]
            if not names or len(set(names)) < len(names):
                raise ValueError(f'{file}: expected names of classes, one a line, each once; given {names[:20]}')
            return tuple(names)
    return ()
