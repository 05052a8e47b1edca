"""Pascal VOC datasets: one XML file of objects per image."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from unicodedata import normalize

from mbv3zoo.data.files import files_by_stem
from mbv3zoo.data.label_values import is_class_name, read_list
from mbv3zoo.data.pixel_labels import PixelLabel, PixelLabels
from mbv3zoo.data.records import DetectionSet, LabelProblems, find_split
from mbv3zoo.data.voc_xml import VocAnnotation, read_xml
from mbv3zoo.images.opening import IMAGE_SUFFIXES
from mbv3zoo.utils.sizes import MAX_PIXELS
from mbv3zoo.utils.text import shown

_NAME_FILES = ('classes.txt', 'labels.txt')
_XML = frozenset(['.xml'])
# By their relative path without suffix.
_Files = dict[str, list[Path]]


def is_voc(folder: Path) -> bool:
    """Whether a folder has the layout of Pascal VOC, or split folders with XML files in them."""
    # By its listing, as macOS ignores case and COCO has a folder `annotations`.
    return any(entry.name == 'Annotations' for entry in folder.iterdir()) or bool(_split_folders(folder))


def load_voc(folder: str | Path, split: str, max_pixels: int = MAX_PIXELS) -> DetectionSet:
    """Reads one split of a Pascal VOC dataset.

    The classes are those of `classes.txt` or `labels.txt` in the folder, one name per line. Without such a file they
    are the names in the annotations of all splits, in alphabetical order, as in VOC itself.

    Objects marked `difficult` become crowd boxes: no training targets, and ignored in evaluation. Coordinates are those
    of the first and last pixel in the box, counted from 1. Where `<size>` is not that of the image, its boxes are
    scaled if the ratio is one number, or turned if the image was labelled as stored, without its EXIF orientation; else
    it is left out.

    Args:
        folder: A year of VOC (`Annotations/`, `JPEGImages/`, `ImageSets/Main/<split>.txt`), or a folder of split
            folders (`train/`, `valid/`, ...) that hold images and XML files side by side.
        split: 'train', 'val' (also finds 'valid' and 'validation'), ...
        max_pixels: Most pixels of an image, as for `mbv3zoo.load_dataset`.

    Raises:
        ValueError: The folder, the split or its images are missing, no class is named, or the boxes are not in pixels.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f'{folder}: no such folder; expected one of a Pascal VOC data set')
    pictures, xml_files, names, every_xml = _files(folder, split)
    problems = LabelProblems(folder)
    parsed = {path: read_xml(path) for path in every_xml}
    found = {each.name for annotation in parsed.values() if not annotation.error for each in annotation.objects}
    classes = _listed_classes(folder) or tuple(sorted(filter(is_class_name, found)))
    if not classes:
        raise ValueError(f'{folder}: no annotation of it names a class')
    index = {name: i for i, name in enumerate(classes)}
    reader = PixelLabels(folder, problems, crowd_name='difficult', max_pixels=max_pixels)
    for name in dict.fromkeys(names):
        if name not in xml_files:
            problems.add(name, 'left out: it has no XML file; a picture without objects needs one without <object>')
            continue
        path = xml_files[name][0]
        annotation = parsed[path]
        if annotation.error:
            problems.add(f'{path}:{annotation.error_line}', f'left out: {annotation.error}')
        elif name not in pictures:
            problems.add(str(path), 'left out: there is no picture of that name')
        else:
            picture = _picture(path, pictures[name], annotation.texts.get('filename', ''), problems)
            stated = annotation.texts.get('size/width'), annotation.texts.get('size/height')
            reader.add(picture, _labels(path, annotation, index, problems), str(path), stated)
    records = reader.finish(holds_xywh=False)
    if not records:
        raise ValueError(
            f'{folder}: split {split!r} has no picture with annotations that can be read; {len(problems.lines)} '
            f'problems, such as {problems.lines[:1]}'
        )
    problems.report()
    return DetectionSet(records, classes, tuple(problems.lines))


