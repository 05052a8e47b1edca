"""Pascal VOC datasets: one XML file of objects per image."""

from __future__ import annotations

import os
from pathlib import Path

from mbv3zoo.data.detection_set import DetectionSet
from mbv3zoo.data.foreign import foreign_file
from mbv3zoo.data.index import indexed
from mbv3zoo.data.label_values import is_class_name
from mbv3zoo.data.pixel_labels import PixelLabel, PixelLabels
from mbv3zoo.data.problems import LabelProblems
from mbv3zoo.data.voc_layout import Files, find_voc, listed_classes
from mbv3zoo.data.voc_xml import VocAnnotation, read_xml
from mbv3zoo.utils.sizes import MAX_PIXELS
from mbv3zoo.utils.text import shown


def load_voc(folder: str | Path, split: str, max_pixels: int = MAX_PIXELS) -> DetectionSet:
    """Reads one split of a Pascal VOC dataset.

    The classes are those of `classes.txt`, `labels.txt` or CVAT's `labelmap.txt` in the folder. Without such a file
    they are the names in the annotations of all splits, in alphabetical order, as in VOC itself.

    Objects marked `difficult` become crowd boxes: no training targets, and ignored in evaluation. Coordinates are those
    of the first and last pixel in the box, counted from 1. Where `<size>` is not that of the image, its boxes are
    scaled if the ratio is one number, or turned if the image was labelled as stored, without its EXIF orientation; else
    it is left out.

    Args:
        folder: A year of VOC (`Annotations/`, `JPEGImages/`, `ImageSets/Main/<split>.txt`), a folder of split folders
            (`train/`, `valid/`, ...) that hold images and XML files side by side, or one of both side by side, which is
            one split.
        split: 'train', 'val' (also finds 'valid' and 'validation'), ...
        max_pixels: Most pixels of an image, as for `mbv3zoo.load_dataset`.

    Raises:
        ValueError: The folder, the split or its images are missing, no class is named, or the boxes are not in pixels.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f'{folder}: no such folder; expected one of a Pascal VOC data set')
    found_in = find_voc(folder)
    if found_in is None:
        raise ValueError(f'{folder}: has no XML files; expected those of a Pascal VOC data set')
    pictures, xml_files, names, every_xml = found_in.files(split)
    names = list(dict.fromkeys(names))

    def read() -> DetectionSet:
        return _read(folder, split, pictures, xml_files, names, every_xml, max_pixels)

    images = [picture for name in names for picture in pictures.get(name, [])]
    facts = ['VOC', str(folder), split, names, listed_classes(folder), max_pixels]
    return indexed(folder, facts, every_xml, images, read)


def _read(
    folder: Path,
    split: str,
    pictures: Files,
    xml_files: Files,
    names: list[str],
    every_xml: list[str],
    max_pixels: int,
) -> DetectionSet:
    problems = LabelProblems(folder)
    parsed = {path: read_xml(Path(path)) for path in every_xml}
    found = {each.name for annotation in parsed.values() for each in annotation.objects}
    classes = listed_classes(folder) or tuple(sorted(filter(is_class_name, found)))
    if not classes:
        file = next((path for path in every_xml if parsed[path].error), None)
        what = file and foreign_file(Path(file))
        raise ValueError(f'{file}: {what}' if what else f'{folder}: no annotation of it names a class')
    index = {name: i for i, name in enumerate(classes)}
    reader = PixelLabels(folder, problems, 'difficult', max_pixels, is_xywh=False)
    for name in names:
        if name not in xml_files:
            problems.add(name, 'left out: it has no XML file; a picture without objects needs one without <object>')
            continue
        path = xml_files[name][0]
        annotation = parsed[path]
        if annotation.error:
            problems.add(f'{path}:{annotation.error_line}', f'left out: {annotation.error}')
        elif name not in pictures:
            problems.add(path, 'left out: there is no picture of that name')
        else:
            picture = _picture(path, pictures[name], annotation.filename, problems)
            image = reader.add_image(picture, path, annotation.size)
            for label in _labels(path, annotation, index, problems):
                reader.add(image, label)
    records = reader.finish()
    if not records:
        split_text = f'split {split!r} ' if split else ''
        raise ValueError(
            f'{folder}: {split_text}has no picture with annotations that can be read; {len(problems.lines)} problems, '
            f'such as {problems.lines[:1]}'
        )
    return DetectionSet(records, classes, tuple(problems.lines))


def _labels(path: str, annotation: VocAnnotation, index: dict[str, int], problems: LabelProblems) -> list[PixelLabel]:
    """The objects of an image; what is no object is added to `problems`."""
    labels = []
    for found in annotation.objects:
        place = f'{path}:{found.line}'
        try:
            left, top, right, bottom = [float(corner or '') for corner in found.corners]
        except ValueError:
            problems.add(
                place, f'bndbox {shown(list(found.corners))} is not xmin, ymin, xmax, ymax in numbers; dropped'
            )
            continue
        if found.name not in index:
            problems.add(place, f'class {shown(found.name)} is not one of {list(index)[:20]}; dropped')
            continue
        box = (left, top, right, bottom)
        labels.append(PixelLabel(place, box, index[found.name], found.difficult))
    return labels


def _picture(path: str, pictures: list[str], named: str, problems: LabelProblems) -> str:
    """The image of an annotation file: of several that differ in their suffix only, the one that it names."""
    if len(pictures) == 1:
        return pictures[0]
    names = [os.path.basename(picture) for picture in pictures]
    chosen = names.index(named) if named in names else 0
    problems.add(path, f'there are {" and ".join(names)}; {names[chosen]} is taken')
    return pictures[chosen]
