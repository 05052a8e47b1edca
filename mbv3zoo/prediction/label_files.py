"""Writes detections as labels of a YOLO dataset, which labelling tools and `mbv3zoo.load_dataset` read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml

from mbv3zoo.detections import Detections
from mbv3zoo.prediction.names import FreeNames, stem_of, write_whole
from mbv3zoo.utils.disk import make_folder, naming_file
from mbv3zoo.utils.text import utf8

_ABOUT = '# The boxes in labels/ were predicted. With the images in images/, this is a YOLO dataset.\n'


class LabelFiles:
    """One text file per image in `labels/`, and the names of the classes in `data.yaml` and `labels/classes.txt`.

    Args:
        folder: The folder of the results, which exists.
        class_names: The name of each class.
        scores: Whether each line ends with the score.

    Raises:
        OSError: A file cannot be written; the sentence names it. The same from `add`.
    """

    def __init__(self, folder: Path, class_names: Sequence[str], scores: bool = False) -> None:
        self.folder, self.scores, self._names = folder / 'labels', scores, FreeNames()
        make_folder(self.folder)
        splits = {'train': 'images', 'val': 'images', 'names': dict(enumerate(class_names))}
        text = _ABOUT + yaml.safe_dump(splits, sort_keys=False, allow_unicode=True)
        _write(folder / 'data.yaml', text)
        _write(self.folder / self._names.take('classes', '.txt'), ''.join(f'{name}\n' for name in class_names))

    def add(self, detections: Detections) -> str:
        """Writes the lines of an image, none where nothing was found, and returns the file's name in the folder.

        A line is the class, then the centre, width and height of its box as shares of the image's, and the score where
        it is asked for, six digits each.
        """
        height, width = detections.image_size
        lines = []
        for (left, top, right, bottom), score, label, _ in detections.rows():
            shares = [(left + right) / 2 / width, (top + bottom) / 2 / height]
            shares += [(right - left) / width, (bottom - top) / height, *([score] if self.scores else [])]
            lines.append(f'{label} {" ".join(f"{share:.6f}" for share in shares)}\n')
        name = self._names.take(stem_of(detections), '.txt')
        _write(self.folder / name, ''.join(lines))
        return f'{self.folder.name}/{name}'


def _write(path: Path, text: str) -> None:
    with naming_file(path):
        write_whole(path, utf8(text))
