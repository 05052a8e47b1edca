"""What a detector found in one picture."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from mbv3zoo.drawing import class_colour, draw_caption
from mbv3zoo.images import read_image


@dataclass(eq=False)
class Detections:
    """The objects found in one picture, N of them, N may be 0.

    Attributes:
        boxes: float32 `[N, 4]` xyxy in pixels of the original picture, on the CPU.
        scores: float32 `[N]` in 0..1.
        labels: int64 `[N]`, indices into `class_names`.
        class_names: the name of each class the detector knows.
        image_size: (height, width) of the original picture in pixels.
        path: the file the picture came from, if it came from one.
        error: why the picture could not be read; there are no detections then. None otherwise.

    Raises:
        ValueError: if shapes disagree or a label has no class name.
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor
    class_names: tuple[str, ...]
    image_size: tuple[int, int]
    path: str | None = None
    error: str | None = None

    def __post_init__(self) -> None:
        self.boxes = torch.as_tensor(self.boxes, dtype=torch.float32, device='cpu').detach()
        self.scores = torch.as_tensor(self.scores, dtype=torch.float32, device='cpu').detach()
        self.labels = torch.as_tensor(self.labels, dtype=torch.int64, device='cpu').detach()
        self.class_names = tuple(self.class_names)
        self.image_size = (int(self.image_size[0]), int(self.image_size[1]))
        shapes = [tuple(part.shape) for part in (self.boxes, self.scores, self.labels)]
        count = len(self.scores) if self.scores.ndim else 0
        if shapes != [(count, 4), (count,), (count,)]:
            raise ValueError(
                f'boxes, scores and labels have shapes {shapes[0]}, {shapes[1]} and {shapes[2]}; '
                'expected [N, 4], [N] and [N] with one N'
            )
        if count and not (self.labels.min() >= 0 and self.labels.max() < len(self.class_names)):
            raise ValueError(
                f'labels are in {self.labels.min()}..{self.labels.max()}, but there are '
                f'{len(self.class_names)} class names; expected labels in 0..{len(self.class_names) - 1}'
            )

    @classmethod
    def empty(
        cls,
        class_names: Sequence[str] = (),
        image_size: tuple[int, int] = (0, 0),
        path: str | None = None,
        error: str | None = None,
    ) -> 'Detections':
        """Detections with N = 0; the image size is (0, 0) where it is not known."""
        return cls(
            boxes=torch.zeros(0, 4),
            scores=torch.zeros(0),
            labels=torch.zeros(0, dtype=torch.int64),
            class_names=tuple(class_names),
            image_size=image_size,
            path=path,
            error=error,
        )

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, index: Any) -> 'Detections':
        """Picks detections by a slice, a boolean mask `[N]`, a list of indices or one index.

        The result is a `Detections` in every case, also for one index.
        """
        if not isinstance(index, slice):
            index = torch.as_tensor(index, device='cpu').reshape(-1)
            # An empty list becomes a float tensor, which cannot be an index.
            index = index if index.numel() else index.long()
        return replace(self, boxes=self.boxes[index], scores=self.scores[index], labels=self.labels[index])

    @property
    def names(self) -> list[str]:
        """The class name of each detection."""
        return [self.class_names[label] for label in self.labels.tolist()]

    def draw(self, image: Any = None) -> Image.Image:
        """Draws boxes, class names and scores on a copy of the picture.

        Args:
            image: the picture, in any form `read_image` takes; read again from `path` when left out.

        Returns:
            A new RGB image of the original size.

        Raises:
            ValueError: if there is no picture to draw on or it has another size than `image_size`.
        """
        if image is None:
            if self.path is None:
                raise ValueError('these detections name no image file; pass the picture: draw(image)')
            image = self.path
        canvas = Image.fromarray(read_image(image))
        if (canvas.height, canvas.width) != self.image_size:
            raise ValueError(
                f'the picture to draw on is {canvas.height} x {canvas.width} (height x width), '
                f'the detections were made on {self.image_size[0]} x {self.image_size[1]}; '
                'pass the original picture'
            )
        longest = max(canvas.size)
        line_width = max(1, round(longest / 320))
        font = ImageFont.load_default(size=max(10, round(longest / 45)))
        painter = ImageDraw.Draw(canvas)
        # The surest last, so that it stays on top.
        for index in self.scores.argsort(stable=True).tolist():
            label = int(self.labels[index])
            colour = class_colour(label)
            left, top, right, bottom = self.boxes[index].round().int().tolist()
            # Edges lie between pixels, and the rectangle includes its last pixel.
            right, bottom = max(left, right - 1), max(top, bottom - 1)
            painter.rectangle((left, top, right, bottom), outline=colour, width=line_width)
            caption = f'{self.class_names[label]} {self.scores[index]:.2f}'
            draw_caption(painter, caption, (left, top), canvas.size, colour, font)
        return canvas

    def to_coco(
        self, image_id: int | str, category_ids: Sequence[int] | Mapping[int, int] | None = None
    ) -> list[dict[str, Any]]:
        """Lists the detections as COCO results.

        Args:
            image_id: the id of the picture in the COCO file.
            category_ids: the COCO category id of each label; label + 1 when left out.

        Returns:
            For each detection `image_id`, `category_id`, `bbox` ([x, y, width, height] in pixels) and
            `score`, as plain Python numbers.

        Raises:
            ValueError: if `category_ids` has no id for a label.
        """
        results = []
        for box, score, label in self._rows():
            try:
                category_id = label + 1 if category_ids is None else int(category_ids[label])
            except LookupError:
                raise ValueError(
                    f'category_ids has no id for label {label} ({self.class_names[label]!r}); '
                    f'expected one for each of the {len(self.class_names)} classes'
                ) from None
            left, top, right, bottom = box
            bbox = [left, top, right - left, bottom - top]
            results.append({'image_id': image_id, 'category_id': category_id, 'bbox': bbox, 'score': score})
        return results

    def to_dict(self) -> dict[str, Any]:
        """Returns everything as plain, JSON-ready values; `box` is xyxy in pixels of the original picture."""
        return {
            'path': self.path,
            'error': self.error,
            'image_size': {'height': self.image_size[0], 'width': self.image_size[1]},
            'detections': [
                {'box': box, 'score': score, 'label': label, 'name': self.class_names[label]}
                for box, score, label in self._rows()
            ],
        }

    def to_json(self, indent: int | None = None) -> str:
        """Returns `to_dict()` as JSON text."""
        return json.dumps(self.to_dict(), indent=indent, ensure_ascii=False)

    def to_supervision(self) -> Any:
        """Returns a `supervision.Detections` with the class names under `data['class_name']`.

        Raises:
            ImportError: if supervision is not installed.
        """
        try:
            import supervision
        except ImportError as error:
            raise ImportError(
                'to_supervision() needs the package supervision: pip install "mbv3zoo[supervision]"'
            ) from error
        import numpy

        return supervision.Detections(
            xyxy=self.boxes.numpy().copy(),
            confidence=self.scores.numpy().copy(),
            class_id=self.labels.numpy().copy(),
            data={'class_name': numpy.array(self.names, dtype=str)},
        )

    def _rows(self) -> zip:
        return zip(self.boxes.tolist(), self.scores.tolist(), self.labels.tolist(), strict=True)
