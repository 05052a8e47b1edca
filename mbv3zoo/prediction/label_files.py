"""Writes what was found as the labels of a dataset, which labelling tools and `mbv3zoo.load_dataset` read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from mbv3zoo.images.masks import mask_png
from mbv3zoo.prediction.names import FreeNames, stem_of, write_named
from mbv3zoo.utils.disk import make_folder

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

    kind, suffix = 'labels', '.txt'

    def __init__(self, folder: Path, class_names: Sequence[str], scores: bool = False) -> None:
        self.folder, self.scores, self._names = folder / self.kind, scores, FreeNames()
        make_folder(self.folder)
        self._write_about(folder, class_names)
        write_named(self.folder / self._names.take('classes', '.txt'), ''.join(f'{name}\n' for name in class_names))

    def _write_about(self, folder: Path, class_names: Sequence[str]) -> None:
        splits = {'train': 'images', 'val': 'images', 'names': dict(enumerate(class_names))}
        text = _ABOUT + yaml.safe_dump(splits, sort_keys=False, allow_unicode=True)
        write_named(folder / 'data.yaml', text)

    def add(self, found: Any) -> str:
        """Writes the file of an image, and returns its name in the folder."""
        name = self._names.take(stem_of(found), self.suffix)
        write_named(self.folder / name, self._content(found))
        return f'{self.folder.name}/{name}'

    def _content(self, found: Any) -> str | bytes:
        """A line for each box: class, then centre, width and height as shares of the image's, score where asked for."""
        height, width = found.image_size
        lines = []
        for (left, top, right, bottom), score, label, _ in found.rows():
            shares = [(left + right) / 2 / width, (top + bottom) / 2 / height]
            shares += [(right - left) / width, (bottom - top) / height, *([score] if self.scores else [])]
            lines.append(f'{label} {" ".join(f"{share:.6f}" for share in shares)}\n')
        return ''.join(lines)


class MaskFiles(LabelFiles):
    """One PNG per image in `masks/`, whose pixels are indices of classes, and the names of those in a text file."""

    kind, suffix = 'masks', '.png'

    def _write_about(self, folder: Path, class_names: Sequence[str]) -> None:
        pass

    def _content(self, found: Any) -> bytes:
        return mask_png(found.labels)
