"""Detections as other libraries and files hold them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

import numpy as np

from mbv3zoo.detections import label_studio
from mbv3zoo.detections.table import Table
from mbv3zoo.utils.packages import import_package


class Exchange(Table):
    """A table that can be handed on: as COCO results, JSON, or another library's detections."""

    def to_coco(
        self, image_id: int | str, category_ids: Sequence[int | str] | Mapping[int, int] | None = None
    ) -> list[dict[str, Any]]:
        """Lists the detections as COCO results.

        Args:
            image_id: the id of the image in the COCO file.
            category_ids: the COCO category id of each label; label + 1 when left out.

        Returns:
            For each detection `image_id`, `category_id`, `bbox` ([x, y, width, height] in pixels) and
            `score`, as plain Python numbers.

        Raises:
            ValueError: if `category_ids` has no id for a label.

        Example:

            >>> found = mbv3zoo.Detections([[10, 20, 60, 80]], [0.5], [0], ('cat',), (480, 640))
            >>> found.to_coco(image_id=7)
            [{'image_id': 7, 'category_id': 1, 'bbox': [10.0, 20.0, 50.0, 60.0], 'score': 0.5}]
        """
        results = []
        for (left, top, right, bottom), score, label, name in self.rows():
            try:
                category_id = label + 1 if category_ids is None else category_ids[label]
            except LookupError:
                raise ValueError(
                    f'category_ids has no id for label {label} ({name!r}); '
                    f'expected one for each of the {len(self.class_names)} classes'
                ) from None
            bbox = [left, top, right - left, bottom - top]
            # Plain numbers also where they were of numpy.
            category_id = category_id if isinstance(category_id, str) else int(category_id)
            results.append({'image_id': image_id, 'category_id': category_id, 'bbox': bbox, 'score': score})
        return results

    def to_dict(self) -> dict[str, Any]:
        """Returns everything as plain, JSON-ready values; `box` is xyxy in pixels of the original image.

        Detections of a video that is tracked have a `track_id` each.

        Example:

            >>> found = mbv3zoo.Detections([[10, 20, 60, 80]], [0.5], [0], ('cat',), (480, 640))
            >>> found.to_dict()['detections']
            [{'box': [10.0, 20.0, 60.0, 80.0], 'score': 0.5, 'label': 0, 'name': 'cat'}]
        """
        rows = [row._asdict() for row in self.rows()]
        for row, number in zip(rows, [] if self.track_ids is None else self.track_ids.tolist(), strict=False):
            row['track_id'] = number
        return {
            'path': self.path,
            'error': self.error,
            'image_size': {'height': self.image_size[0], 'width': self.image_size[1]},
            'detections': rows,
        }

    def to_pandas(self) -> Any:
        """Returns a `pandas.DataFrame` with one row per object.

        Returns:
            Columns `name`, `label`, `score`, `xmin`, `ymin`, `xmax`, `ymax` (pixels of the original image) and `path`;
            the same columns, of the same types, without objects. Several join by
            `pandas.concat([found.to_pandas() for found in many])`.

        Raises:
            ImportError: if pandas is not installed.

        Example:

            >>> found = mbv3zoo.Detections([[10, 20, 60, 80]], [0.5], [0], ('cat',), (480, 640), 'a.jpg')
            >>> found.to_pandas()
              name  label  score  xmin  ymin  xmax  ymax   path
            0  cat      0    0.5  10.0  20.0  60.0  80.0  a.jpg
        """
        pandas = import_package('to_pandas()', 'pandas')
        boxes = np.asarray(self.boxes)
        columns: dict[str, Any] = {
            'name': pandas.Series(self.names, dtype=object),
            'label': np.asarray(self.labels).copy(),
            'score': np.asarray(self.scores).copy(),
        }
        columns |= {name: boxes[:, i].copy() for i, name in enumerate(('xmin', 'ymin', 'xmax', 'ymax'))}
        if self.track_ids is not None:
            columns['track_id'] = np.asarray(self.track_ids).copy()
        columns['path'] = pandas.Series([self.path] * len(self), dtype=object)
        return pandas.DataFrame(columns)

    def to_supervision(self) -> Any:
        """Returns a `supervision.Detections` with the class names under `data['class_name']`.

        Raises:
            ImportError: if supervision is not installed.

        Example:

            >>> found = mbv3zoo.Detections([[10, 20, 60, 80]], [0.5], [0], ('cat',), (480, 640))
            >>> found.to_supervision().class_id
            array([0])
        """
        supervision = import_package('to_supervision()', 'supervision')
        return supervision.Detections(
            xyxy=np.asarray(self.boxes).copy(),
            confidence=np.asarray(self.scores).copy(),
            class_id=np.asarray(self.labels).copy(),
            tracker_id=None if self.track_ids is None else np.asarray(self.track_ids).copy(),
            data={'class_name': np.array(self.names, dtype=str)},
        )

    def to_fiftyone(self) -> Any:
        """Returns `fiftyone.Detections`, the value of a sample's field, as in `sample['found'] = found.to_fiftyone()`.

        Returns:
            For each object its class name as `label`, its box as `bounding_box` ([x, y, width, height] as shares of the
            image's sides), its score as `confidence`, and in a tracked video its number as `index`.

        Raises:
            ImportError: if fiftyone is not installed.
            ValueError: if there are objects and `image_size` is not known.

        Example:

            >>> found = mbv3zoo.Detections([[16, 12, 48, 36]], [0.5], [0], ('cat',), (48, 64))
            >>> found.to_fiftyone().detections[0].bounding_box
            [0.25, 0.25, 0.5, 0.5]
        """
        fiftyone = import_package('to_fiftyone()', 'fiftyone')
        numbers = [None] * len(self) if self.track_ids is None else self.track_ids.tolist()
        rows = zip(self.rows(), self.shares(), numbers, strict=True)
        return fiftyone.Detections(
            detections=[
                fiftyone.Detection(label=row.name, bounding_box=box, confidence=row.score, index=number)
                for row, box, number in rows
            ]
        )

    def to_label_studio(
        self, image: str | None = None, *, root: str | PathLike | None = None, model_version: str = 'mbv3zoo'
    ) -> dict[str, Any]:
        """Returns one task of Label Studio's JSON import format, with the objects as pre-annotations.

        A list of them, written as JSON, is imported into a project whose labelling config is the one that
        `mbv3zoo.detections.label_studio.labelling_config` writes.

        Args:
            image: the address of the image for Label Studio; by default that of the file at `path` on Label Studio's
                own machine (`/data/local-files/?d=...`).
            root: the folder that Label Studio serves such files from, its LOCAL_FILES_DOCUMENT_ROOT; the root of the
                disk by default.
            model_version: the name that Label Studio shows these predictions under.

        Returns:
            `data` and `predictions`: boxes in percent of the image's sides, with a score each; the score of the whole
            is their mean.

        Raises:
            ValueError: if `image` is left out and these detections name no file, the file is not inside `root`, or
                there are objects and `image_size` is not known.

        Example:

            >>> found = mbv3zoo.Detections([[16, 12, 48, 36]], [0.5], [0], ('cat',), (48, 64), '/data/a.jpg')
            >>> task = found.to_label_studio(root='/data')
            >>> task['data'], task['predictions'][0]['result'][0]['value']['rectanglelabels']
            ({'image': '/data/local-files/?d=a.jpg'}, ['cat'])
        """
        if image is None:
            if self.path is None:
                raise ValueError(
                    "these detections name no image file; pass its address, as in to_label_studio('https://a.org/a.jpg')"
                )
            image = label_studio.local_address(self.path, root)
        return label_studio.task(self, image, model_version)