def _files(folder: Path, split: str) -> tuple[_Files, _Files, list[str], list[Path]]:
    """Images and XML files by name, the names of a split, and the XML files of all splits."""
    if (folder / 'Annotations').is_dir():
        pictures, xml_files = _by_name(folder / 'JPEGImages', IMAGE_SUFFIXES), _by_name(folder / 'Annotations', _XML)
        every_xml = [path for paths in xml_files.values() for path in paths]
        return pictures, xml_files, [_stem(row, xml_files) for row in _listed(folder, split)], every_xml
    place = _split_folder(folder, split)
    pictures, xml_files = _by_name(place, IMAGE_SUFFIXES), _by_name(place, _XML)
    every_xml = [path for other in _split_folders(folder) for paths in _by_name(other, _XML).values() for path in paths]
    return pictures, xml_files, sorted(pictures.keys() | xml_files.keys()), every_xml


def _labels(path: Path, annotation: VocAnnotation, index: dict[str, int], problems: LabelProblems) -> list[PixelLabel]:
    """The objects of an image; what is no object is added to `problems`."""
    labels = []
    for found in annotation.objects:
        place = f'{path}:{found.line}'
        corners = [found.texts.get(f'bndbox/{side}') for side in ('xmin', 'ymin', 'xmax', 'ymax')]
        try:
            left, top, right, bottom = [float(corner or '') for corner in corners]
        except ValueError:
            problems.add(place, f'bndbox {shown(corners)} is not xmin, ymin, xmax, ymax in numbers; dropped')
            continue
        if found.name not in index:
            problems.add(place, f'class {shown(found.name)} is not one of {list(index)[:20]}; dropped')
            continue
        box = (left - 1, top - 1, right, bottom)
        written = (left, top, right, bottom)
        labels.append(PixelLabel(place, written, box, index[found.name], crowd=found.texts.get('difficult')))
    return labels


def _picture(path: Path, pictures: list[Path], named: str, problems: LabelProblems) -> Path:
    """The image of an annotation file: of several that differ in their suffix only, the one that it names."""
    if len(pictures) == 1:
        return pictures[0]
    chosen = next((picture for picture in pictures if picture.name == named), pictures[0])
    problems.add(str(path), f'there are {" and ".join(picture.name for picture in pictures)}; {chosen.name} is taken')
    return chosen


def _stem(row: str, known: Collection[str]) -> str:
    """The name in a row of a list. Some lists have a second column or suffixes; some names have a space in them."""
    first = row.split()[0]
    stem, _, suffix = first.rpartition('.')
    is_image = f'.{suffix.lower()}' in IMAGE_SUFFIXES
    return next((name for name in (row, first) if name in known), stem if is_image else first)


def _listed(folder: Path, split: str) -> list[str]:
    """The names of images in ImageSets/Main/<split>.txt."""
    main = folder / 'ImageSets' / 'Main'
    # There are also files of one class each, `cat_train.txt`, with a second column.
    files = sorted(main.iterdir()) if main.is_dir() else []
    known = {path.stem: path for path in files if path.suffix.lower() == '.txt'}
    key = find_split(split, known)
    if key is None:
        raise ValueError(f'{folder}: has no split {split!r}; {main} lists {[k for k in known if "_" not in k]}')
    # In the Unicode form of the names of `files_by_stem`.
    rows = read_list(known[key])
    return [normalize('NFC', row).strip().replace('\\', '/') for row in rows]


def _split_folders(folder: Path) -> list[Path]:
    places = (place for place in folder.iterdir() if place.is_dir() and not place.name.startswith('.'))
    return sorted(place for place in places if any(file.suffix.lower() in _XML for file in place.iterdir()))


def _split_folder(folder: Path, split: str) -> Path:
    known = [place.name for place in _split_folders(folder)]
    key = find_split(split, known)
    if key is None:
        raise ValueError(f'{folder}: has no split {split!r}; folders in it with XML files are {known}')
    return folder / key


def _by_name(folder: Path, suffixes: Collection[str]) -> _Files:
    """Files below a folder by their relative path without suffix."""
    return files_by_stem(folder, suffixes) if folder.is_dir() else {}


def _listed_classes(folder: Path) -> tuple[str, ...]:
    for file in (folder / name for name in _NAME_FILES):
        if file.is_file():
            names = [row.strip() for row in read_list(file)]
            if not names or len(set(names)) < len(names) or not all(map(is_class_name, names)):
                raise ValueError(f'{file}: expected names of classes, one a line, each once; given {names[:20]}')
            return tuple(names)
    return ()
