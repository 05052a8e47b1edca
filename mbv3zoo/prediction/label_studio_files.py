"""Writes detections as pre-annotations that Label Studio imports."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path

from mbv3zoo.detections import Detections
from mbv3zoo.detections.label_studio import labelling_config
from mbv3zoo.prediction.names import write_named
from mbv3zoo.prediction.rows_file import RowsFile


class LabelStudioFiles:
    """`label_studio.json`, one task per image, which is whole after each; and `label_studio.xml`, the labelling config.

    A context manager.

    Args:
        folder: The folder of the results, which exists.
        class_names: The name of each class.
        root: As for `Detections.to_label_studio`.

    Raises:
        OSError: A file cannot be written; the sentence names it. The same from `add`.
    """

    def __init__(self, folder: Path, class_names: Sequence[str], root: str | PathLike | None = None) -> None:
        self.root = root
        write_named(folder / 'label_studio.xml', labelling_config(class_names))
        self.rows = RowsFile(folder / 'label_studio.json')

    def add(self, detections: Detections) -> None:
        """Adds the task of an image.

        Raises:
            ValueError: The image is not inside the root.
        """
        self.rows.add(detections.to_label_studio(root=self.root))

    def __enter__(self) -> LabelStudioFiles:
        return self

    def __exit__(self, *error: object) -> None:
        self.rows.close()
